/**
 * A rank's reads where the kernel does them while the rank computes: what ReadQueue does by
 * threads, without any, so that nobody takes the rank's core. What has come is put in its place
 * when the rank looks for it. Takes reads in the order in which they are asked for, whatever their
 * priority. Knows nothing of neurons.
 *
 * A ticket is the number of the request, modulo 2^29.
 */
import { alignUp } from "../base/check.ts";
import { messageOf, WorkerError } from "../base/errors.ts";
import { type Disk, expectedBytes, type FileDisk, openDisk } from "./disk.ts";
import { KernelReads } from "./kernel_reads.ts";
import { changedText, cutShortText, type FailedRead, refusedText } from "./read_failure.ts";
import {
  DONE,
  FAILED,
  NO_TICKET,
  PENDING,
  type Reads,
  type ReadState,
  SPAN_BYTES_MAX,
} from "./read_queue.ts";
import { SpanRing } from "./span_ring.ts";

/** Requests that a rank can have under way. */
const CAPACITY = 256;
const SEQUENCE_MASK = 2 ** 29 - 1;
const PIECES_MAX = 16;
/** Words of an entry; pieces: [offset in the span, address, bytes]. */
const ARENA = 0;
const ADDRESS = 1;
const SIZE = 2;
const PIECE_COUNT = 3;
const PIECES = 4;
const PIECE_WORDS = 3;
const ENTRY_WORDS = PIECES + PIECE_WORDS * PIECES_MAX;

/** Whoever waits looks this often whether reading was ended. */
const SLEEP_MS_MAX = 200;
/** The file is looked at this often while it is read. */
const CHECK_MS = 1_000;
/** Failures are remembered, the last so many. */
const FAILURES_MAX = 4096;

export interface KernelQueueOptions {
  /** What is read: of a file that was opened past the file cache. */
  readonly disk: Disk;
  /** The rank's, by arena. */
  readonly memories: readonly WebAssembly.Memory[];
  /** True when waiting is of no use any more. */
  readonly isEnded: () => boolean;
  /** As of ReadQueueOptions. */
  readonly gapBytesMax?: number;
  readonly spanBytesMax?: number;
}

/** What reads begin with: kernel_reads.ts, or a test's. */
export type Kernel = Pick<
  KernelReads,
  "capacity" | "addressOf" | "ask" | "begin" | "wait" | "tag" | "came" | "close"
>;

/** True where the kernel does reads of the file for whoever asks. */
export function canReadByKernel(path: string): boolean {
  const disk = openDisk(path);
  try {
    const kernel = kernelOf(disk);
    kernel?.close();
    return kernel !== null;
  } finally {
    disk.close();
  }
}

/** @throws {WorkerError} where `canReadByKernel` is not, or no more. */
export function openKernelQueue(
  disk: FileDisk,
  options: Omit<KernelQueueOptions, "disk">,
): KernelQueue {
  const kernel = kernelOf(disk);
  if (kernel === null) {
    disk.close();
    throw new WorkerError(
      `The kernel does not take reads of "${disk.path}": say how many threads are to read, with ` +
        "--io-threads",
    );
  }
  return new KernelQueue(kernel, { ...options, disk });
}

function kernelOf({ sectorBytes, directDescriptor }: FileDisk): KernelReads | null {
  return sectorBytes === 0 ? null : KernelReads.open(directDescriptor, CAPACITY);
}

export class KernelQueue implements Reads {
  readonly #kernel: Kernel;
  readonly #disk: Disk;
  readonly #isEnded: () => boolean;
  readonly #gapBytesMax: number;
  readonly #spanBytesMax: number;
  /** By arena: its bytes and where they are. */
  readonly #arenas: readonly Uint8Array[];
  readonly #arenaAddresses: readonly number[];
  /** By entry, a request's number modulo how many there are. */
  readonly #states: Uint8Array;
  readonly #offsets: Float64Array;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #spans: SpanRing;
  readonly #spansAddress: number;
  /** Requests made. The last one is open while merge() may add to it. */
  #made = 0;
  #isOpen = false;
  #openEnd = 0;
  /** Requests that the kernel is to begin with, and that it has begun with. */
  #asked = 0;
  #underWay = 0;
  #checkedMs = performance.now();
  #isChanged = false;
  /** By ticket. */
  readonly #failures = new Map<number, string>();

  constructor(kernel: Kernel, options: KernelQueueOptions) {
    const { disk, memories, isEnded, gapBytesMax = 0, spanBytesMax = SPAN_BYTES_MAX } = options;
    const { capacity } = kernel;
    this.#kernel = kernel;
    this.#disk = disk;
    this.#isEnded = isEnded;
    this.#gapBytesMax = gapBytesMax;
    this.#spanBytesMax = Math.min(spanBytesMax, SPAN_BYTES_MAX);
    this.#arenas = memories.map(({ buffer }) => new Uint8Array(buffer));
    this.#arenaAddresses = this.#arenas.map((arena) => kernel.addressOf(arena));
    this.#states = new Uint8Array(capacity).fill(DONE);
    this.#offsets = new Float64Array(capacity);
    this.#words = new Int32Array(ENTRY_WORDS * capacity);
    this.#mask = capacity - 1;
    this.#spans = new SpanRing(capacity);
    this.#spansAddress = kernel.addressOf(this.#spans.bytes);
  }

