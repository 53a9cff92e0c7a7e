/** A disk that is made of a formula and fails on purpose: late, cut short, not at all. */
import type { Disk } from "../../src/io/disk.ts";

/** What becomes of a read. */
export type Fault = "none" | "refused" | "short";

export interface FakeDiskOptions {
  readonly sizeBytes?: number;
  /** It refuses anything but whole sectors, to multiples of them; default 0: it does not. */
  readonly sectorBytes?: number;
  /** What becomes of the N-th read, from 0. */
  readonly fault?: (read: number) => Fault;
  /** How long the N-th read takes; blocks the thread. */
  readonly delayMs?: (read: number) => number;
}

/** The byte at a place of every fake disk. */
export function byteAt(offsetBytes: number): number {
  const low = Math.imul(offsetBytes | 0, 0x9e3779b1);
  const high = Math.imul(offsetBytes / 2 ** 32 | 0, 0x85ebca6b);
  return (low ^ high ^ low >>> 15) >>> 8 & 255;
}

export class FakeDisk implements Disk {
  readonly path = "fake.ganglion";
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  /** Every read so far, in order. */
  readonly reads: { readonly offsetBytes: number; readonly sizeBytes: number }[] = [];
  /** What isUnchanged() says. */
  unchanged = true;
  readonly #options: FakeDiskOptions;

  constructor(options: FakeDiskOptions = {}) {
    this.sizeBytes = options.sizeBytes ?? 2 ** 40;
    this.sectorBytes = options.sectorBytes ?? 0;
    this.#options = options;
  }

  read(into: Uint8Array, address: number, sizeBytes: number, offsetBytes: number): number {
    const read = this.reads.push({ offsetBytes, sizeBytes }) - 1;
    if (address + sizeBytes > into.length) throw new RangeError("outside of the view");
    const sector = Math.max(1, this.sectorBytes);
    if ([address, sizeBytes, offsetBytes].some((bytes) => bytes % sector !== 0)) {
      throw new Error("EINVAL: no whole sectors");
    }
    const { fault = () => "none", delayMs = () => 0 } = this.#options;
    const ms = delayMs(read);
    if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const kind = fault(read);
    if (kind === "refused") {
      into.fill(0xee, address, address + sizeBytes); // what a device leaves is anything
      throw new Error("EIO: i/o error, read");
    }
    const left = Math.max(0, this.sizeBytes - offsetBytes);
    const count = Math.min(kind === "short" ? sizeBytes >> 1 : sizeBytes, left);
    for (let i = 0; i < count; i++) into[address + i] = byteAt(offsetBytes + i);
    return count;
  }

  isUnchanged(): boolean {
    return this.unchanged;
  }

  close(): void {}
}
