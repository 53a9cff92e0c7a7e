/**
 * Random blocks of every type: random bits with scales that give the weights a set deviation, which
 * is hundreds of times faster than quantising random floats. Knows where a block's scales lie;
 * knows nothing of tensors.
 */
import { check } from "../base/check.ts";
import { dtypeByName } from "../model/dtypes.ts";
import { codebook, type CodebookName, IQ4_LEVELS, UE4M3 } from "../model/mod.ts";
import { encodeWeights } from "../quantize/mod.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { isRandomType, type RandomType, type SynthType } from "./synth_types.ts";

/** How random bits become blocks. */
interface Recipe {
  /** Offset of the f16 scale. */
  readonly scaleAt: number;
  /** Root mean square of a weight whose f16 scale is 1; asked for where a table is long. */
  readonly deviation: number | (() => number);
  /** The f16 of minima: where, and how many scales it is, so that weights average 0. */
  readonly minimum?: { readonly at: number; readonly ratio: number };
  /** Changes bits of the block at `at` that must not be random. */
  readonly amend?: (bytes: Uint8Array, at: number) => void;
}

/** Root mean square of the integers `from` … `to`, and of what is so much more. */
function spread(from: number, to: number, more = 0): number {
  let sum = 0;
  for (let value = from; value <= to; value++) sum += (value + more) ** 2;
  return Math.sqrt(sum / (to - from + 1));
}

const LEVEL_DEVIATION = Math.sqrt(IQ4_LEVELS.reduce((sum, x) => sum + x * x, 0) / 16);
/** Deviation of 0 … 3, 0 … 15, 0 … 31 about their mean. */
const TWO_BITS = Math.sqrt(1.25);
const FOUR_BITS = Math.sqrt(21.25);
const FIVE_BITS = Math.sqrt(85.25);

/** Halves 0.5, 1.5, … 15.5: what four bits of IQ2 and IQ3 scales stand for; IQ3_S: 1, 3, … 31. */
const HALVES = spread(0, 15, 0.5);
/** 1, 3, … 15: what three bits of IQ1 scales stand for. */
const ODD_BELOW_16 = 2 * spread(0, 7, 0.5);
/** Of −1, 0, 1 where random digits are even. */
const TERNARY = Math.sqrt(2 / 3);
/** Of −1, 0, 1 where 0 is half of them. */
const TERNARY_BITS = Math.sqrt(1 / 2);

const RANDOM_RECIPES: Readonly<Record<RandomType, Recipe>> = {
  IQ1_S: { scaleAt: 0, deviation: () => ODD_BELOW_16 / 8 * Math.hypot(levels("IQ1"), 1) },
  IQ1_M: {
    scaleAt: 54,
    deviation: () => ODD_BELOW_16 / 8 * Math.hypot(levels("IQ1"), 1),
    amend: scaleInQuarters,
  },
  IQ2_XXS: { scaleAt: 0, deviation: () => HALVES / 4 * levels("IQ2_XXS") },
  IQ2_XS: { scaleAt: 0, deviation: () => HALVES / 4 * levels("IQ2_XS") },
  IQ2_S: { scaleAt: 0, deviation: () => HALVES / 4 * levels("IQ2_S") },
  IQ3_XXS: { scaleAt: 0, deviation: () => HALVES * levels("IQ3_XXS") },
  IQ3_S: { scaleAt: 0, deviation: () => 2 * HALVES * levels("IQ3_S") },
  TQ1_0: { scaleAt: 52, deviation: TERNARY },
  TQ2_0: { scaleAt: 64, deviation: TERNARY_BITS, amend: ternaryBits(0, 64) },
  Q1_0: { scaleAt: 0, deviation: 1 },
  Q2_0: { scaleAt: 0, deviation: TERNARY_BITS, amend: ternaryBits(2, 18) },
};

/** Root mean square of a codebook's levels. */
function levels(name: CodebookName): number {
  const book = codebook(name);
  return Math.sqrt(book.reduce((sum, level) => sum + level * level, 0) / book.length);
}

const RECIPES: Readonly<Partial<Record<SynthType, Recipe>>> = {
  ...RANDOM_RECIPES,
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
/** The code of 448. */
const LARGEST_SCALE = 126;

/** `count` blocks whose weights have mean 0 and the given standard deviation. */
export function randomBlocks(
  type: SynthType,
  { count, deviation, random }: { count: number; deviation: number; random: SeededRandom },
): Uint8Array<ArrayBuffer> {
  const { blockElements, blockBytes } = dtypeByName(type)!;
  if (type === "MXFP4") {
    const bytes = random.bytes(count * blockBytes);
    setExponents(bytes, { blockBytes, scale: deviation / FP4_DEVIATION, random });
    return bytes;
  }
  if (type === "NVFP4") {
    const bytes = random.bytes(count * blockBytes);
    setSmallScales(bytes, { blockBytes, scale: deviation / FP4_DEVIATION, random });
    return bytes;
  }
  const recipe = RECIPES[type];
  if (recipe !== undefined) {
    const bytes = random.bytes(count * blockBytes);
    setScales(bytes, { blockBytes, deviation, recipe, random });
    return bytes;
  }
  check(!isRandomType(type), `${type} has a recipe`);
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
  const own = typeof recipe.deviation === "number" ? recipe.deviation : recipe.deviation();
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const size = deviation / own * (0.8 + 0.4 * random.uniform());
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

/**
 * Scales of eight bits: neighbouring ones, as often as gives the deviation. Below the least of them
 * (2^-9) some are zero: real files have a factor for each tensor.
 */
function setSmallScales(
  bytes: Uint8Array,
  blocks: { blockBytes: number; scale: number; random: SeededRandom },
): void {
  const { blockBytes, scale, random } = blocks;
  let code = 0;
  while (code < LARGEST_SCALE - 1 && UE4M3[code + 1] <= scale) code++;
  const [own, next] = [UE4M3[code] ** 2, UE4M3[code + 1] ** 2];
  const shareOfNext = (scale * scale - own) / (next - own);
  for (let at = 0; at < bytes.length; at += blockBytes) {
    for (let g = 0; g < 4; g++) bytes[at + g] = code + (random.uniform() < shareOfNext ? 1 : 0);
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

/**
 * The scale of IQ1_M is written where its last word is, and moved from there to the top four bits
 * of all four words; the scales of that word's blocks become those of the first word.
 */
function scaleInQuarters(bytes: Uint8Array, at: number): void {
  const scale = bytes[at + 54] | bytes[at + 55] << 8;
  bytes[at + 54] = bytes[at + 48];
  bytes[at + 55] = bytes[at + 49];
  for (let i = 0; i < 4; i++) {
    const top = at + 49 + 2 * i;
    bytes[top] = bytes[top] & 15 | (scale >> 4 * i & 15) << 4;
  }
}

/** Two bits 3 are no ternary digit: they become 1, so that weights average 0. */
function ternaryBits(from: number, to: number): NonNullable<Recipe["amend"]> {
  return (bytes, at) => {
    for (let i = at + from; i < at + to; i++) bytes[i] &= ~(bytes[i] << 1 & bytes[i] & 0xaa);
  };
}
