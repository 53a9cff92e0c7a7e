/**
 * Parses the tensor entries of a GGUF header and checks that their data lies in the file: aligned,
 * whole, and no two in the same place. Knows nothing of what a tensor is for.
 */
import { alignUp } from "../base/check.ts";
import { type Dtype, dtypeById, elementCount } from "../model/dtypes.ts";
import { CURE, type HeaderCursor } from "./header_cursor.ts";
import { CODES_OF_GROUP, I2_S, type TailedDtype } from "./ternary_tensors.ts";
import type { GgufTensor } from "./types.ts";

/** Mixtures of experts that store each expert by itself reach 50,000. */
const TENSOR_COUNT_MAX = 131_072;
/** A name's length (u64) and one byte, dimension count, one dimension, type, offset. */
const ENTRY_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8;
/** GGUF's limit. */
const NAME_BYTES_MAX = 64;
const DIMENSIONS_MAX = 4;

/** What the table needs to know of the file it is in. */
export interface TensorTablePlace {
  /** Index of the file among the parts of a split model. */
  readonly part: number;
  readonly fileBytes: number;
  /** The data begins at the first multiple of this after the table, and so does each tensor. */
  readonly alignmentBytes: number;
}

/**
 * Reads `count` entries; `offsetBytes` of the result counts from the beginning of the file.
 * @throws {ModelFormatError} when an entry cannot be true, or its data is not in the file.
 */
export function readTensorTable(
  cursor: HeaderCursor,
  count: number,
  place: TensorTablePlace,
): GgufTensor[] {
  if (count > TENSOR_COUNT_MAX || count * ENTRY_BYTES_MIN > cursor.remainingBytes) {
    const state = `${count} tensors are claimed, ${cursor.remainingBytes} bytes of header follow`;
    throw cursor.error(`Cannot read the list of tensors: ${state}: ${CURE}`);
  }
  const entries: Entry[] = [];
  for (let index = 0; index < count; index++) entries.push(readEntry(cursor, index));
  checkNames(cursor, entries);
  const dataBegin = alignUp(cursor.offsetBytes, place.alignmentBytes);
  for (const entry of entries) checkPlace(cursor, entry, { ...place, dataBegin });
  checkOverlap(cursor, entries, { ...place, dataBegin });
  return entries.map(({ name, type, dims, relativeOffset, sizeBytes }) => {
    const offsetBytes = dataBegin + relativeOffset;
    return { name, type: type.name, dims, part: place.part, offsetBytes, sizeBytes };
  });
}

/** A tensor as the table has it. */
interface Entry {
  readonly name: string;
  readonly type: Dtype | TailedDtype;
  readonly dims: readonly number[];
  /** From the beginning of the data. */
  readonly relativeOffset: number;
  readonly sizeBytes: number;
  /** Where in the header the entry stands. */
  readonly at: number;
}

function readEntry(cursor: HeaderCursor, index: number): Entry {
  const at = cursor.offsetBytes;
  const name = cursor.name(`the name of tensor ${index}`, NAME_BYTES_MAX);
  const what = `tensor "${name}"`;
  const dims = readDimensions(cursor, what);
  const type = readType(cursor, what);
  const sizeBytes = dataBytes(cursor, { what, dims, type, at });
  const relativeOffset = cursor.count(`the offset of ${what}`);
  return { name, type, dims, relativeOffset, sizeBytes, at };
}

function readDimensions(cursor: HeaderCursor, what: string): number[] {
  const at = cursor.offsetBytes;
  const count = cursor.u32(`the dimensions of ${what}`);
  if (count === 0 || count > DIMENSIONS_MAX) {
    const state = `it has ${count} dimensions, 1 to ${DIMENSIONS_MAX} are allowed`;
    throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
  }
  const dims: number[] = [];
  for (let axis = 0; axis < count; axis++) {
    const dimension = cursor.count(`dimension ${axis} of ${what}`);
    if (dimension === 0) {
      throw cursor.error(`Cannot read ${what}: dimension ${axis} is 0: ${CURE}`, at);
    }
    dims.push(dimension);
  }
  return dims;
}

const OLD_TYPE_CURE = "convert the model to a type of today, for example Q8_0 or Q4_0";

