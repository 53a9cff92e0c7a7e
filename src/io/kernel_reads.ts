/**
 * Reads that the system's kernel does while nobody waits for them, many begun by one call: Linux'
 * asynchronous reads past the file cache. A read by a thread costs a system call, two switches and
 * a wake-up, 15 µs of a core and more; one of a batch costs 3 (NOTES.md). Needs `--allow-ffi`,
 * which is trust without limit: where it was not given, or this is no Linux, there are none, and
 * threads read one by one. Knows nothing of requests.
 *
 * What the calls are given has the layout of linux/aio_abi.h, little endian:
 *
 *   iocb      64 bytes: tag u64 │ 0 u64 │ command u16, 0 u16, file u32 │ address u64 │ size u64 │
 *             offset u64 │ 0 u64 │ 0 u64
 *   io_event  32 bytes: tag u64 │ iocb's address u64 │ result s64 │ 0 s64
 */
import { check } from "../base/check.ts";

/** Numbers of system calls, by `Deno.build.arch`. */
const CALLS: Readonly<Record<string, Calls>> = {
  x86_64: { setup: 206n, destroy: 207n, getevents: 208n, submit: 209n },
  aarch64: { setup: 0n, destroy: 1n, getevents: 4n, submit: 2n },
};

type Calls = Readonly<Record<"setup" | "destroy" | "getevents" | "submit", bigint>>;

/** Words of an iocb, and places in it; command 0 reads. */
const IOCB_WORDS = 16;
const FILE = 5;
const ADDRESS = 6;
const SIZE = 8;
const OFFSET = 10;
/** Words of an io_event, and the place of its result. */
const EVENT_WORDS = 8;
const RESULT = 4;
/** Arrays of less live among objects, which move. */
const ELEMENTS_MIN = 64;
const NS_PER_MS = 1_000_000n;

const SYMBOLS = {
  setup: { name: "syscall", parameters: ["usize", "usize", "pointer"], result: "i32" },
  destroy: { name: "syscall", parameters: ["usize", "pointer"], result: "i32" },
  submit: { name: "syscall", parameters: ["usize", "pointer", "usize", "pointer"], result: "i32" },
  getevents: {
    name: "syscall",
    parameters: ["usize", "pointer", "usize", "usize", "pointer", "pointer"],
    result: "i32",
  },
} as const;

export class KernelReads {
  /** Reads that can be under way at once. */
  readonly capacity: number;
  readonly #lib: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #calls: Calls;
  readonly #descriptor: number;
  readonly #context: Deno.PointerValue;
  /** iocb by tag, and where each is. */
  readonly #blocks: Uint32Array;
  readonly #blockAddresses: BigUint64Array;
  /** Addresses of blocks that were asked for and have not begun. */
  readonly #asked: BigUint64Array;
  #askedCount = 0;
  readonly #events: Int32Array;
  /** Seconds, nanoseconds. */
  readonly #timeout: BigInt64Array;
  /** Numbers up to the capacity as calls want them, made once. */
  readonly #bigints: readonly bigint[];
  #timeoutMs = 0;
  readonly #askedAt: Deno.PointerValue;
  readonly #eventsAt: Deno.PointerValue;
  readonly #timeoutAt: Deno.PointerValue;

  /** Null where there are none. descriptor: of a file that was opened with O_DIRECT. */
  static open(descriptor: number, capacity: number): KernelReads | null {
    const calls = CALLS[Deno.build.arch];
    if (Deno.build.os !== "linux" || calls === undefined || !mayCall()) return null;
    try {
      return new KernelReads(descriptor, capacity, calls);
    } catch {
      return null; // another C library, or a kernel that lets nobody
    }
  }

