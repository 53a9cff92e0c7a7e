/**
 * Every tensor type that a GGUF file may name, ggml's and our own: how many weights make a block
 * and how many bytes the block takes. Knows nothing of what the bits of a block mean.
 */
import { divExact } from "../base/check.ts";

/** One tensor type. A row of K weights takes K / blockElements · blockBytes bytes. */
export interface Dtype {
  /** The number that stands in files: ggml's, but for our own types. */
  readonly id: number;
  /** ggml's name in upper case: "F32", "Q4_0". */
  readonly name: string;
  /** Weights per block; 1 for types that are not quantised. */
  readonly blockElements: number;
  readonly blockBytes: number;
}

/**
 * The number of our own type E0M4: the bytes of its name. ggml counts its types from 0 upwards (42
 * today) and refuses what it did not count, so no file of either can be taken for the other's.
 */
const E0M4_ID = 0x344d3045;

/**
 * NVFP4 with the factor of its tensor in front of each block, as an f32: what a reader makes of
 * NVFP4 and its tensor of scales (`GgufTensor.scaled`). No model's file has it but packed ones.
 */
const NVFP4S_ID = 0x3453564e;

/**
 * The types in files of today. Numbers that are missing were withdrawn by ggml: 4, 5 (Q4_2, Q4_3),
 * 31 to 33 (Q4_0_4_4 …) and 36 to 38 (IQ4_NL_4_4 …); such files must be converted again. 36 is also
 * Microsoft's I2_S, of which a reader makes one of these (src/gguf/ternary_tensors.ts).
 */
export const DTYPES: readonly Dtype[] = [
  dtype(0, "F32", 1, 4),
  dtype(1, "F16", 1, 2),
  dtype(2, "Q4_0", 32, 18),
  dtype(3, "Q4_1", 32, 20),
  dtype(6, "Q5_0", 32, 22),
  dtype(7, "Q5_1", 32, 24),
  dtype(8, "Q8_0", 32, 34),
  dtype(9, "Q8_1", 32, 36),
  dtype(10, "Q2_K", 256, 84),
  dtype(11, "Q3_K", 256, 110),
  dtype(12, "Q4_K", 256, 144),
  dtype(13, "Q5_K", 256, 176),
  dtype(14, "Q6_K", 256, 210),
  dtype(15, "Q8_K", 256, 292),
  dtype(16, "IQ2_XXS", 256, 66),
  dtype(17, "IQ2_XS", 256, 74),
  dtype(18, "IQ3_XXS", 256, 98),
  dtype(19, "IQ1_S", 256, 50),
  dtype(20, "IQ4_NL", 32, 18),
  dtype(21, "IQ3_S", 256, 110),
  dtype(22, "IQ2_S", 256, 82),
  dtype(23, "IQ4_XS", 256, 136),
  dtype(24, "I8", 1, 1),
  dtype(25, "I16", 1, 2),
  dtype(26, "I32", 1, 4),
  dtype(27, "I64", 1, 8),
  dtype(28, "F64", 1, 8),
  dtype(29, "IQ1_M", 256, 56),
  dtype(30, "BF16", 1, 2),
  dtype(34, "TQ1_0", 256, 54),
  dtype(35, "TQ2_0", 256, 66),
  dtype(39, "MXFP4", 32, 17),
  dtype(40, "NVFP4", 64, 36),
  dtype(41, "Q1_0", 128, 18),
  dtype(42, "Q2_0", 64, 18),
  dtype(E0M4_ID, "E0M4", 32, 20),
  dtype(NVFP4S_ID, "NVFP4S", 64, 40),
];

/** What is added to a type's number, and to its name, where its rows are to be written out. */
const WRITTEN_OUT_ID = 0x57 << 24;
const WRITTEN_OUT_SUFFIX = "_W";

/**
 * Types whose weights are looked up, or are digits, as tensors have them whose rows are to be
 * written out in memory (src/memory/row_layout.ts): blocks of files are the same. In no file.
 */
const WRITTEN_OUT: readonly Dtype[] = DTYPES
  .filter(({ name }) => /^IQ[123]_|^TQ1_/.test(name))
  .map((type) => ({
    ...type,
    id: WRITTEN_OUT_ID + type.id,
    name: type.name + WRITTEN_OUT_SUFFIX,
  }));

const BY_ID: ReadonlyMap<number, Dtype> = new Map(DTYPES.map((type) => [type.id, type]));
const BY_NAME: ReadonlyMap<string, Dtype> = new Map(
  [...DTYPES, ...WRITTEN_OUT].map((type) => [type.name, type]),
);

/** The type with the number `id` in a file; undefined when there is none. */
export function dtypeById(id: number): Dtype | undefined {
  return BY_ID.get(id);
}

/** The type called `name` (upper case, "Q4_0"); undefined when there is none. */
export function dtypeByName(name: string): Dtype | undefined {
  return BY_NAME.get(name);
}

/** The type that says of `name`'s blocks that they are to be written out; undefined: none does. */
export function writtenOutType(name: string): string | undefined {
  return BY_NAME.get(name + WRITTEN_OUT_SUFFIX)?.name;
}

/** The type that blocks of `name` have in a file. */
export function typeInFile(name: string): string {
  return WRITTEN_OUT.some((type) => type.name === name)
    ? name.slice(0, -WRITTEN_OUT_SUFFIX.length)
    : name;
}

/**
 * Bytes of a row of `columns` weights.
 * @throws {Error} when there is no type `typeName`, or the row does not end on a block: the parser
 *   refuses both in files, so here they are bugs.
 */
export function rowBytes(typeName: string, columns: number): number {
  const type = BY_NAME.get(typeName);
  if (!type) throw new Error(`Check failed: no tensor type "${typeName}"`);
  return divExact(columns, type.blockElements) * type.blockBytes;
}

/** Elements of a tensor of `dims`. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dimension) => product * dimension, 1);
}

/**
 * Bytes of a tensor in a file; dims: columns first.
 * @throws {Error} as `rowBytes`.
 */
export function tensorBytes(typeName: string, [columns, ...others]: readonly number[]): number {
  return rowBytes(typeName, columns) * elementCount(others);
}

function dtype(id: number, name: string, blockElements: number, blockBytes: number): Dtype {
  return { id, name, blockElements, blockBytes };
}