  ask(
    priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    this.flush();
    const ticket = this.merge(priority, offsetBytes, sizeBytes, arena, address);
    this.flush();
    return ticket;
  }

  merge(
    _priority: number,
    offsetBytes: number,
    sizeBytes: number,
    arena: number,
    address: number,
  ): number {
    if (this.#isOpen) {
      const entry = this.#made - 1 & this.#mask;
      const words = this.#words;
      const at = ENTRY_WORDS * entry;
      const start = this.#offsets[entry];
      const gap = offsetBytes - this.#openEnd;
      const count = words[at + PIECE_COUNT] || 1;
      if (
        gap >= 0 && gap <= this.#gapBytesMax && arena === words[at + ARENA] &&
        count < PIECES_MAX && offsetBytes + sizeBytes - start <= this.#spanBytesMax
      ) {
        if (count === 1) this.#setPiece(at, 0, 0, words[at + ADDRESS], words[at + SIZE]);
        this.#setPiece(at, count, offsetBytes - start, address, sizeBytes);
        words[at + PIECE_COUNT] = count + 1;
        this.#openEnd = offsetBytes + sizeBytes;
        words[at + SIZE] = this.#openEnd - start;
        return this.#made - 1 & SEQUENCE_MASK;
      }
      this.#publish();
    }
    return this.#open(offsetBytes, sizeBytes, arena, address);
  }

  flush(): void {
    this.#publish();
    while (this.#asked > 0) {
      const begun = this.#kernel.begin();
      this.#asked -= begun;
      this.#underWay += begun;
      if (this.#asked === 0) return;
      if (this.#underWay === 0) throw new WorkerError("The kernel takes no reads any more");
      this.#reap(1);
    }
  }

  before(ticket: number): number {
    return ticket - 1 & SEQUENCE_MASK;
  }

  state(ticket: number): ReadState {
    const entry = this.#entryOf(ticket);
    if (entry < 0) return this.#failures.has(ticket) ? FAILED : DONE;
    if (this.#states[entry] === PENDING) {
      this.flush();
      this.#reap(0);
    }
    return this.#states[entry] as ReadState;
  }

  wait(ticket: number): ReadState {
    const entry = this.#entryOf(ticket);
    if (entry < 0) return this.#failures.has(ticket) ? FAILED : DONE;
    this.#settle(entry);
    return this.#states[entry] as ReadState;
  }

  waitAll(tickets: Int32Array, count: number): number {
    let failed = NO_TICKET;
    for (let i = count - 1; i >= 0; i--) {
      if (this.wait(tickets[i]) === FAILED) failed = tickets[i];
    }
    return failed;
  }

  failure(ticket: number): string {
    return this.#failures.get(ticket) ?? "";
  }

  /** Waits for what is under way, and closes the file. */
  close(): void {
    this.#kernel.close();
    this.#disk.close();
  }

  /** The entry of a ticket, or -1 when it has been used again: the request was settled. */
  #entryOf(ticket: number): number {
    const age = this.#made - ticket & SEQUENCE_MASK;
    return age > this.#kernel.capacity ? -1 : ticket & this.#mask;
  }

  /** Takes the next entry for a request, to which merge() may add before it is published. */
  #open(offsetBytes: number, sizeBytes: number, arena: number, address: number): number {
    const ticket = this.#made;
    const entry = ticket & this.#mask;
    const at = ENTRY_WORDS * entry;
    this.#settle(entry);
    this.#words[at + ARENA] = arena;
    this.#words[at + ADDRESS] = address;
    this.#words[at + SIZE] = sizeBytes;
    this.#words[at + PIECE_COUNT] = 0;
    this.#offsets[entry] = offsetBytes;
    this.#states[entry] = PENDING;
    this.#isOpen = true;
    this.#openEnd = offsetBytes + sizeBytes;
    this.#made = ticket + 1 & SEQUENCE_MASK;
    if (this.#failures.size > 0) this.#failures.delete(ticket);
    return ticket;
  }

  #setPiece(at: number, index: number, offset: number, address: number, bytes: number): void {
    const piece = at + PIECES + PIECE_WORDS * index;
    this.#words[piece] = offset;
    this.#words[piece + 1] = address;
    this.#words[piece + 2] = bytes;
  }

