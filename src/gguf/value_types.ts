/** GGUF's value types: their numbers in files and their sizes. */
import type { GgufScalarType, GgufValueType } from "./types.ts";

/** Value types by GGUF's number. */
export const VALUE_TYPES: readonly GgufValueType[] = [
  "u8",
  "i8",
  "u16",
  "i16",
  "u32",
  "i32",
  "f32",
  "bool",
  "string",
  "array",
  "u64",
  "i64",
  "f64",
];

/** A scalar type whose values all have the same size. */
export type FixedType = Exclude<GgufScalarType, "string">;

/** A scalar type whose arrays are typed arrays. */
export type NumberType = Exclude<FixedType, "bool">;

/** Bytes of one value. */
export const VALUE_BYTES: Readonly<Record<FixedType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
};
