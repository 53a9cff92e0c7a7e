/**
 * Builds the bytes of a GGUF header: the writing twin of `header_cursor.ts` and
 * `metadata_table.ts`. Grows as it is written to.
 */
import { check } from "../base/check.ts";
import { KiB } from "../base/units.ts";
import type { StoredValue } from "./stored_values.ts";
import type { GgufArray, GgufScalarType, GgufValueType } from "./types.ts";
import { type FixedType, VALUE_BYTES, VALUE_TYPES } from "./value_types.ts";

const ENCODER = new TextEncoder();

/** Little-endian bytes, appended one primitive at a time. */
export class HeaderBytes {
  #bytes = new Uint8Array(64 * KiB);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written, a view that is valid until the next write. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  u32(value: number): void {
    this.#fixed("u32", value);
  }

  u64(value: number | bigint): void {
    this.#fixed("u64", value);
  }

  string(text: string): void {
    const bytes = ENCODER.encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  /** A value with its type before it. */
  stored(stored: StoredValue): void {
    this.u32(VALUE_TYPES.indexOf(stored.type));
    if (stored.type === "array") this.#array(stored.value);
    else this.#scalar(stored.type, stored.value);
  }

  #scalar(type: GgufScalarType, value: number | bigint | boolean | string): void {
    if (type === "string") return this.string(String(value));
    check(typeof value !== "string", `a ${type} is no string`);
    this.#fixed(type, value);
  }

  #fixed(type: FixedType, value: number | bigint | boolean): void {
    const at = this.#grow(VALUE_BYTES[type]);
    switch (type) {
      case "u8":
      case "bool":
        return this.#view.setUint8(at, Number(value));
      case "i8":
        return this.#view.setInt8(at, Number(value));
      case "u16":
        return this.#view.setUint16(at, Number(value), true);
      case "i16":
        return this.#view.setInt16(at, Number(value), true);
      case "u32":
        return this.#view.setUint32(at, Number(value), true);
      case "i32":
        return this.#view.setInt32(at, Number(value), true);
      case "f32":
        return this.#view.setFloat32(at, Number(value), true);
      case "f64":
        return this.#view.setFloat64(at, Number(value), true);
      case "u64":
        return this.#view.setBigUint64(at, BigInt(value), true);
      case "i64":
        return this.#view.setBigInt64(at, BigInt(value), true);
    }
  }

  #array(array: GgufArray | readonly string[]): void {
    const type = elementType(array);
    this.u32(VALUE_TYPES.indexOf(type));
    this.u64(array.length);
    if (ArrayBuffer.isView(array)) {
      // The machine is little-endian, as the file.
      return this.raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    }
    if ("kind" in array) {
      for (let index = 0; index < array.length; index++) {
        const bytes = array.bytesAt(index);
        this.u64(bytes.length);
        this.raw(bytes);
      }
      return;
    }
    for (const item of array) {
      if (typeof item === "object") this.#array(item);
      else this.#scalar(type as GgufScalarType, item);
    }
  }

  /** Makes room for `sizeBytes` more bytes and returns where they go. */
  #grow(sizeBytes: number): number {
    const at = this.#length;
    this.#length += sizeBytes;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

function elementType(array: GgufArray | readonly string[]): GgufValueType {
  if (ArrayBuffer.isView(array)) {
    const type = TYPE_BY_CLASS.get(array.constructor);
    check(type !== undefined, `arrays of class ${array.constructor.name} have no GGUF type`);
    return type;
  }
  if ("kind" in array || array.length === 0) return "string";
  const first: unknown = array[0];
  return typeof first === "string" ? "string" : typeof first === "boolean" ? "bool" : "array";
}

const TYPE_BY_CLASS: ReadonlyMap<unknown, GgufValueType> = new Map<unknown, GgufValueType>([
  [Uint8Array, "u8"],
  [Int8Array, "i8"],
  [Uint16Array, "u16"],
  [Int16Array, "i16"],
  [Uint32Array, "u32"],
  [Int32Array, "i32"],
  [Float32Array, "f32"],
  [BigUint64Array, "u64"],
  [BigInt64Array, "i64"],
  [Float64Array, "f64"],
]);
