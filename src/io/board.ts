/**
 * The board: shared words through which ranks ask for reads and I/O workers answer them. Every
 * rank has a ring per priority, which it alone fills and all workers empty. What many threads
 * write is on cache lines (16 words) of its own, and so is every entry.
 *
 *   word 0        16               32              48
 *   ├─ end, file ─┼─ wake, asleep ─┼─ bulk reads ──┼─ rings [rank][priority]: head │ tail ─┼─ …
 *   … ─┼─ entries [rank][priority][ringEntries]: 16 words, then 16 pieces of 3 words ─┤
 *
 * Rings count requests modulo 2^29; an entry's number in its ring is the count modulo the ring's
 * size, and it is used again once it is settled. Knows no files and no arenas.
 */
import { check } from "../base/check.ts";

/** Rows of gates: the first thing that a rank waits for. */
export const PRIORITY_GATE = 0;
export const PRIORITY_UP_DOWN = 1;
/** What is wanted later: prefetch, staging of whole weights. */
export const PRIORITY_AHEAD = 2;
export const PRIORITY_COUNT = 3;

/** Not 0: nothing is read any more. 1: closed; else the index of the worker that failed + 2. */
export const ENDED_WORD = 0;
/** Not 0: the file is not the one that was opened. */
export const CHANGED_WORD = 1;
/** When the file was last looked at, ms of the wall clock modulo 2^32. */
export const CHECKED_MS_WORD = 2;
/** Changes whenever workers are woken. */
export const WAKE_WORD = 16;
/** How many workers sleep on it. */
export const ASLEEP_WORD = 17;
/** How many workers serve PRIORITY_AHEAD now. */
export const BULK_WORD = 32;
const RINGS_WORD = 48;
const RING_WORDS = 32;

/** Of a ring: requests taken by workers, requests published by the rank. */
export const HEAD = 0;
export const TAIL = 16;
export const SEQUENCE_MASK = 2 ** 29 - 1;

/** Words of an entry. */
export const STATE = 0;
export const OFFSET_LOW = 1;
export const OFFSET_HIGH = 2;
export const SIZE = 3;
export const ARENA = 4;
export const ADDRESS = 5;
/** 0: the read goes to its address; else what is read is a span, of which pieces are copied. */
export const PIECE_COUNT = 6;
/** Bytes that came, of a read that was short. */
export const CAME = 7;
/** What the system said, [REASON_BYTES] of ASCII, ended by 0. */
export const REASON = 8;
const REASON_BYTES = 32;
/** Pieces: [offset in the span, address, bytes]. */
export const PIECES = 16;
export const PIECE_WORDS = 3;
export const PIECES_MAX = 16;
const ENTRY_WORDS = PIECES + PIECE_WORDS * PIECES_MAX;

/** States of an entry; a fresh one is 0. */
export const ASKED = 1;
/** Asked, and its rank sleeps until it is settled. */
export const WATCHED = 2;
/** Settled from here on. */
export const READ = 3;
export const REFUSED = 4;
export const CUT_SHORT = 5;
export const FILE_CHANGED = 6;

/** What makes a board; plain data and a shared object, can be posted. */
export interface BoardSetup {
  readonly buffer: SharedArrayBuffer;
  readonly rankCount: number;
  /** Requests of a rank and priority that can be under way at once: a power of two. */
  readonly ringEntries: number;
  /** At most so many workers serve PRIORITY_AHEAD at a time; the others stay free for the rest. */
  readonly bulkWorkersMax: number;
}

export interface BoardOptions {
  readonly rankCount: number;
  readonly workerCount: number;
  readonly ringEntries?: number;
}

/** A board that nobody has asked anything of yet. */
export function createBoard(options: BoardOptions): BoardSetup {
  const { rankCount, workerCount, ringEntries = 1024 } = options;
  check(ringEntries >= 1 && (ringEntries & (ringEntries - 1)) === 0, "a ring's power of two");
  const rings = rankCount * PRIORITY_COUNT;
  const words = RINGS_WORD + rings * (RING_WORDS + ringEntries * ENTRY_WORDS);
  const buffer = new SharedArrayBuffer(4 * words);
  return { buffer, rankCount, ringEntries, bulkWorkersMax: Math.max(1, workerCount >> 1) };
}

