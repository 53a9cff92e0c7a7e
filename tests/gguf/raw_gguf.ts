/** Builds GGUF bytes that no honest writer would: every count, length and type can be a lie. */
import { concatBytes } from "../../src/base/bytes.ts";

/** What stands where; left-out fields are honest. */
export interface RawGguf {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly entryCount?: number | bigint;
  /** Metadata entries, from `entry`. */
  readonly entries?: readonly Uint8Array[];
  /** Tensor entries, from `tensor`. */
  readonly tensors?: readonly Uint8Array[];
  /** Bytes after the header, padded to `alignment` first. */
  readonly dataBytes?: number;
  readonly alignment?: number;
}

/** Numbers of value types in files. */
export const TYPE = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
};

/** The bytes of a file. */
export function rawGguf(raw: RawGguf = {}): Uint8Array<ArrayBuffer> {
  const entries = raw.entries ?? [];
  const tensors = raw.tensors ?? [];
  const header = concatBytes([
    new TextEncoder().encode(raw.magic ?? "GGUF"),
    u32(raw.version ?? 3),
    u64(raw.tensorCount ?? tensors.length),
    u64(raw.entryCount ?? entries.length),
    ...entries,
    ...tensors,
  ]);
  if (raw.dataBytes === undefined) return header;
  const alignment = raw.alignment ?? 32;
  const padding = (alignment - header.length % alignment) % alignment;
  return concatBytes([header, new Uint8Array(padding + raw.dataBytes)]);
}

/** A metadata entry: a key, a type number and whatever stands for the value. */
export function entry(key: string, type: number, ...value: Uint8Array[]): Uint8Array {
  return concatBytes([string(key), u32(type), ...value]);
}

/** An array value: element type, length (which may be a lie) and elements. */
export function array(
  type: number,
  length: number | bigint,
  ...items: Uint8Array[]
): Uint8Array {
  return concatBytes([u32(type), u64(length), ...items]);
}

/** A tensor entry. Left out: one F32 row of 8. */
export function tensor(raw: {
  name?: string;
  dimensionCount?: number;
  dims?: readonly (number | bigint)[];
  type?: number;
  offset?: number | bigint;
}): Uint8Array {
  const dims = raw.dims ?? [8];
  return concatBytes([
    string(raw.name ?? "a"),
    u32(raw.dimensionCount ?? dims.length),
    ...dims.map(u64),
    u32(raw.type ?? 0),
    u64(raw.offset ?? 0),
  ]);
}

/** A string; `length` may be a lie. */
export function string(text: string | Uint8Array, length?: number | bigint): Uint8Array {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return concatBytes([u64(length ?? bytes.length), bytes]);
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}
