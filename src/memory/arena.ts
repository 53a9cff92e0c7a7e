/**
 * An arena's regions: names, offsets, sizes. An arena is one WebAssembly memory; everything in it
 * is placed once, before the memory exists, and never moves. Knows nothing of what the bytes mean.
 */
import { alignUp, check } from "../base/check.ts";
import { formatBytes } from "../base/units.ts";
import { REGION_ALIGN_BYTES } from "./row_layout.ts";

/** Bytes of a WebAssembly page. */
export const PAGE_BYTES = 65536;
/** The most one 32-bit memory can hold. */
export const ARENA_BYTES_MAX = 65536 * PAGE_BYTES;
/** Address 0 stays unused, so that a forgotten pointer is noticed. */
const FIRST_OFFSET_BYTES = 1024;

export type RegionKind = "weights" | "slots" | "kv" | "activations";

export interface Region {
  readonly name: string;
  readonly kind: RegionKind;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** Places regions one behind another; the result is plain data and can be posted to a thread. */
export class ArenaBuilder {
  readonly #regions: Region[] = [];
  #endBytes = FIRST_OFFSET_BYTES;

  /** Reserves `sizeBytes` at a multiple of `alignBytes` and returns the offset. */
  allocate(
    name: string,
    kind: RegionKind,
    sizeBytes: number,
    alignBytes = REGION_ALIGN_BYTES,
  ): number {
    check(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `size of region ${name}`);
    const offsetBytes = alignUp(this.#endBytes, alignBytes);
    this.#regions.push({ name, kind, offsetBytes, sizeBytes });
    this.#endBytes = offsetBytes + sizeBytes;
    return offsetBytes;
  }

  /** Bytes used so far. */
  get endBytes(): number {
    return this.#endBytes;
  }

  /** A point to which `reset` returns. */
  mark(): { readonly regionCount: number; readonly endBytes: number } {
    return { regionCount: this.#regions.length, endBytes: this.#endBytes };
  }

  /** Forgets everything allocated since `mark`. */
  reset(mark: { readonly regionCount: number; readonly endBytes: number }): void {
    this.#regions.length = mark.regionCount;
    this.#endBytes = mark.endBytes;
  }

  build(): ArenaPlan {
    return {
      regions: this.#regions,
      pageCount: Math.ceil(this.#endBytes / PAGE_BYTES),
    };
  }
}

export interface ArenaPlan {
  readonly regions: readonly Region[];
  readonly pageCount: number;
}

/** Bytes of each kind of region over some arenas. */
export function bytesByKind(arenas: readonly ArenaPlan[]): Record<RegionKind, number> {
  const bytes = { weights: 0, slots: 0, kv: 0, activations: 0 };
  for (const arena of arenas) {
    for (const region of arena.regions) bytes[region.kind] += region.sizeBytes;
  }
  return bytes;
}

/**
 * The arena's memory: shared, of its final size; pages cost nothing until they are touched.
 * @throws {RangeError} when the system has no room for that many bytes.
 */
export function createArenaMemory(plan: ArenaPlan): WebAssembly.Memory {
  const maximum = ARENA_BYTES_MAX / PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: plan.pageCount, maximum, shared: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new RangeError(
      `Cannot reserve ${formatBytes(plan.pageCount * PAGE_BYTES)} of memory for a thread: the ` +
        "system has no room for them: use fewer tokens of context (--ctx-size), or more threads",
      { cause: error },
    );
  }
}
