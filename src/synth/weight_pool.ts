/**
 * A few MiB of random blocks of one tensor type, from which tensors of any size are dealt as views:
 * making a model costs no more than writing it. Knows blocks; knows nothing of tensors.
 */
import { check } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import { dtypeByName, rowBytes } from "../model/dtypes.ts";
import { packWeights, type WeightType } from "./quantize_blocks.ts";
import type { SeededRandom } from "./seeded_random.ts";

const POOL_BYTES = 4 * MiB;
/** The longest view dealt at a time. */
const PIECE_BYTES_MAX = 1 * MiB;
/** Weights per block of the quantised types. */
const BLOCK_WEIGHTS = 32;
/** Root mean square of a uniform integer from −8 to 7. */
const NIBBLE_DEVIATION = Math.sqrt(21.5);
/** Root mean square of a uniform integer from −127 to 127. */
const BYTE_DEVIATION = Math.sqrt(128 * 127 / 3);

/** Random weights of mean 0 and a given standard deviation. */
export class WeightPool {
  readonly #bytes: Uint8Array;
  readonly #blockBytes: number;
  readonly #random: SeededRandom;

  constructor(type: WeightType, deviation: number, random: SeededRandom) {
    const dtype = dtypeByName(type);
    check(dtype !== undefined, `no tensor type "${type}"`);
    this.#blockBytes = dtype.blockBytes;
    this.#random = random;
    this.#bytes = randomBlocks(type, deviation, random);
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

function randomBlocks(type: WeightType, deviation: number, random: SeededRandom): Uint8Array {
  const { blockElements, blockBytes } = dtypeByName(type)!;
  const blockCount = Math.floor(POOL_BYTES / blockBytes);
  switch (type) {
    case "Q4_0":
    case "Q8_0": {
      const bytes = random.bytes(blockCount * blockBytes);
      if (type === "Q8_0") avoidMinus128(bytes);
      const scale = deviation / (type === "Q4_0" ? NIBBLE_DEVIATION : BYTE_DEVIATION);
      setScales(bytes, { blockBytes, scale, random });
      return bytes;
    }
    default: {
      const weights = Float32Array.from(
        { length: blockCount * blockElements },
        () => deviation * random.normal(),
      );
      return packWeights(type, weights);
    }
  }
}

/** No quantiser writes −128, and kernels may count on that. */
function avoidMinus128(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x80) bytes[i] = 0;
}

/**
 * Writes the f16 scale at the beginning of each block: within a fifth of `scale`, with either sign,
 * so that the nibbles' mean of −½ does not make a mean of the weights.
 */
function setScales(
  bytes: Uint8Array,
  blocks: { blockBytes: number; scale: number; random: SeededRandom },
): void {
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += blocks.blockBytes) {
    const size = blocks.scale * (0.8 + 0.4 * blocks.random.uniform());
    view.setFloat16(at, blocks.random.uniform() < 0.5 ? size : -size, true);
  }
}

/** The bytes of the first 32 weights of a row, all `weight`; for quantised types one block. */
export function constantHead(type: WeightType, weight: number): Uint8Array {
  const head = new Uint8Array(rowBytes(type, BLOCK_WEIGHTS));
  if (type !== "Q4_0" && type !== "Q8_0") {
    return packWeights(type, new Float32Array(BLOCK_WEIGHTS).fill(weight));
  }
  // The largest integer of each type: −8 and 127.
  new DataView(head.buffer).setFloat16(0, type === "Q4_0" ? weight / -8 : weight / 127, true);
  head.fill(type === "Q4_0" ? 0 : 127, 2);
  return head;
}