/** A thread's hold on the board. */
export class Board {
  readonly words: Int32Array;
  readonly setup: BoardSetup;
  readonly #bytes: Uint8Array;

  constructor(setup: BoardSetup) {
    this.setup = setup;
    this.words = new Int32Array(setup.buffer);
    this.#bytes = new Uint8Array(setup.buffer);
  }

  /** First word of a ring. */
  ringWord(rank: number, priority: number): number {
    return RINGS_WORD + (rank * PRIORITY_COUNT + priority) * RING_WORDS;
  }

  /** First word of a ring's first entry. */
  entriesWord(rank: number, priority: number): number {
    const { rankCount, ringEntries } = this.setup;
    const ring = rank * PRIORITY_COUNT + priority;
    return RINGS_WORD + rankCount * PRIORITY_COUNT * RING_WORDS + ring * ringEntries * ENTRY_WORDS;
  }

  /** First word of the entry of a request, in the ring whose entries begin at `entriesWord`. */
  entryWord(entriesWord: number, sequence: number): number {
    return entriesWord + (sequence & (this.setup.ringEntries - 1)) * ENTRY_WORDS;
  }

  /** Wakes up to `count` sleeping workers. Costs next to nothing when all are awake. */
  wake(count: number): void {
    const words = this.words;
    if (Atomics.load(words, ASLEEP_WORD) === 0) return;
    // Who is about to sleep sees that the word has changed, and looks for work again.
    Atomics.add(words, WAKE_WORD, 1);
    const woken = Atomics.notify(words, WAKE_WORD, count);
    if (woken > 0) Atomics.sub(words, ASLEEP_WORD, woken);
  }

  /** Settles an entry and wakes its rank when that sleeps on it. */
  settle(entryWord: number, state: number): void {
    const before = Atomics.exchange(this.words, entryWord + STATE, state);
    if (before === WATCHED) Atomics.notify(this.words, entryWord + STATE);
  }

  /** Ends all reading in good order: workers leave, ranks that wait throw. */
  close(): void {
    this.#end(1);
  }

  /** Ends all reading because a worker has failed. */
  fail(worker: number): void {
    this.#end(worker + 2);
  }

  get isEnded(): boolean {
    return Atomics.load(this.words, ENDED_WORD) !== 0;
  }

  /** Index of the worker that failed first, or -1. */
  get failedWorker(): number {
    return Math.max(-1, Atomics.load(this.words, ENDED_WORD) - 2);
  }

  /** Keeps what the system said about a read. */
  writeReason(entryWord: number, reason: string): void {
    const at = 4 * (entryWord + REASON);
    this.#bytes.fill(0, at, at + REASON_BYTES);
    for (let i = 0; i < Math.min(reason.length, REASON_BYTES); i++) {
      const code = reason.charCodeAt(i);
      this.#bytes[at + i] = code >= 32 && code < 127 ? code : 63; // "?"
    }
  }

  readReason(entryWord: number): string {
    const at = 4 * (entryWord + REASON);
    let reason = "";
    for (let i = 0; i < REASON_BYTES && this.#bytes[at + i] !== 0; i++) {
      reason += String.fromCharCode(this.#bytes[at + i]);
    }
    return reason;
  }

  #end(value: number): void {
    const { words } = this;
    Atomics.compareExchange(words, ENDED_WORD, 0, value);
    this.wake(Infinity);
    const { rankCount, ringEntries } = this.setup;
    const entries = rankCount * PRIORITY_COUNT * ringEntries;
    const first = this.entriesWord(0, 0);
    for (let i = 0; i < entries; i++) {
      const word = first + i * ENTRY_WORDS + STATE;
      if (Atomics.load(words, word) === WATCHED) Atomics.notify(words, word);
    }
  }
}
