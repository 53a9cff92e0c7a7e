/**
 * An I/O worker's side of the board: takes requests in order of priority, reads, settles. Gate
 * reads of all ranks come before up and down of all ranks, these before what is wanted later;
 * within a priority ranks take turns. Knows nothing of what the bytes are.
 */
import { alignUp } from "../base/check.ts";
import { messageOf } from "../base/errors.ts";
import {
  ADDRESS,
  ARENA,
  ASLEEP_WORD,
  Board,
  type BoardSetup,
  BULK_WORD,
  CAME,
  CHANGED_WORD,
  CHECKED_MS_WORD,
  CUT_SHORT,
  FILE_CHANGED,
  HEAD,
  OFFSET_HIGH,
  OFFSET_LOW,
  PIECE_COUNT,
  PIECE_WORDS,
  PIECES,
  PRIORITY_AHEAD,
  PRIORITY_COUNT,
  READ,
  REFUSED,
  SEQUENCE_MASK,
  SIZE,
  TAIL,
  WAKE_WORD,
} from "./board.ts";
import { type Disk, expectedBytes, SECTOR_BYTES_MAX } from "./disk.ts";
import { SPAN_BYTES_MAX } from "./read_queue.ts";

export interface ReadServerOptions {
  readonly board: BoardSetup;
  readonly disk: Disk;
  /** [rank][arena]: where reads go. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  /** Wall clock, ms; the same for all workers. */
  readonly nowMs?: () => number;
}

/** The file is looked at this often while it is read. */
const CHECK_MS = 1_000;
/** An idle worker looks up this often, whatever happened to the one that should wake it. */
const SLEEP_MS_MAX = 1_000;
const PAGE_BYTES = 65536;
/** Room for spans that begin and end within sectors. */
const SPAN_PAGES = Math.ceil((SPAN_BYTES_MAX + 2 * SECTOR_BYTES_MAX) / PAGE_BYTES);

export class ReadServer {
  readonly #board: Board;
  readonly #words: Int32Array;
  readonly #disk: Disk;
  readonly #arenas: readonly (readonly Uint8Array[])[];
  readonly #nowMs: () => number;
  /** Where spans are read to; made when the first one comes. */
  #span: Uint8Array | null = null;
  /** The rank whose turn it is. */
  #turn = 0;
  /** The request that was taken: its entry, rank and priority. */
  #word = -1;
  #rank = 0;
  #priority = 0;

  constructor({ board, disk, memories, nowMs = Date.now }: ReadServerOptions) {
    this.#board = new Board(board);
    this.#words = this.#board.words;
    this.#disk = disk;
    this.#arenas = memories.map((arenas) => arenas.map(({ buffer }) => new Uint8Array(buffer)));
    this.#nowMs = nowMs;
  }

  /** Serves until reading is ended; sleeps while there is nothing to do. */
  serve(): void {
    while (!this.#board.isEnded) {
      if (this.take()) this.finish();
      else this.#sleep();
    }
  }

