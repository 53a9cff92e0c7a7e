/**
 * Floats to the bytes of a tensor type: whole blocks in, bytes out. Q8_0, Q4_0, Q4_1, Q5_0, Q5_1,
 * MXFP4 and NVFP4 give ggml's own bits; the others are searched here for the smallest squared
 * error. Knows nothing of tensors and files.
 */
import { check } from "../base/check.ts";
import { rowBytes } from "../model/dtypes.ts";
import { encodeQ4_0, encodeQ4_1, encodeQ5_0, encodeQ5_1, encodeQ8_0 } from "./encode_blocks.ts";
import { encodeE0m4 } from "./encode_e0m4.ts";
import { encodeBf16, encodeF16, encodeF32 } from "./encode_floats.ts";
import { encodeIq4Nl, encodeIq4Xs, encodeMxfp4 } from "./encode_levels.ts";
import { encodeNvfp4 } from "./encode_nvfp4.ts";
import { encodeQ2K, encodeQ4K, encodeQ5K } from "./encode_offset.ts";
import { encodeQ3K, encodeQ6K } from "./encode_signed.ts";

/** Writes the blocks of `weights`, whose number is a multiple of the type's block. */
type Encoder = (weights: Float32Array, into: DataView) => void;

const ENCODERS = {
  F32: encodeF32,
  F16: encodeF16,
  BF16: encodeBf16,
  Q8_0: encodeQ8_0,
  Q4_0: encodeQ4_0,
  Q4_1: encodeQ4_1,
  Q5_0: encodeQ5_0,
  Q5_1: encodeQ5_1,
  Q2_K: encodeQ2K,
  Q3_K: encodeQ3K,
  Q4_K: encodeQ4K,
  Q5_K: encodeQ5K,
  Q6_K: encodeQ6K,
  IQ4_NL: encodeIq4Nl,
  IQ4_XS: encodeIq4Xs,
  MXFP4: encodeMxfp4,
  NVFP4: encodeNvfp4,
  E0M4: encodeE0m4,
} as const satisfies Readonly<Record<string, Encoder>>;

/** A type that floats can be encoded in. */
export type WeightType = keyof typeof ENCODERS;

/** All of them. */
export const WEIGHT_TYPES = Object.keys(ENCODERS) as readonly WeightType[];

/** True when floats can be encoded in the type called `name`. */
export function isWeightType(name: string): name is WeightType {
  return Object.hasOwn(ENCODERS, name);
}

/** Bytes of `weights` as a tensor of `type`: whole rows, so a multiple of the type's block. */
export function encodeWeights(type: WeightType, weights: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(rowBytes(type, weights.length));
  encodeWeightsInto(type, weights, bytes);
  return bytes;
}

/** As `encodeWeights`, into an array of exactly as many bytes as `weights` takes. */
export function encodeWeightsInto(
  type: WeightType,
  weights: Float32Array,
  into: Uint8Array,
): void {
  check(into.length === rowBytes(type, weights.length), `${into.length} bytes of ${type}`);
  ENCODERS[type](weights, new DataView(into.buffer, into.byteOffset, into.byteLength));
}
