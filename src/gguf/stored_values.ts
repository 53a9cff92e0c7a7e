/**
 * Metadata values with the type they are stored under, which GGUF's readers insist on: a block
 * count is a u32, whatever its size.
 */
import { check } from "../base/check.ts";
import type { GgufArray, GgufScalarType, GgufValue, TypedGgufFile } from "./types.ts";

/** A value and how it is to be stored; array elements are stored as the array's class says. */
export type StoredValue =
  | { readonly type: GgufScalarType; readonly value: number | bigint | boolean | string }
  | { readonly type: "array"; readonly value: GgufArray | readonly string[] };

/** A key and its value. */
export type MetadataEntry = readonly [key: string, stored: StoredValue];

/** An unsigned integer of 32 bits: counts, lengths, token ids. */
export function u32(value: number): StoredValue {
  return { type: "u32", value };
}

/** A float of 32 bits. */
export function f32(value: number): StoredValue {
  return { type: "f32", value };
}

/** A boolean. */
export function bool(value: boolean): StoredValue {
  return { type: "bool", value };
}

/** A string. */
export function text(value: string): StoredValue {
  return { type: "string", value };
}

/** An array: a typed array, booleans, strings, or arrays of these. */
export function list(value: GgufArray | readonly string[]): StoredValue {
  return { type: "array", value };
}

/** A file's metadata as it can be written again, value for value. */
export function storedMetadata(file: TypedGgufFile): MetadataEntry[] {
  return [...file.metadata].map(([key, value]) => {
    const type = file.metadataTypes.get(key);
    check(type !== undefined, `metadata "${key}" has no type`);
    return [key, storedAs(type, value)];
  });
}

function storedAs(type: GgufScalarType | "array", value: GgufValue): StoredValue {
  if (type === "array") {
    check(typeof value === "object", "an array's value is an array");
    return { type, value };
  }
  check(typeof value !== "object", "a scalar's value is no array");
  return { type, value };
}