  /** Hands the open request to the kernel: straight to its address, or over the spans. */
  #publish(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const entry = this.#made - 1 & this.#mask;
    const at = ENTRY_WORDS * entry;
    const words = this.#words;
    const offset = this.#offsets[entry];
    const [size, address] = [words[at + SIZE], words[at + ADDRESS] >>> 0];
    const sector = this.#disk.sectorBytes;
    const isWhole = offset % sector === 0 && size % sector === 0 && address % sector === 0;
    this.#spans.release(entry);
    if (words[at + PIECE_COUNT] === 0 && (isWhole || size > SPAN_BYTES_MAX)) {
      if (this.#isChanged || !isWhole) return this.#conclude(entry, -1);
      this.#kernel.ask(entry, this.#arenaAddresses[words[at + ARENA]] + address, size, offset);
    } else {
      const before = offset % sector;
      const whole = alignUp(before + size, sector);
      for (let held; (held = this.#spans.reserve(entry, whole)) >= 0;) this.#settle(held);
      if (this.#isChanged) return this.#conclude(entry, -1);
      const span = this.#spans.startOf(entry);
      this.#kernel.ask(entry, this.#spansAddress + span, whole, offset - before);
    }
    this.#asked++;
  }

  #settle(entry: number): void {
    if (this.#states[entry] !== PENDING) return;
    this.flush();
    while (this.#states[entry] === PENDING) {
      if (this.#isEnded()) throw new WorkerError("Reading was ended");
      this.#reap(1);
    }
  }

  /** Puts what has come in its place, once at least so many reads have ended. */
  #reap(least: number): void {
    if (this.#underWay === 0) return;
    const kernel = this.#kernel;
    const count = kernel.wait(least, least === 0 ? 0 : SLEEP_MS_MAX);
    this.#underWay -= count;
    if (count > 0) this.#checkFile(false);
    for (let i = 0; i < count; i++) this.#conclude(kernel.tag(i), kernel.came(i));
  }

  /** came: what the kernel brought of a request; too little is read once more, by itself. */
  #conclude(entry: number, came: number): void {
    const at = ENTRY_WORDS * entry;
    const words = this.#words;
    const offset = this.#offsets[entry];
    const size = words[at + SIZE];
    const span = this.#spans.startOf(entry);
    const arena = this.#arenas[words[at + ARENA]];
    const before = span < 0 ? 0 : offset % this.#disk.sectorBytes;
    const whole = span < 0 ? size : alignUp(before + size, this.#disk.sectorBytes);
    if (this.#isChanged || came < expectedBytes(this.#disk, offset - before, whole)) {
      const into = span < 0 ? arena : this.#spans.bytes;
      const to = span < 0 ? words[at + ADDRESS] >>> 0 : span;
      const why = this.#readAgain(into, to, whole, offset - before);
      if (why !== "") {
        this.#remember(this.#ticketOf(entry), why);
        this.#states[entry] = FAILED;
        return;
      }
    }
    this.#states[entry] = DONE;
    if (span < 0) return;
    const { bytes } = this.#spans;
    const count = words[at + PIECE_COUNT];
    if (count === 0) {
      const from = span + before;
      arena.set(bytes.subarray(from, from + size), words[at + ADDRESS] >>> 0);
    }
    for (let i = 0, piece = at + PIECES; i < count; i++, piece += PIECE_WORDS) {
      const from = span + before + words[piece];
      arena.set(bytes.subarray(from, from + words[piece + 2]), words[piece + 1] >>> 0);
    }
  }

  /** @returns why it failed again; empty: it did not. */
  #readAgain(into: Uint8Array, to: number, sizeBytes: number, offsetBytes: number): string {
    const read: FailedRead = { path: this.#disk.path, offsetBytes, sizeBytes };
    this.#checkFile(true);
    if (this.#isChanged) return changedText(read);
    try {
      const came = this.#disk.read(into, to, sizeBytes, offsetBytes);
      if (came >= expectedBytes(this.#disk, offsetBytes, sizeBytes)) return "";
      return cutShortText(read, came);
    } catch (error) {
      return refusedText(read, messageOf(error));
    }
  }

  #remember(ticket: number, why: string): void {
    const failures = this.#failures;
    if (failures.size === FAILURES_MAX) failures.delete(failures.keys().next().value!);
    failures.set(ticket, why);
  }

  /** The last request that had the entry. */
  #ticketOf(entry: number): number {
    return this.#made - 1 - (this.#made - 1 - entry & this.#mask) & SEQUENCE_MASK;
  }

  /** Looks once a second, or at once, whether the file is still the one that was opened. */
  #checkFile(now: boolean): void {
    if (this.#isChanged) return;
    const ms = performance.now();
    if (!now && ms - this.#checkedMs < CHECK_MS) return;
    this.#checkedMs = ms;
    try {
      this.#isChanged = !this.#disk.isUnchanged();
    } catch {
      this.#isChanged = true;
    }
  }
}
