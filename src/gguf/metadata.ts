/**
 * Typed access to metadata: the value of a key, or a clear error about that key. Knows types;
 * knows nothing of what keys mean.
 */
import { ModelFormatError } from "../base/errors.ts";
import type { GgufArray, GgufFile, GgufValue, StringArray } from "./types.ts";

type Metadata = GgufFile["metadata"];

/** A metadata array of numbers that fit in a JavaScript number. */
export type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/**
 * The string at `key`, or `fallback` when the key is not there.
 * @throws {ModelFormatError} when the value is no string, or there is neither key nor fallback.
 */
export function getString(metadata: Metadata, key: string, fallback?: string): string {
  return get(metadata, { key, fallback, kind: "a string", is: isString });
}

/**
 * The number at `key`, of whatever width, or `fallback` when the key is not there.
 * @throws {ModelFormatError} when the value is no number or needs more than 53 bits, or there is
 *   neither key nor fallback.
 */
export function getNumber(metadata: Metadata, key: string, fallback?: number): number {
  return get(metadata, { key, fallback, kind: "a number", is: isNumber });
}

/**
 * The boolean at `key`, or `fallback` when the key is not there.
 * @throws {ModelFormatError} when the value is no boolean, or there is neither key nor fallback.
 */
export function getBoolean(metadata: Metadata, key: string, fallback?: boolean): boolean {
  return get(metadata, { key, fallback, kind: "a boolean", is: isBoolean });
}

/**
 * The strings at `key`, still packed, or `fallback` when the key is not there.
 * @throws {ModelFormatError} when the value is no array of strings, or there is neither key nor
 *   fallback.
 */
export function getStrings(metadata: Metadata, key: string, fallback?: StringArray): StringArray {
  return get(metadata, { key, fallback, kind: "an array of strings", is: isStrings });
}

/**
 * The numbers at `key`, a view that must not be written to, or `fallback` where there is no key.
 * @throws {ModelFormatError} when the value is no array of numbers of at most 32 bits or floats, or
 *   there is neither key nor fallback.
 */
export function getNumbers(metadata: Metadata, key: string, fallback?: NumberArray): NumberArray {
  return get(metadata, { key, fallback, kind: "an array of numbers", is: isNumbers });
}

/** How one getter differs from another. */
interface Wanted<T> {
  readonly key: string;
  readonly fallback: T | undefined;
  /** What it looks for, with its article. */
  readonly kind: string;
  readonly is: (value: GgufValue) => value is T & GgufValue;
}

function get<T>(metadata: Metadata, wanted: Wanted<T>): T {
  const { key, fallback, kind, is } = wanted;
  const value = metadata.get(key);
  if (value === undefined && fallback !== undefined) return fallback;
  if (value !== undefined && is(value)) return value;
  const state = value === undefined ? "it is missing" : `it is ${kindOf(value)}, not ${kind}`;
  const message = `Cannot use metadata "${key}": ${state}: convert the model anew`;
  throw new ModelFormatError(message, { offsetBytes: 0 });
}

function isString(value: GgufValue): value is string {
  return typeof value === "string";
}

function isNumber(value: GgufValue): value is number {
  return typeof value === "number";
}

function isBoolean(value: GgufValue): value is boolean {
  return typeof value === "boolean";
}

function isStrings(value: GgufValue): value is StringArray {
  return typeof value === "object" && "kind" in value;
}

function isNumbers(value: GgufValue): value is NumberArray {
  return ArrayBuffer.isView(value) && !isBigInts(value as GgufArray);
}

function isBigInts(value: GgufArray): boolean {
  return value instanceof BigUint64Array || value instanceof BigInt64Array;
}

function kindOf(value: GgufValue): string {
  if (typeof value === "bigint") return "an integer beyond 53 bits";
  if (typeof value !== "object") return `a ${typeof value}`;
  if (isStrings(value)) return "an array of strings";
  if (ArrayBuffer.isView(value)) {
    return isBigInts(value) ? "an array of 64-bit integers" : "an array of numbers";
  }
  return "an array";
}
