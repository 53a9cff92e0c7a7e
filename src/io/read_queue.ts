/**
 * A rank's side of the board: asks for reads, looks how they stand, waits. Nothing here allocates
 * per call, and arguments are positional for that reason. Knows nothing of neurons.
 *
 * A ticket is a positive 32-bit integer: the request's number in its ring, then two bits of
 * priority.
 */
import { check } from "../base/check.ts";
import { WorkerError } from "../base/errors.ts";
import {
  ADDRESS,
  ARENA,
  ASKED,
  ASLEEP_WORD,
  Board,
  type BoardSetup,
  CAME,
  CUT_SHORT,
  FILE_CHANGED,
  OFFSET_HIGH,
  OFFSET_LOW,
  PIECE_COUNT,
  PIECE_WORDS,
  PIECES,
  PIECES_MAX,
  PRIORITY_COUNT,
  READ,
  SEQUENCE_MASK,
  SIZE,
  STATE,
  TAIL,
  WATCHED,
} from "./board.ts";
import { changedText, cutShortText, refusedText } from "./read_failure.ts";

export const PENDING = 0;
export const DONE = 1;
export const FAILED = 2;
export type ReadState = typeof PENDING | typeof DONE | typeof FAILED;

/** No ticket. */
export const NO_TICKET = -1;

export interface ReadQueueOptions {
  /** Named in messages. */
  readonly path: string;
  /** merge(): the most bytes between two pieces that are read for nothing. */
  readonly gapBytesMax?: number;
  /** merge(): the most bytes of a span; workers have room for so many. */
  readonly spanBytesMax?: number;
}

/** Room that every worker has for spans. */
export const SPAN_BYTES_MAX = 256 * 1024;
/** A sleeper looks up this often, so that a dead worker is noticed without a notification. */
const SLEEP_MS_MAX = 200;
/** Who is awake takes the next read without being woken, which costs more than half a read. */
const READS_PER_WAKE = 2;
/** Failures whose entries are used again are remembered, the last so many. */
const OLD_FAILURES_MAX = 4096;

/** How a rank reads: by threads, or by the kernel (kernel_queue.ts). */
export type Reads = Pick<
  ReadQueue,
  "ask" | "merge" | "flush" | "before" | "state" | "wait" | "waitAll" | "failure"
>;

export class ReadQueue {
  readonly #board: Board;
  readonly #words: Int32Array;
  readonly #path: string;
  readonly #gapBytesMax: number;
  readonly #spanBytesMax: number;
  /** By priority: the ring, its entries, requests made. */
  readonly #rings: readonly number[];
  readonly #entries: readonly number[];
  readonly #asked = new Int32Array(PRIORITY_COUNT);
  /** The read that merge() adds to and that no worker sees yet: its entry or -1, and what it is. */
  #openWord = -1;
  #openPriority = 0;
  #openTicket = NO_TICKET;
  #openStart = 0;
  #openEnd = 0;
  /** Reads that workers may begin with since some were woken. */
  #published = 0;
  readonly #oldFailures = new Map<number, string>();

  constructor(setup: BoardSetup, rank: number, options: ReadQueueOptions) {
    const { path, gapBytesMax = 0, spanBytesMax = 64 * 1024 } = options;
    check(spanBytesMax <= SPAN_BYTES_MAX, "workers have room for a span");
    this.#board = new Board(setup);
    this.#words = this.#board.words;
    this.#path = path;
    this.#gapBytesMax = gapBytesMax;
    this.#spanBytesMax = spanBytesMax;
    const priorities = [...Array(PRIORITY_COUNT).keys()];
    this.#rings = priorities.map((priority) => this.#board.ringWord(rank, priority));
    this.#entries = priorities.map((priority) => this.#board.entriesWord(rank, priority));
  }

  /**
   * Asks for a read straight to an address. Waits only when the ring is full.
   * @returns its ticket.
   * @throws {WorkerError} when a worker has failed while the ring was full.
   */
  ask(
    priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    this.flush();
    const ticket = this.#open(priority, offsetBytes, sizeBytes, arena, address);
    this.flush();
    return ticket;
  }

  /**
   * Like ask(), but a read that begins shortly behind the one before it joins that one: both are
   * one read, with one ticket, whose parts are copied to their addresses. Any order is right,
   * ascending offsets are good. What was asked last begins with flush(), or with a wait.
   */
  merge(
    priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    const word = this.#openWord;
    if (word >= 0) {
      const words = this.#words;
      const gap = offsetBytes - this.#openEnd;
      const count = words[word + PIECE_COUNT] || 1;
      if (
        gap >= 0 && gap <= this.#gapBytesMax && priority === this.#openPriority &&
        arena === words[word + ARENA] && count < PIECES_MAX &&
        offsetBytes + sizeBytes - this.#openStart <= this.#spanBytesMax
      ) {
        if (count === 1) this.#setPiece(0, 0, words[word + ADDRESS], words[word + SIZE]);
        this.#setPiece(count, offsetBytes - this.#openStart, address, sizeBytes);
        words[word + PIECE_COUNT] = count + 1;
        this.#openEnd = offsetBytes + sizeBytes;
        words[word + SIZE] = this.#openEnd - this.#openStart;
        return this.#openTicket;
      }
      this.#publish();
    }
    return this.#open(priority, offsetBytes, sizeBytes, arena, address);
  }