  /**
   * Takes the most urgent request.
   * @returns false when there is none.
   */
  take(): boolean {
    for (let priority = 0; priority < PRIORITY_COUNT; priority++) {
      if (priority === PRIORITY_AHEAD && !this.#beginBulk()) return false;
      if (this.#takeFrom(priority)) return true;
    }
    Atomics.sub(this.#words, BULK_WORD, 1);
    return false;
  }

  /** Reads what was taken and settles it. */
  finish(): void {
    const outcome = this.#read();
    this.#board.settle(this.#word, outcome);
    this.#word = -1;
    if (this.#priority === PRIORITY_AHEAD) Atomics.sub(this.#words, BULK_WORD, 1);
  }

  #takeFrom(priority: number): boolean {
    const words = this.#words;
    const { rankCount } = this.#board.setup;
    for (let i = 0; i < rankCount; i++) {
      const rank = (this.#turn + i) % rankCount;
      const ring = this.#board.ringWord(rank, priority);
      for (;;) {
        const head = Atomics.load(words, ring + HEAD);
        if (head === Atomics.load(words, ring + TAIL)) break;
        const next = (head + 1) & SEQUENCE_MASK;
        if (Atomics.compareExchange(words, ring + HEAD, head, next) !== head) continue;
        this.#word = this.#board.entryWord(this.#board.entriesWord(rank, priority), head);
        this.#rank = rank;
        this.#priority = priority;
        this.#turn = (rank + 1) % rankCount;
        return true;
      }
    }
    return false;
  }

  /** Reserves a place among those who serve PRIORITY_AHEAD, where one is free. */
  #beginBulk(): boolean {
    const words = this.#words;
    const { bulkWorkersMax } = this.#board.setup;
    if (Atomics.load(words, BULK_WORD) >= bulkWorkersMax) return false;
    if (Atomics.add(words, BULK_WORD, 1) < bulkWorkersMax) return true;
    Atomics.sub(words, BULK_WORD, 1);
    return false;
  }

  /** Whether take() would find something. */
  #hasWork(): boolean {
    const words = this.#words;
    const { rankCount, bulkWorkersMax } = this.#board.setup;
    for (let priority = 0; priority < PRIORITY_COUNT; priority++) {
      // Who serves these now will go on with them.
      if (priority === PRIORITY_AHEAD && Atomics.load(words, BULK_WORD) >= bulkWorkersMax) break;
      for (let rank = 0; rank < rankCount; rank++) {
        const ring = this.#board.ringWord(rank, priority);
        if (Atomics.load(words, ring + HEAD) !== Atomics.load(words, ring + TAIL)) return true;
      }
    }
    return false;
  }

  #sleep(): void {
    const words = this.#words;
    const wake = Atomics.load(words, WAKE_WORD);
    Atomics.add(words, ASLEEP_WORD, 1);
    if (!this.#hasWork() && !this.#board.isEnded) {
      // Who wakes a sleeper has counted it out already.
      if (Atomics.wait(words, WAKE_WORD, wake, SLEEP_MS_MAX) === "ok") return;
    }
    Atomics.sub(words, ASLEEP_WORD, 1);
  }

  /** @returns the state that the request ends in. */
  #read(): number {
    if (Atomics.load(this.#words, CHANGED_WORD) !== 0) return FILE_CHANGED;
    let outcome = this.#tryRead();
    if (outcome !== READ) outcome = this.#tryRead();
    return outcome !== READ || this.#isCheckDue() ? this.#knownOutcome(outcome) : outcome;
  }

  /** The outcome of a read, knowing how the file is now. */
  #knownOutcome(outcome: number): number {
    try {
      if (this.#disk.isUnchanged()) return outcome;
      Atomics.store(this.#words, CHANGED_WORD, 1);
      return FILE_CHANGED;
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Straight to its address, or over a buffer: what is of pieces, or no whole sectors. */
  #tryRead(): number {
    const words = this.#words;
    const word = this.#word;
    const offsetBytes = (words[word + OFFSET_HIGH] >>> 0) * 2 ** 32 +
      (words[word + OFFSET_LOW] >>> 0);
    const sizeBytes = words[word + SIZE] >>> 0;
    const address = words[word + ADDRESS] >>> 0;
    const hasPieces = words[word + PIECE_COUNT] > 0;
    const sector = Math.max(1, this.#disk.sectorBytes);
    const isWhole = offsetBytes % sector === 0 && sizeBytes % sector === 0;
    const isStraight = !hasPieces && isWhole && address % sector === 0;
    const arena = this.#arenas[this.#rank][words[word + ARENA]];
    try {
      if (isStraight || sizeBytes > SPAN_BYTES_MAX) {
        return this.#bring(arena, address, sizeBytes, offsetBytes);
      }
      const before = offsetBytes % sector;
      const span = this.#spanBuffer();
      const whole = alignUp(before + sizeBytes, sector);
      const outcome = this.#bring(span, 0, whole, offsetBytes - before);
      if (outcome !== READ) return outcome;
      if (hasPieces) this.#copyPieces(span, before, arena);
      else arena.set(span.subarray(before, before + sizeBytes), address);
      return READ;
    } catch (error) {
      return this.#refuse(error);
    }
  }

  #bring(into: Uint8Array, address: number, sizeBytes: number, offsetBytes: number): number {
    const came = this.#disk.read(into, address, sizeBytes, offsetBytes);
    if (came >= expectedBytes(this.#disk, offsetBytes, sizeBytes)) return READ;
    this.#words[this.#word + CAME] = came;
    return CUT_SHORT;
  }

  #refuse(error: unknown): number {
    this.#board.writeReason(this.#word, messageOf(error));
    return REFUSED;
  }

  /** The span's first byte is at `begin`. */
  #copyPieces(span: Uint8Array, begin: number, arena: Uint8Array): void {
    const words = this.#words;
    const count = words[this.#word + PIECE_COUNT];
    for (let i = 0, at = this.#word + PIECES; i < count; i++, at += PIECE_WORDS) {
      const start = begin + words[at];
      arena.set(span.subarray(start, start + words[at + 2]), words[at + 1] >>> 0);
    }
  }

  #spanBuffer(): Uint8Array {
    // Memory of WebAssembly begins at a page, as O_DIRECT wants it.
    this.#span ??= new Uint8Array(
      new WebAssembly.Memory({ initial: SPAN_PAGES }).buffer,
    );
    return this.#span;
  }

  /** True for one of the workers once a second. */
  #isCheckDue(): boolean {
    const words = this.#words;
    const now = this.#nowMs() | 0;
    const before = Atomics.load(words, CHECKED_MS_WORD);
    // Unsigned: a clock that was set back makes it due, too.
    if ((now - before) >>> 0 < CHECK_MS) return false;
    return Atomics.compareExchange(words, CHECKED_MS_WORD, before, now) === before;
  }
}