  private constructor(descriptor: number, capacity: number, calls: Calls) {
    this.capacity = capacity;
    this.#descriptor = descriptor;
    this.#calls = calls;
    this.#blocks = new Uint32Array(IOCB_WORDS * Math.max(capacity, ELEMENTS_MIN));
    this.#asked = new BigUint64Array(Math.max(capacity, ELEMENTS_MIN));
    this.#events = new Int32Array(EVENT_WORDS * Math.max(capacity, ELEMENTS_MIN));
    this.#timeout = new BigInt64Array(ELEMENTS_MIN);
    this.#bigints = Array.from({ length: capacity + 1 }, (_, i) => BigInt(i));
    this.#askedAt = Deno.UnsafePointer.of(this.#asked);
    this.#eventsAt = Deno.UnsafePointer.of(this.#events);
    this.#timeoutAt = Deno.UnsafePointer.of(this.#timeout);
    const first = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#blocks));
    this.#blockAddresses = BigUint64Array.from(
      { length: capacity },
      (_, tag) => first + BigInt(4 * IOCB_WORDS * tag),
    );
    this.#lib = Deno.dlopen("libc.so.6", SYMBOLS);
    const made = new BigUint64Array(ELEMENTS_MIN);
    const state = this.#lib.symbols.setup(
      calls.setup,
      BigInt(capacity),
      Deno.UnsafePointer.of(made),
    );
    if (state !== 0) this.#lib.close();
    check(state === 0, "the kernel has room for reads");
    this.#context = Deno.UnsafePointer.create(made[0]);
  }

  /** Where bytes are; they must not move: WebAssembly's memory does not. */
  addressOf(bytes: Uint8Array): number {
    const pointer = Deno.UnsafePointer.of(bytes as Uint8Array<ArrayBuffer>);
    return Number(Deno.UnsafePointer.value(pointer));
  }

  /**
   * Asks for a read of whole sectors to an address; `begin` lets all that were asked for begin. The
   * tag, 0 .. capacity-1, is that of no read that has not ended.
   */
  ask(tag: number, address: number, sizeBytes: number, offsetBytes: number): void {
    const blocks = this.#blocks;
    const at = IOCB_WORDS * tag;
    blocks[at] = tag;
    blocks[at + FILE] = this.#descriptor;
    blocks[at + ADDRESS] = address; // an Uint32Array keeps it modulo 2^32
    blocks[at + ADDRESS + 1] = address / 2 ** 32;
    blocks[at + SIZE] = sizeBytes;
    blocks[at + OFFSET] = offsetBytes;
    blocks[at + OFFSET + 1] = offsetBytes / 2 ** 32;
    this.#asked[this.#askedCount++] = this.#blockAddresses[tag];
  }

  /** Begins with what was asked for. @returns how many reads did: the others need another call. */
  begin(): number {
    const count = this.#askedCount;
    const { submit } = this.#lib.symbols;
    const size = this.#bigints[count];
    const begun = Math.max(0, submit(this.#calls.submit, this.#context, size, this.#askedAt));
    if (begun < count) this.#asked.copyWithin(0, begun, count);
    this.#askedCount -= begun;
    return begun;
  }

  /** Waits until `least` reads have ended, `ms` at most (of 999). @returns how many have. */
  wait(least: number, ms: number): number {
    const { capacity } = this;
    if (this.#timeoutMs !== ms) this.#timeout[1] = BigInt(ms) * NS_PER_MS;
    this.#timeoutMs = ms;
    const ended = this.#lib.symbols.getevents(
      this.#calls.getevents,
      this.#context,
      this.#bigints[least],
      this.#bigints[capacity],
      this.#eventsAt,
      this.#timeoutAt,
    );
    return Math.max(0, ended);
  }

  /** The tag of number i of those that have ended. */
  tag(i: number): number {
    return this.#events[EVENT_WORDS * i];
  }

  /** The bytes that came by it; less than 0: none, it was refused. */
  came(i: number): number {
    return this.#events[EVENT_WORDS * i + RESULT];
  }

  /** Waits for what is under way. */
  close(): void {
    this.#lib.symbols.destroy(this.#calls.destroy, this.#context);
    this.#lib.close();
  }
}

function mayCall(): boolean {
  return Deno.permissions.querySync({ name: "ffi" }).state === "granted";
}