  /** Lets workers begin with what merge() holds back, and wakes some for all since last time. */
  flush(): void {
    this.#publish();
    if (this.#published === 0) return;
    const workers = Math.ceil(this.#published / READS_PER_WAKE);
    this.#published = 0;
    if (Atomics.load(this.#words, ASLEEP_WORD) > 0) this.#board.wake(workers);
  }

  /** Workers that are awake see the read that merge() holds back. */
  #publish(): void {
    if (this.#openWord < 0) return;
    this.#openWord = -1;
    const priority = this.#openPriority;
    Atomics.store(this.#words, this.#rings[priority] + TAIL, this.#asked[priority]);
    this.#published++;
  }

  /** The ticket of the request that was made before that one, of the same priority. */
  before(ticket: number): number {
    return ((ticket >> 2) - 1 & SEQUENCE_MASK) << 2 | ticket & 3;
  }

  /** How a request stands. */
  state(ticket: number): ReadState {
    if (ticket === this.#openTicket) this.flush();
    const word = this.#wordOf(ticket);
    if (word < 0) return this.#oldFailures.has(ticket) ? FAILED : DONE;
    return readState(Atomics.load(this.#words, word + STATE));
  }

  /**
   * Waits for a request.
   * @throws {WorkerError} when a worker has failed or reading has been ended.
   */
  wait(ticket: number): ReadState {
    this.flush();
    const state = this.state(ticket);
    if (state !== PENDING) return state;
    return this.#waitFor(this.#wordOf(ticket));
  }

  /**
   * Waits for the first `count` of the tickets.
   * @returns the first one that failed, or NO_TICKET.
   * @throws {WorkerError} when a worker has failed or reading has been ended.
   */
  waitAll(tickets: Int32Array, count: number): number {
    let failed = NO_TICKET;
    // The last one is done last, mostly: then this sleeps once and not at every ticket.
    for (let i = count - 1; i >= 0; i--) {
      if (this.wait(tickets[i]) === FAILED) failed = tickets[i];
    }
    return failed;
  }

  /** Why a request failed: what, where, and what to do; empty when it did not. */
  failure(ticket: number): string {
    const word = this.#wordOf(ticket);
    if (word < 0) return this.#oldFailures.get(ticket) ?? "";
    return this.#describe(word);
  }

  /** Reserves the next entry of a ring and fills it; no worker sees it before flush(). */
  #open(
    priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    const words = this.#words;
    const sequence = this.#asked[priority];
    const word = this.#board.entryWord(this.#entries[priority], sequence);
    this.#reuse(word, priority, sequence);
    words[word + OFFSET_LOW] = offsetBytes; // an Int32Array keeps it modulo 2^32
    words[word + OFFSET_HIGH] = offsetBytes / 2 ** 32;
    words[word + SIZE] = sizeBytes;
    words[word + ARENA] = arena;
    words[word + ADDRESS] = address;
    words[word + PIECE_COUNT] = 0;
    words[word + STATE] = ASKED;
    this.#asked[priority] = (sequence + 1) & SEQUENCE_MASK;
    this.#openWord = word;
    this.#openPriority = priority;
    this.#openStart = offsetBytes;
    this.#openEnd = offsetBytes + sizeBytes;
    return this.#openTicket = sequence << 2 | priority;
  }

  /** Waits until an entry's last request is settled, and remembers it where it failed. */
  #reuse(word: number, priority: number, sequence: number): void {
    let state = Atomics.load(this.#words, word + STATE);
    if (state === ASKED || state === WATCHED) {
      this.#waitFor(word);
      state = Atomics.load(this.#words, word + STATE);
    }
    if (state <= READ) return;
    const before = (sequence - this.#board.setup.ringEntries) & SEQUENCE_MASK;
    const failures = this.#oldFailures;
    if (failures.size === OLD_FAILURES_MAX) failures.delete(failures.keys().next().value!);
    failures.set(before << 2 | priority, this.#describe(word));
  }

  #setPiece(index: number, spanOffset: number, address: number, sizeBytes: number): void {
    const at = this.#openWord + PIECES + PIECE_WORDS * index;
    this.#words[at] = spanOffset;
    this.#words[at + 1] = address;
    this.#words[at + 2] = sizeBytes;
  }

  /** The entry of a ticket, or -1 when it has been used again. */
  #wordOf(ticket: number): number {
    const priority = ticket & 3;
    const sequence = ticket >> 2;
    const age = (this.#asked[priority] - sequence) & SEQUENCE_MASK;
    if (age > this.#board.setup.ringEntries) return -1;
    return this.#board.entryWord(this.#entries[priority], sequence);
  }

  #waitFor(word: number): ReadState {
    const words = this.#words;
    const at = word + STATE;
    // Sleeps at once: a read takes longer than to be woken, and who spins has a worker's core.
    for (;;) {
      const state = Atomics.compareExchange(words, at, ASKED, WATCHED);
      if (state > WATCHED) return readState(state);
      this.#checkRunning();
      Atomics.wait(words, at, WATCHED, SLEEP_MS_MAX);
    }
  }

  #checkRunning(): void {
    if (!this.#board.isEnded) return;
    const worker = this.#board.failedWorker;
    throw new WorkerError(
      worker < 0 ? "Reading was ended" : `I/O worker ${worker} has failed: load the model again`,
    );
  }

  #describe(word: number): string {
    const words = this.#words;
    const state = Atomics.load(words, word + STATE);
    if (state <= READ) return "";
    const offsetBytes = (words[word + OFFSET_HIGH] >>> 0) * 2 ** 32 +
      (words[word + OFFSET_LOW] >>> 0);
    const read = { path: this.#path, offsetBytes, sizeBytes: words[word + SIZE] };
    if (state === FILE_CHANGED) return changedText(read);
    if (state === CUT_SHORT) return cutShortText(read, words[word + CAME]);
    return refusedText(read, this.#board.readReason(word));
  }
}

function readState(state: number): ReadState {
  return state <= WATCHED ? PENDING : state === READ ? DONE : FAILED;
}
