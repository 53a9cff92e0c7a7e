/**
 * Random blocks of every type: random bits with scales that give the weights a set deviation, which
 * is hundreds of times faster than quantising random floats. Knows where a block's scales lie;
 * knows nothing of tensors.
 */
import { dtypeByName } from "../model/dtypes.ts";
import { IQ4_LEVELS } from "../model/mod.ts";
import { encodeWeights, type WeightType } from "../quantize/mod.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** How random bits become blocks. */
interface Recipe {
  /** Offset of the f16 scale. */
  readonly scaleAt: number;
  /** Root mean square of a weight whose f16 scale is 1. */
  readonly deviation: number;
  /** The f16 of minima: where, and how many scales it is, so that weights average 0. */
  readonly minimum?: { readonly at: number; readonly ratio: number };
  /** Changes bits of the block at `at` that must not be random. */
  readonly amend?: (bytes: Uint8Array, at: number) => void;
}

/** Root mean square of the integers `from` … `to`. */
function spread(from: number, to: number): number {
  let sum = 0;
  for (let value = from; value <= to; value++) sum += value * value;
  return Math.sqrt(sum / (to - from + 1));
}

const LEVEL_DEVIATION = Math.sqrt(IQ4_LEVELS.reduce((sum, x) => sum + x * x, 0) / 16);
/** Deviation of 0 … 3, 0 … 15, 0 … 31 about their mean. */
const TWO_BITS = Math.sqrt(1.25);
const FOUR_BITS = Math.sqrt(21.25);
const FIVE_BITS = Math.sqrt(85.25);

const RECIPES: Readonly<Partial<Record<WeightType, Recipe>>> = {
  Q8_0: { scaleAt: 0, deviation: spread(-127, 127), amend: avoidMinus128 },
  Q4_0: { scaleAt: 0, deviation: spread(-8, 7) },
  Q4_1: { scaleAt: 0, deviation: FOUR_BITS, minimum: { at: 2, ratio: -7.5 } },
  E0M4: { scaleAt: 0, deviation: FOUR_BITS, minimum: { at: 2, ratio: -7.5 } },
  Q5_0: { scaleAt: 0, deviation: spread(-16, 15) },
  Q5_1: { scaleAt: 0, deviation: FIVE_BITS, minimum: { at: 2, ratio: -15.5 } },
  Q2_K: {
    scaleAt: 80,
    deviation: TWO_BITS * spread(8, 15),
    minimum: { at: 82, ratio: 1.5 },
    amend: equalMinimaQ2K,
  },
  Q3_K: { scaleAt: 108, deviation: spread(-4, 3) * spread(-32, 31) },
  Q4_K: {
    scaleAt: 0,
    deviation: FOUR_BITS * spread(32, 63),
    minimum: { at: 2, ratio: 7.5 },
    amend: equalMinima,
  },
  Q5_K: {
    scaleAt: 0,
    deviation: FIVE_BITS * spread(32, 63),
    minimum: { at: 2, ratio: 15.5 },
    amend: equalMinima,
  },
  Q6_K: { scaleAt: 208, deviation: spread(-32, 31) * spread(-128, 127) },
  IQ4_NL: { scaleAt: 0, deviation: LEVEL_DEVIATION },
  IQ4_XS: { scaleAt: 0, deviation: LEVEL_DEVIATION * spread(-32, 31) },
};

/** Root mean square of the FP4 numbers. */
const FP4_DEVIATION = Math.sqrt(68.5 / 8);

/** `count` blocks whose weights have mean 0 and the given standard deviation. */
export function randomBlocks(
  type: WeightType,
  { count, deviation, random }: { count: number; deviation: number; random: SeededRandom },
): Uint8Array<ArrayBuffer> {
  const { blockElements, blockBytes } = dtypeByName(type)!;
  if (type === "MXFP4") {
    const bytes = random.bytes(count * blockBytes);
    setExponents(bytes, { blockBytes, scale: deviation / FP4_DEVIATION, random });
    return bytes;
  }
  const recipe = RECIPES[type];
  if (recipe !== undefined) {
    const bytes = random.bytes(count * blockBytes);
    setScales(bytes, { blockBytes, deviation, recipe, random });
    return bytes;
  }
  const draw = () => deviation * random.normal();
  return encodeWeights(type, Float32Array.from({ length: count * blockElements }, draw));
}

/**
 * Writes each block's scale: within a fifth of what gives the deviation, with either sign where
 * there is no minimum, so that integers that average −½ do not give the weights a mean.
 */
function setScales(
  bytes: Uint8Array<ArrayBuffer>,
  blocks: { blockBytes: number; deviation: number; recipe: Recipe; random: SeededRandom },
): void {
  const { blockBytes, deviation, recipe, random } = blocks;
  const { scaleAt, minimum, amend } = recipe;
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const size = deviation / recipe.deviation * (0.8 + 0.4 * random.uniform());
    const isPositive = minimum !== undefined || random.uniform() < 0.5;
    view.setFloat16(at + scaleAt, isPositive ? size : -size, true);
    if (minimum) view.setFloat16(at + minimum.at, Math.f16round(size) * minimum.ratio, true);
    amend?.(bytes, at);
  }
}

/** Two neighbouring powers of two, as often as gives the deviation. */
function setExponents(
  bytes: Uint8Array,
  blocks: { blockBytes: number; scale: number; random: SeededRandom },
): void {
  const { blockBytes, scale, random } = blocks;
  const exponent = Math.floor(Math.log2(scale));
  const shareOfNext = ((scale / 2 ** exponent) ** 2 - 1) / 3;
  for (let at = 0; at < bytes.length; at += blockBytes) {
    bytes[at] = 127 + exponent + (random.uniform() < shareOfNext ? 1 : 0);
  }
}

/** No quantiser writes −128, and kernels may count on that. */
function avoidMinus128(bytes: Uint8Array, at: number): void {
  for (let i = at + 2; i < at + 34; i++) if (bytes[i] === 0x80) bytes[i] = 0;
}

/** Scales of Q2_K from 8 to 15, and minima of the same size. */
function equalMinimaQ2K(bytes: Uint8Array, at: number): void {
  for (let i = at; i < at + 16; i++) bytes[i] = (bytes[i] & 15 | 8) * 17;
}

/**
 * Scales of Q4_K and Q5_K from 32 to 63, and minima of the same size: their bytes are made equal,
 * and the topmost of the six bits set, which lies in bit 5 for blocks 0 to 3, in bit 7 for 4 to 7.
 */
function equalMinima(bytes: Uint8Array, at: number): void {
  for (let i = 0; i < 4; i++) {
    bytes[at + 4 + i] |= 0xa0;
    bytes[at + 8 + i] = bytes[at + 4 + i];
    bytes[at + 12 + i] = (bytes[at + 12 + i] & 15) * 17;
  }
}
