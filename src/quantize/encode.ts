/**
 * Floats to the bytes of a tensor type: whole blocks in, bytes out. Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,
 * MXFP4 and NVFP4 give ggml's own bits; the others are searched here for the smallest squared
 * error, and so are Q4_0 to Q5_1 where it is known what weights count. Knows nothing of tensors and
 * files.
 */
import { check } from "../base/check.ts";
import { rowBytes } from "../model/dtypes.ts";
import {
  encodeQ4_0,
  encodeQ4_1,
  encodeQ5_0,
  encodeQ5_1,
  encodeQ8_0,
  searchQ4_0,
  searchQ4_1,
  searchQ5_0,
  searchQ5_1,
} from "./encode_blocks.ts";
import { encodeE0m4 } from "./encode_e0m4.ts";
import { encodeBf16, encodeF16, encodeF32 } from "./encode_floats.ts";
import { encodeIq4Nl, encodeIq4Xs, encodeMxfp4 } from "./encode_levels.ts";
import { encodeNvfp4 } from "./encode_nvfp4.ts";
import { encodeQ2K, encodeQ4K, encodeQ5K } from "./encode_offset.ts";
import { encodeQ3K, encodeQ6K } from "./encode_signed.ts";
import type { Weighed } from "./fit.ts";

/** Writes the blocks of `weights`, whose number is a multiple of the type's block. */
type Encoder = (weights: Float32Array, into: DataView) => void;
/** The same by a search for the smallest error. */
type Search = (from: Weighed, into: DataView) => void;

/** By rules, which leave nothing to search. */
const RULED = {
  F32: encodeF32,
  F16: encodeF16,
  BF16: encodeBf16,
  Q8_0: encodeQ8_0,
  Q4_0: encodeQ4_0,
  Q4_1: encodeQ4_1,
  Q5_0: encodeQ5_0,
  Q5_1: encodeQ5_1,
  MXFP4: encodeMxfp4,
  NVFP4: encodeNvfp4,
} as const satisfies Readonly<Record<string, Encoder>>;

const SEARCHED = {
  Q2_K: encodeQ2K,
  Q3_K: encodeQ3K,
  Q4_K: encodeQ4K,
  Q5_K: encodeQ5K,
  Q6_K: encodeQ6K,
  IQ4_NL: encodeIq4Nl,
  IQ4_XS: encodeIq4Xs,
  E0M4: encodeE0m4,
} as const satisfies Readonly<Record<string, Search>>;

/** Searched where weights count differently. */
const SEARCHED_BY_IMPORTANCE = {
  ...SEARCHED,
  Q4_0: searchQ4_0,
  Q4_1: searchQ4_1,
  Q5_0: searchQ5_0,
  Q5_1: searchQ5_1,
} as const satisfies Readonly<Record<string, Search>>;

/** The types that floats can be encoded in. */
export const WEIGHT_TYPES = [
  ...["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"] as const,
  ...["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"] as const,
  ...["MXFP4", "NVFP4", "E0M4"] as const,
] as const;
export type WeightType = typeof WEIGHT_TYPES[number];

/** True when floats can be encoded in the type called `name`. */
export function isWeightType(name: string): name is WeightType {
  return (WEIGHT_TYPES as readonly string[]).includes(name);
}

/** Is the type's error made smaller where it is known what weights count? */
export function usesImportance(type: WeightType): boolean {
  return Object.hasOwn(SEARCHED_BY_IMPORTANCE, type);
}

/**
 * Bytes of `weights` as a tensor of `type`: whole rows, so a multiple of the type's block.
 * `importance`: what the squared error of each counts, above 0; left out, all count the same.
 */
export function encodeWeights(
  type: WeightType,
  weights: Float32Array,
  importance?: Float32Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(rowBytes(type, weights.length));
  encodeWeightsInto(type, weights, bytes, importance);
  return bytes;
}

/** As `encodeWeights`, into an array of exactly as many bytes as the weights take. */
export function encodeWeightsInto(
  type: WeightType,
  weights: Float32Array,
  into: Uint8Array,
  importance?: Float32Array,
): void {
  check(into.length === rowBytes(type, weights.length), `${into.length} bytes of ${type}`);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  if (importance !== undefined && isOneOf(SEARCHED_BY_IMPORTANCE, type)) {
    check(importance.length === weights.length, "what each weight counts");
    SEARCHED_BY_IMPORTANCE[type]({ weights, importance }, view);
  } else if (isOneOf(SEARCHED, type)) {
    SEARCHED[type]({ weights, importance: ones(weights.length) }, view);
  } else RULED[type](weights, view);
}

function isOneOf<T extends object>(encoders: T, type: PropertyKey): type is keyof T {
  return Object.hasOwn(encoders, type);
}

let allOnes = new Float32Array(0);

/** 1 for each of so many weights, of an array that is used again. */
function ones(count: number): Float32Array {
  if (allOnes.length < count) allOnes = new Float32Array(count).fill(1);
  return allOnes.subarray(0, count);
}
