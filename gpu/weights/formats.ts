/**
 * How weights of each ggml type lie on the GPU, and how many bytes they take there. A row is cut
 * into pieces, which kernels read whole; quantised types have factors besides, one for each group.
 */
import { check, divExact } from "../../src/base/check.ts";
import { DEQUANTIZED_TYPES } from "../../src/model/mod.ts";
import { factorWords, SUPERBLOCK } from "./superblocks.ts";

/** Kinds of factors; the numbers are those in the shaders. */
export const FACTORS = {
  /** f16 scale. */
  scale16: 0,
  /** f32 scale. */
  scale32: 1,
  /** f16 scale, f16 offset. */
  pair16: 2,
  /** f32 scale, f32 offset. */
  pair32: 3,
  /** Of a superblock an f16 scale, of a group a signed byte. */
  superScale: 4,
  /** Of a superblock f16 scale and offset, of a group an integer of each. */
  superPair: 5,
} as const;
export type FactorKind = keyof typeof FACTORS;

/** Bytes of a group's factors, where it has its own. */
const FACTOR_BYTES = { scale16: 2, scale32: 4, pair16: 4, pair32: 8 } as const;
/** The same factors multiplied out, for rows that are no whole superblocks. */
const WITHOUT_SUPERBLOCKS = { superScale: "scale32", superPair: "pair32" } as const;

/** What codes of 4 bits stand for; the numbers are those in the shaders. */
export const LEVELS = {
  /** Themselves. */
  counted: 0,
  /** FP4 numbers, doubled and 12 more: kernels/parts/levels.wgsl. */
  fp4: 1,
  /** The sixteen of IQ4. */
  iq4: 2,
  /** The sixteen of IQ3_XXS, halved, and 31 more. */
  iq3: 3,
  /** The six of IQ2, and 43 more. */
  iq2: 4,
  /** The six of IQ1, eight times themselves, and 9 more. */
  iq1: 5,
} as const;
export type LevelKind = keyof typeof LEVELS;

/** Codes of 4 bits (pieces of 32) or 8 bits (pieces of 16), in groups with factors. */
export interface CodeFormat {
  readonly family: "nibble" | "byte";
  /** Columns of a group. */
  readonly group: 16 | 32;
  readonly factors: FactorKind;
  /** Of 8 bits: counted. */
  readonly levels: LevelKind;
  /** The level of zero, where factors are scales alone. */
  readonly middle: number;
  /** Of superblocks without offsets: multiplies the integers of groups. */
  readonly unit: number;
}

/** Weights as they are, 4 a piece. */
export interface FloatFormat {
  readonly family: "float";
  readonly kind: "f16" | "bf16" | "f32";
}

export type WeightFormat = CodeFormat | FloatFormat;

/** Numbers of float kinds in the shaders. */
export const FLOAT_KINDS = { f16: 0, bf16: 1, f32: 2 } as const;

/** The exact format of each type. */
const FORMATS: Readonly<Record<string, WeightFormat>> = {
  F32: { family: "float", kind: "f32" },
  F16: { family: "float", kind: "f16" },
  BF16: { family: "float", kind: "bf16" },
  Q4_0: nibble("scale16", { middle: 8 }),
  Q4_1: nibble("pair16"),
  E0M4: nibble("pair16"),
  Q2_K: nibble("superPair", { group: 16 }),
  Q3_K: nibble("superScale", { group: 16, middle: 4 }),
  Q4_K: nibble("superPair"),
  Q5_0: byte("scale16"),
  Q5_1: byte("pair16"),
  Q5_K: byte("superPair"),
  Q6_K: byte("superScale", 16),
  Q8_0: byte("scale16"),
  IQ4_NL: nibble("scale16", { levels: "iq4" }),
  IQ4_XS: nibble("superScale", { levels: "iq4" }),
  MXFP4: nibble("scale32", { levels: "fp4", middle: 12 }),
  NVFP4: nibble("scale16", { group: 16, levels: "fp4", middle: 12 }),
  NVFP4S: nibble("scale32", { group: 16, levels: "fp4", middle: 12 }),
  IQ3_S: nibble("superScale", { middle: 7.5, unit: 2 }),
  IQ3_XXS: nibble("superScale", { levels: "iq3", middle: 31, unit: 1 / 2 }),
  IQ2_S: nibble("superScale", { group: 16, levels: "iq2", middle: 43, unit: 1 / 8 }),
  IQ2_XS: nibble("superScale", { group: 16, levels: "iq2", middle: 43, unit: 1 / 8 }),
  IQ2_XXS: nibble("superScale", { levels: "iq2", middle: 43, unit: 1 / 8 }),
  IQ1_M: nibble("superScale", { group: 16, levels: "iq1", middle: 9, unit: 1 / 8 }),
  IQ1_S: nibble("superScale", { levels: "iq1", middle: 9, unit: 1 / 8 }),
  TQ2_0: nibble("superScale", { middle: 1 }),
  TQ1_0: nibble("superScale", { middle: 1 }),
  Q2_0: nibble("scale16", { middle: 1 }),
  Q1_0: nibble("scale16", { middle: 1 }),
};