function readType(cursor: HeaderCursor, what: string): Dtype | TailedDtype {
  const at = cursor.offsetBytes;
  const id = cursor.u32(`the type of ${what}`);
  const type = id === I2_S.id ? I2_S : dtypeById(id);
  if (!type) {
    const cure = OLD_TYPE_CURE;
    throw cursor.error(`Cannot read ${what}: there is no tensor type ${id}: ${cure}`, at);
  }
  return type;
}

/** Bytes of the tensor's data; refuses sizes past 2^53 and rows that end within a block. */
function dataBytes(
  cursor: HeaderCursor,
  tensor: { what: string; dims: readonly number[]; type: Dtype | TailedDtype; at: number },
): number {
  const { what, dims, type, at } = tensor;
  if (dims[0] % type.blockElements !== 0) {
    const state = `its rows have ${dims[0]} elements, blocks of ${type.name} ${type.blockElements}`;
    throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
  }
  let sizeBytes = dims[0] / type.blockElements * type.blockBytes;
  for (const dimension of dims.slice(1)) sizeBytes *= dimension;
  if ("tailBytes" in type) {
    if (elementCount(dims) % CODES_OF_GROUP !== 0) {
      const state = `${elementCount(dims)} weights are no multiple of ${CODES_OF_GROUP}`;
      throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
    }
    sizeBytes += type.tailBytes;
  }
  // Rounding can not hide an overflow: a product of integers that passes 2^53 stays above it.
  if (!Number.isSafeInteger(sizeBytes)) {
    const state = `[${dims.join(", ")}] is more data than any file holds`;
    throw cursor.error(`Cannot read ${what}: ${state}: ${CURE}`, at);
  }
  return sizeBytes;
}

function checkNames(cursor: HeaderCursor, entries: readonly Entry[]): void {
  const names = new Set<string>();
  for (const { name, at } of entries) {
    if (names.has(name)) {
      throw cursor.error(`Cannot read tensor "${name}": it is there twice: ${CURE}`, at);
    }
    names.add(name);
  }
}

function checkPlace(
  cursor: HeaderCursor,
  entry: Entry,
  place: { alignmentBytes: number; fileBytes: number; dataBegin: number },
): void {
  const what = `Cannot read tensor "${entry.name}"`;
  if (entry.relativeOffset % place.alignmentBytes !== 0) {
    const state = `its offset ${entry.relativeOffset} is no multiple of ${place.alignmentBytes}`;
    throw cursor.error(`${what}: ${state}: ${CURE}`, entry.at);
  }
  const end = place.dataBegin + entry.relativeOffset + entry.sizeBytes;
  if (end > place.fileBytes) {
    const state = `it ends at byte ${end}, the file at byte ${place.fileBytes}`;
    throw cursor.error(`${what}: ${state}: ${CURE}`, entry.at);
  }
}

function checkOverlap(
  cursor: HeaderCursor,
  entries: readonly Entry[],
  place: { alignmentBytes: number; fileBytes: number; dataBegin: number },
): void {
  const sorted = [...entries].sort((a, b) => a.relativeOffset - b.relativeOffset);
  for (const [i, entry] of sorted.entries()) {
    const next = sorted[i + 1];
    const end = entry.relativeOffset + entry.sizeBytes;
    if (next !== undefined && end > next.relativeOffset) {
      const what = `Cannot read tensor "${next.name}"`;
      const state = `its data overlaps that of "${entry.name}"`;
      throw cursor.error(`${what}: ${state}: ${CURE}`, next.at);
    }
    const limit = next?.relativeOffset ?? place.fileBytes - place.dataBegin;
    if (entry.type === I2_S && isWovenIq4(entry, limit, place.alignmentBytes)) {
      const state = `its type is ${I2_S.id}, its size that of IQ4_NL_4_4`;
      throw cursor.error(
        `Cannot read tensor "${entry.name}": ${state}: ${OLD_TYPE_CURE}`,
        entry.at,
      );
    }
  }
}

/** Files of autumn 2024 have I2_S's number for IQ4_NL with four rows woven into one another. */
function isWovenIq4({ relativeOffset, dims }: Entry, limit: number, alignment: number): boolean {
  const end = relativeOffset + elementCount(dims) / 32 * 18;
  return end <= limit && limit <= alignUp(end, alignment);
}
