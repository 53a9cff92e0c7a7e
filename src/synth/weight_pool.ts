/**
 * A few MiB of random blocks of one tensor type, from which tensors of any size are dealt as views:
 * making a model costs no more than writing it. Knows blocks; knows nothing of tensors.
 */
import { check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import { dtypeByName } from "../model/dtypes.ts";
import { randomBlocks } from "./random_blocks.ts";
import type { SeededRandom } from "./seeded_random.ts";
import type { SynthType } from "./synth_types.ts";

const POOL_BYTES = 4 * MiB;
/** The longest view dealt at a time. */
const PIECE_BYTES_MAX = 1 * MiB;

/** Random weights of mean 0 and a given standard deviation. */
export class WeightPool {
  readonly #bytes: Uint8Array;
  readonly #blockBytes: number;
  readonly #random: SeededRandom;

  /** bytesMax: a model has so many: more would be made for nothing. */
  constructor(
    type: SynthType,
    { deviation, bytesMax = Infinity }: { deviation: number; bytesMax?: number },
    random: SeededRandom,
  ) {
    const dtype = dtypeByName(type);
    check(dtype !== undefined, `no tensor type "${type}"`);
    this.#blockBytes = dtype.blockBytes;
    this.#random = random;
    const count = Math.floor(Math.min(POOL_BYTES, bytesMax) / dtype.blockBytes);
    this.#bytes = randomBlocks(type, { count, deviation, random });
  }

  /** `sizeBytes` of whole blocks, as views of the pool that must not be written to. */
  *pieces(sizeBytes: number): Iterable<Uint8Array> {
    for (let left = sizeBytes; left > 0;) {
      const piece = this.#piece(left);
      yield piece;
      left -= piece.length;
    }
  }

  /** Fills `into`, which begins and ends on a block. */
  fill(into: Uint8Array): void {
    let at = 0;
    for (const piece of this.pieces(into.length)) {
      into.set(piece, at);
      at += piece.length;
    }
  }

  /** Begins anywhere in the pool, so that rows of one tensor do not repeat. */
  #piece(sizeBytesMax: number): Uint8Array {
    const blockCount = this.#bytes.length / this.#blockBytes;
    const begin = this.#random.below(blockCount) * this.#blockBytes;
    const wanted = Math.min(sizeBytesMax, PIECE_BYTES_MAX, this.#bytes.length - begin);
    const length = wanted - wanted % this.#blockBytes;
    return this.#bytes.subarray(begin, begin + length);
  }
}
