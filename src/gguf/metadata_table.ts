/**
 * Parses the key/value table of a GGUF header. Knows how values are stored; knows no key's meaning
 * except that keys are unique.
 */
import { CURE, type HeaderCursor } from "./header_cursor.ts";
import type { GgufArray, GgufScalarType, GgufValue, GgufValueType } from "./types.ts";
import { type NumberType, VALUE_BYTES, VALUE_TYPES } from "./value_types.ts";

/** The parsed table: values, and how each was stored. */
export interface MetadataTable {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly metadataTypes: ReadonlyMap<string, GgufValueType>;
  /** Byte offset of each entry in its file, for errors. */
  readonly entryOffsets: ReadonlyMap<string, number>;
}

/** Real files have fewer than a hundred entries. */
const ENTRY_COUNT_MAX = 65_536;
/** A key's length (u64), one byte of it, a value type and a byte of value. */
const ENTRY_BYTES_MIN = 8 + 1 + 4 + 1;
const KEY_BYTES_MAX = 65_535;
/** Array elements of one file, all arrays together: bounds memory; ten large vocabularies. */
const ARRAY_ITEMS_MAX = 8 * 1024 * 1024;
/** An array within an array is an object of its own, which costs as much as this many numbers. */
const NESTED_ARRAY_ITEMS = 64;
const ARRAY_DEPTH_MAX = 4;

/**
 * Reads `count` entries.
 * @throws {ModelFormatError} when the count, a key, a type or a length cannot be true.
 */
export function readMetadataTable(cursor: HeaderCursor, count: number): MetadataTable {
  if (count > ENTRY_COUNT_MAX || count * ENTRY_BYTES_MIN > cursor.remainingBytes) {
    const state = `${count} entries are claimed, ${cursor.remainingBytes} bytes of header follow`;
    throw cursor.error(`Cannot read the metadata: ${state}: ${CURE}`);
  }
  const metadata = new Map<string, GgufValue>();
  const metadataTypes = new Map<string, GgufValueType>();
  const entryOffsets = new Map<string, number>();
  const reader = new ValueReader(cursor);
  for (let index = 0; index < count; index++) {
    const at = cursor.offsetBytes;
    const key = cursor.name(`the key of metadata entry ${index}`, KEY_BYTES_MAX);
    const what = `metadata "${key}"`;
    if (metadata.has(key)) {
      throw cursor.error(`Cannot read ${what}: it is there twice: ${CURE}`, at);
    }
    const type = readValueType(cursor, what);
    metadata.set(key, reader.read(type, what));
    metadataTypes.set(key, type);
    entryOffsets.set(key, at);
  }
  return { metadata, metadataTypes, entryOffsets };
}

/** Reads values; holds what is left of the file's allowance of array elements. */
class ValueReader {
  readonly #cursor: HeaderCursor;
  #itemsLeft = ARRAY_ITEMS_MAX;

  constructor(cursor: HeaderCursor) {
    this.#cursor = cursor;
  }

  read(type: GgufValueType, what: string): GgufValue {
    return type === "array" ? this.#array(what, 1) : readScalar(this.#cursor, type, what);
  }

  #array(what: string, depth: number): GgufArray {
    const cursor = this.#cursor;
    const type = readValueType(cursor, what);
    const at = cursor.offsetBytes;
    const count = cursor.count(`the length of ${what}`);
    cursor.require(count * ITEM_BYTES_MIN[type], what);
    const cost = type === "array" ? NESTED_ARRAY_ITEMS : 1;
    if (count * cost > this.#itemsLeft) {
      const state = `its ${count} elements are more than a model can use`;
      throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
    }
    this.#itemsLeft -= count * cost;
    if (type === "string") return cursor.strings(count, what);
    if (type === "bool") return this.#booleans(count, what);
    if (type !== "array") return readNumbers(cursor, { type, count, what });
    if (depth === ARRAY_DEPTH_MAX) {
      const state = `its arrays are nested more than ${ARRAY_DEPTH_MAX} deep`;
      throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
    }
    return Array.from({ length: count }, () => this.#array(what, depth + 1));
  }

  #booleans(count: number, what: string): boolean[] {
    return Array.from({ length: count }, () => readBoolean(this.#cursor, what));
  }
}

/** The fewest bytes an array element takes: of a string its length, of an array type and length. */
const ITEM_BYTES_MIN: Readonly<Record<GgufValueType, number>> = {
  ...VALUE_BYTES,
  string: 8,
  array: 4 + 8,
};

function readValueType(cursor: HeaderCursor, what: string): GgufValueType {
  const at = cursor.offsetBytes;
  const id = cursor.u32(`the type of ${what}`);
  const type = VALUE_TYPES[id];
  if (type === undefined) {
    throw cursor.error(`Cannot read ${what}: there is no value type ${id}: ${CURE}`, at);
  }
  return type;
}

function readScalar(cursor: HeaderCursor, type: GgufScalarType, what: string): GgufValue {
  switch (type) {
    case "bool":
      return readBoolean(cursor, what);
    case "u64":
    case "i64":
      return exactNumber(cursor[type](what));
    default:
      return cursor[type](what);
  }
}

function readBoolean(cursor: HeaderCursor, what: string): boolean {
  const at = cursor.offsetBytes;
  const byte = cursor.u8(what);
  if (byte > 1) {
    throw cursor.error(`Cannot read ${what}: a boolean is 0 or 1, not ${byte}: ${CURE}`, at);
  }
  return byte === 1;
}

function exactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readNumbers(
  cursor: HeaderCursor,
  array: { type: NumberType; count: number; what: string },
): GgufArray {
  const sizeBytes = array.count * VALUE_BYTES[array.type];
  const { buffer } = cursor.bytes(sizeBytes, array.what);
  // The file is little-endian, and so is every machine that Deno runs on.
  switch (array.type) {
    case "u8":
      return new Uint8Array(buffer);
    case "i8":
      return new Int8Array(buffer);
    case "u16":
      return new Uint16Array(buffer);
    case "i16":
      return new Int16Array(buffer);
    case "u32":
      return new Uint32Array(buffer);
    case "i32":
      return new Int32Array(buffer);
    case "f32":
      return new Float32Array(buffer);
    case "u64":
      return new BigUint64Array(buffer);
    case "i64":
      return new BigInt64Array(buffer);
    case "f64":
      return new Float64Array(buffer);
  }
}