/** The types that have a format. */
export const GPU_TYPES: readonly string[] = DEQUANTIZED_TYPES
  .filter((type) => Object.hasOwn(FORMATS, type));

/**
 * How rows of `columns` weights of ggml type `type` lie; undefined when the GPU does not compute
 * with that type, or with rows that long: columns come by 32, those of floats by 4.
 */
export function weightFormat(type: string, columns: number): WeightFormat | undefined {
  const format = Object.hasOwn(FORMATS, type) ? FORMATS[type] : undefined;
  if (format === undefined || columns % (format.family === "float" ? 4 : 32) !== 0) {
    return undefined;
  }
  if (format.family === "float") return format;
  const { factors, group } = format;
  if (factors === "superScale" || factors === "superPair") {
    return columns % SUPERBLOCK === 0
      ? format
      : { ...format, factors: WITHOUT_SUPERBLOCKS[factors], unit: 1 };
  }
  // A row's f16 scales must be whole words.
  const isOdd = factors === "scale16" && columns / group % 2 !== 0;
  return isOdd ? { ...format, factors: "scale32" } : format;
}

/** Bytes of a row's codes (or floats) and of its factors. */
export function rowBytes(
  format: WeightFormat,
  columns: number,
): { codes: number; factors: number } {
  if (format.family === "float") {
    return { codes: columns * (format.kind === "f32" ? 4 : 2), factors: 0 };
  }
  return {
    codes: format.family === "nibble" ? columns / 2 : columns,
    factors: factorBytes(format, columns),
  };
}

function factorBytes({ factors, group }: CodeFormat, columns: number): number {
  if (factors === "superScale" || factors === "superPair") {
    const words = factorWords(SUPERBLOCK / group, factors === "superPair");
    return divExact(columns, SUPERBLOCK) * 4 * words;
  }
  return divExact(columns, group) * FACTOR_BYTES[factors];
}

/** Columns at which a row may be cut. */
export function columnStep(format: WeightFormat): number {
  if (format.family === "float") return 4;
  return format.factors.startsWith("super") ? SUPERBLOCK : 32;
}

/** Columns of a piece. */
export function pieceColumns({ family }: WeightFormat): number {
  return { nibble: 32, byte: 16, float: 4 }[family];
}

/** Bytes of a matrix on the GPU; `type` must have a format. */
export function matrixBytes(type: string, rows: number, columns: number): number {
  const format = weightFormat(type, columns);
  check(format !== undefined, `no format for rows of ${columns} weights of type ${type}`);
  const { codes, factors } = rowBytes(format, columns);
  return rows * (codes + factors);
}

function nibble(
  factors: FactorKind,
  own: Partial<Omit<CodeFormat, "family" | "factors">> = {},
): CodeFormat {
  return { family: "nibble", factors, group: 32, levels: "counted", middle: 0, unit: 1, ...own };
}

function byte(factors: FactorKind, group: 16 | 32 = 32): CodeFormat {
  return { family: "byte", group, factors, levels: "counted", middle: 0, unit: 1 };
}
