/**
 * Which tensor types have kernels, and what the rest of a rank must know of them: how finely a row
 * can be cut and how many bytes it takes when packed. Knows nothing of what their bits mean.
 */
import { alignUp } from "../../base/check.ts";
import { COLUMN_GROUP_ROWS } from "../../memory/column_layout.ts";
import {
  BLOCK_WEIGHTS,
  FLOAT_ROW_PAD_WEIGHTS,
  ROW_ALIGN_BYTES,
  SUPERBLOCK_WEIGHTS,
} from "../../memory/row_layout.ts";
import { dtypeByName, writtenOutType } from "../../model/dtypes.ts";

/** What rows of codebooks' types are where they are written out: types of no file. */
export const WRITTEN_OUT_TYPES = [
  ...["IQ3_S_W", "IQ3_XXS_W", "IQ2_S_W", "IQ2_XS_W", "IQ2_XXS_W", "IQ1_M_W", "IQ1_S_W"] as const,
  "TQ1_0_W",
] as const;

/** Quantised types of files, whose kernels read q8 tiles. */
const FILE_QUANT_TYPES = [
  ...["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"] as const,
  ...["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"] as const,
  ...["IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4", "NVFP4S", "E0M4"] as const,
  ...["IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"] as const,
  ...["TQ2_0", "TQ1_0", "Q2_0", "Q1_0"] as const,
] as const;

/** All quantised types. */
export const QUANT_TYPES = [...FILE_QUANT_TYPES, ...WRITTEN_OUT_TYPES] as const;
export type QuantType = typeof QUANT_TYPES[number];

/** Tensor types that have kernels. */
export const WEIGHT_TYPES = ["F32", "F16", "BF16", ...FILE_QUANT_TYPES] as const;
export type WeightType = typeof WEIGHT_TYPES[number] | QuantType;

export function isWeightType(type: string): type is WeightType {
  return ([...WEIGHT_TYPES, ...WRITTEN_OUT_TYPES] as readonly string[]).includes(type);
}

export function isQuantType(type: WeightType): type is QuantType {
  return (QUANT_TYPES as readonly string[]).includes(type);
}

/** What rows of codebooks' type are where they are written out; undefined: of no other type. */
export function writtenOut(type: WeightType): WeightType | undefined {
  const name = writtenOutType(type);
  return name !== undefined && isWeightType(name) ? name : undefined;
}

/** Floats of 16 bits. */
export function isHalf(type: string): boolean {
  return type === "F16" || type === "BF16";
}

/** The type's number in files, which the kernels go by. */
export function typeId(type: WeightType): number {
  return dtypeByName(type)!.id;
}

/** Weights per block along a row: the finest cut of columns. */
export function blockWeights(type: WeightType): number {
  return dtypeByName(type)!.blockElements;
}

/** Of a row in a matrix by columns: bytes of quants and factors of 32 weights, factors of 256. */
interface ByColumns {
  readonly quantBytes: number;
  readonly factorBytes: number;
  readonly superblockBytes: number;
}

const BY_COLUMNS: ReadonlyMap<string, ByColumns> = new Map([
  ["Q4_0", { quantBytes: 16, factorBytes: 2, superblockBytes: 0 }],
  ["Q4_1", { quantBytes: 16, factorBytes: 4, superblockBytes: 0 }],
  ["E0M4", { quantBytes: 16, factorBytes: 4, superblockBytes: 0 }],
  ["Q5_0", { quantBytes: 32, factorBytes: 2, superblockBytes: 0 }],
  ["Q8_0", { quantBytes: 32, factorBytes: 2, superblockBytes: 0 }],
  ["MXFP4", { quantBytes: 16, factorBytes: 2, superblockBytes: 0 }],
  ["NVFP4", { quantBytes: 16, factorBytes: 2, superblockBytes: 4 }],
  ["NVFP4S", { quantBytes: 16, factorBytes: 2, superblockBytes: 4 }],
  ["Q3_K", { quantBytes: 16, factorBytes: 2, superblockBytes: 4 }],
  ["Q4_K", { quantBytes: 16, factorBytes: 2, superblockBytes: 8 }],
  ["Q5_K", { quantBytes: 32, factorBytes: 2, superblockBytes: 8 }],
  ["Q6_K", { quantBytes: 32, factorBytes: 2, superblockBytes: 4 }],
]);

/** True when a matrix of so many rows of that type can be kept by columns (column_layout.ts). */
export function canLieByColumns(type: string, rows: number): boolean {
  return BY_COLUMNS.has(type) && rows % COLUMN_GROUP_ROWS === 0;
}

/**
 * How a down matrix of so many rows lies where single neurons are to be left out of it: by columns,
 * or neuron by neuron. Null: it cannot, only rows of it can be read.
 */
export function layoutByNeuron(type: WeightType, rows: number): "columns" | "neurons" | null {
  if (!isQuantType(type)) return "neurons";
  return canLieByColumns(type, rows) ? "columns" : null;
}

/** Bytes that a row of `columns` weights takes in a matrix by columns. */
export function byColumnsRowBytes(type: WeightType, columns: number): number {
  const { quantBytes, factorBytes, superblockBytes } = BY_COLUMNS.get(type)!;
  const blocks = Math.ceil(columns / BLOCK_WEIGHTS);
  return blocks * (quantBytes + factorBytes) +
    Math.ceil(columns / SUPERBLOCK_WEIGHTS) * superblockBytes;
}

/** Columns by which a matrix by columns can be put together of others that lie so. */
export function columnsOfPiece(type: WeightType): number {
  return BY_COLUMNS.get(type)!.superblockBytes > 0 ? SUPERBLOCK_WEIGHTS : blockWeights(type);
}

/** Bytes of one column's quants in a matrix by columns of `rows` rows. */
export function columnQuantBytes(type: WeightType, rows: number): number {
  return BY_COLUMNS.get(type)!.quantBytes * rows / BLOCK_WEIGHTS;
}

/** Bytes of packed superblocks that are no longer as many as in the file. */
const PACKED_SUPERBLOCK_BYTES: Readonly<Record<string, number | undefined>> = {
  NVFP4: 148,
  NVFP4S: 148,
  ...{ IQ1_S_W: 140, IQ2_XXS_W: 140, IQ3_XXS_W: 140, IQ3_S_W: 140 },
  ...{ IQ1_M_W: 148, IQ2_XS_W: 148, IQ2_S_W: 148, TQ1_0_W: 66 },
};

/**
 * Bytes of a packed row of `columns` weights (row_layout.ts), aligned. A quantised row takes as
 * many as in its file, but for padding, to a superblock, and to the alignment, for NVFP4, whose
 * superblocks have four bytes more, and for what is written out.
 */
export function packedRowBytes(type: WeightType, columns: number): number {
  const { blockElements, blockBytes } = dtypeByName(type)!;
  const own = PACKED_SUPERBLOCK_BYTES[type];
  if (own !== undefined) {
    return alignUp(Math.ceil(columns / SUPERBLOCK_WEIGHTS) * own, ROW_ALIGN_BYTES);
  }
  const unit = isQuantType(type) ? SUPERBLOCK_WEIGHTS : FLOAT_ROW_PAD_WEIGHTS;
  return alignUp((alignUp(columns, unit) / blockElements) * blockBytes, ROW_ALIGN_BYTES);
}

/** Time of a row of a list, in rows that are read one behind the other: NOTES.md. */
export const LISTED_COST = 2;

/** From so many tokens on products of floats are those of many tokens. */
export const LONG_TOKENS = 64;
