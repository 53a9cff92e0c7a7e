/**
 * A matrix on the GPU, [rows, columns], in one layout for one token and for many. Where it is
 * larger than a binding may be, it is cut by rows into parts with buffers of their own.
 */
import { check } from "../../src/base/check.ts";
import { rowBytes as fileRowBytes } from "../../src/model/dtypes.ts";
import { GpuOutOfMemoryError } from "../errors.ts";
import { encodeBlocks, type Encoded } from "./encode.ts";
import { columnStep, rowBytes, type WeightFormat, weightFormat } from "./formats.ts";

/** Rows firstRow … firstRow + rows − 1 of a matrix. */
export interface MatrixPart {
  readonly firstRow: number;
  readonly rows: number;
  readonly codes: GPUBuffer;
  /** `gpu.nothing` where the format has none. */
  readonly factors: GPUBuffer;
}

export interface MatrixShape {
  /** ggml's name of what `write` is given. */
  readonly type: string;
  readonly rows: number;
  /** By 32; by 4 for floats. */
  readonly columns: number;
  /** So many rows are an expert's, and stay in one part; left out: there are no experts. */
  readonly expertRows?: number;
}

/** What is asked of a GPU's limits. */
export type MatrixLimits = Pick<
  GPUSupportedLimits,
  "maxBufferSize" | "maxStorageBufferBindingSize"
>;

/** Where matrices have their buffers: the GPU, or who stands in for it. */
export interface MatrixHome {
  readonly limits: MatrixLimits;
  readonly nothing: GPUBuffer;
  createBuffer(label: string, bytes: number): Promise<GPUBuffer>;
  destroyBuffer(buffer: GPUBuffer): void;
  write(buffer: GPUBuffer, offsetBytes: number, data: Uint8Array): void;
}

/** A kernel's grid has at most 65,535 workgroups of 4 rows; of experts one's rows are a grid. */
const PART_ROWS_MAX = 4 * 65_535;

/** @throws {GpuOutOfMemoryError} when there is no room, or not for a row (an expert) in a piece. */
export async function createMatrix(
  gpu: MatrixHome,
  label: string,
  shape: MatrixShape,
): Promise<GpuMatrix> {
  const { format, bytes, counts } = layOut(gpu.limits, shape, label);
  const parts: MatrixPart[] = [];
  let firstRow = 0;
  try {
    for (const count of counts) {
      const codes = await gpu.createBuffer(label, count * bytes.codes);
      parts.push({ firstRow, rows: count, codes, factors: gpu.nothing });
      firstRow += count;
      if (bytes.factors === 0) continue;
      const factors = await gpu.createBuffer(`${label} factors`, count * bytes.factors);
      parts[parts.length - 1] = { ...parts[parts.length - 1], factors };
    }
  } catch (error) {
    destroyParts(gpu, parts);
    throw error;
  }
  return new GpuMatrix(gpu, { ...shape, format, parts });
}

/**
 * Bytes of the buffers that a matrix takes, in the order in which it takes them.
 * @throws {GpuOutOfMemoryError} when none of them could hold a row.
 */
export function matrixBuffers(limits: MatrixLimits, shape: MatrixShape): number[] {
  const { bytes: { codes, factors }, counts } = layOut(limits, shape, "a streamed matrix");
  return counts.flatMap((rows) => factors === 0 ? [rows * codes] : [rows * codes, rows * factors]);
}

/** A matrix's format, bytes of a row, and rows of each of its parts. */
function layOut(limits: MatrixLimits, shape: MatrixShape, label: string) {
  const { type, rows, columns, expertRows = 1 } = shape;
  const format = weightFormat(type, columns);
  check(format !== undefined, `no format for rows of ${columns} weights of type ${type}`);
  const bytes = rowBytes(format, columns);
  const most = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  const fitting = Math.floor(most / Math.max(1, bytes.codes, bytes.factors));
  if (fitting < expertRows) {
    const what = expertRows === 1 ? "a row" : `an expert's ${expertRows} rows`;
    const needed = expertRows * Math.max(bytes.codes, bytes.factors);
    throw new GpuOutOfMemoryError(
      `Cannot hold "${label}" on the GPU: ${what} of ${columns} weights: ${needed} bytes, and ` +
        `the GPU allows ${most} in one piece: compute it on the CPU with --gpu off`,
    );
  }
  const gridRows = expertRows === 1 ? PART_ROWS_MAX : Infinity;
  const partRows = Math.min(fitting - fitting % expertRows, gridRows);
  const counts: number[] = [];
  for (let row = 0; row < rows; row += partRows) counts.push(Math.min(partRows, rows - row));
  return { format, bytes, counts };
}

export class GpuMatrix {
  readonly type: string;
  readonly rows: number;
  readonly columns: number;
  readonly format: WeightFormat;
  readonly parts: readonly MatrixPart[];
  /** Of all parts. */
  readonly bytes: number;
  readonly #gpu: MatrixHome;

  constructor(
    gpu: MatrixHome,
    options: MatrixShape & { format: WeightFormat; parts: readonly MatrixPart[] },
  ) {
    this.#gpu = gpu;
    this.type = options.type;
    this.rows = options.rows;
    this.columns = options.columns;
    this.format = options.format;
    this.parts = options.parts;
    const { codes, factors } = rowBytes(options.format, options.columns);
    this.bytes = options.rows * (codes + factors);
  }

  /**
   * Takes over whole rows of a file.
   *
   * @param at.firstRow of this matrix.
   * @param at.fileColumns of a row of the file; left out: as many as the matrix has.
   * @param at.columnStart first column that is taken over: where a row may be cut.
   */
  write(
    bytes: Uint8Array,
    at: { firstRow: number; fileColumns?: number; columnStart?: number },
  ): void {
    const { firstRow, fileColumns = this.columns, columnStart = 0 } = at;
    const { format, type } = this;
    const step = columnStep(format);
    check(columnStart % step === 0, `columns from ${columnStart} on, not by ${step}`);
    check(columnStart + this.columns <= fileColumns, `columns ${columnStart} of ${fileColumns}`);
    const count = bytes.length / fileRowBytes(type, fileColumns);
    check(Number.isInteger(count), `${bytes.length} bytes are no whole rows of ${type}`);
    const encoded = encodeBlocks(type, bytes, format);
    this.#upload(cutColumns(encoded, this, { fileColumns, columnStart, count }), firstRow, count);
  }

  /** Takes over rows of f32 [rows, columns]; of a matrix of type F32, or F16 (rounded). */
  writeFloats(values: Float32Array, firstRow: number): void {
    const { format } = this;
    check(format.family === "float" && format.kind !== "bf16", `floats into ${this.type}`);
    const exact = format.kind === "f32" ? Float32Array.from(values) : Float16Array.from(values);
    const codes = new Uint8Array(exact.buffer);
    const encoded = { codes, factors: new Uint8Array(0) };
    this.#upload(encoded, firstRow, values.length / this.columns);
  }

  #upload({ codes, factors }: Encoded, firstRow: number, count: number): void {
    check(firstRow >= 0 && firstRow + count <= this.rows, `rows ${firstRow} of ${this.rows}`);
    const bytes = rowBytes(this.format, this.columns);
    for (const part of this.parts) {
      const from = Math.max(firstRow, part.firstRow);
      const to = Math.min(firstRow + count, part.firstRow + part.rows);
      if (from >= to) continue;
      const put = (buffer: GPUBuffer, data: Uint8Array, each: number) => {
        const piece = data.subarray((from - firstRow) * each, (to - firstRow) * each);
        this.#gpu.write(buffer, (from - part.firstRow) * each, piece);
      };
      put(part.codes, codes, bytes.codes);
      if (bytes.factors > 0) put(part.factors, factors, bytes.factors);
    }
  }

  /** Gives its memory back. */
  destroy(): void {
    destroyParts(this.#gpu, this.parts);
  }
}

/** Columns columnStart … of each of `count` rows. */
function cutColumns(
  encoded: Encoded,
  { format, columns }: { format: WeightFormat; columns: number },
  { fileColumns, columnStart, count }: Record<"fileColumns" | "columnStart" | "count", number>,
): Encoded {
  if (fileColumns === columns) return encoded;
  const whole = rowBytes(format, fileColumns);
  const kept = rowBytes(format, columns);
  const skipped = rowBytes(format, columnStart);
  return {
    codes: cut(encoded.codes, count, { whole: whole.codes, kept: kept.codes, at: skipped.codes }),
    factors: cut(encoded.factors, count, {
      whole: whole.factors,
      kept: kept.factors,
      at: skipped.factors,
    }),
  };
}

/** `kept` bytes from byte `at` on of each of `count` rows of `whole` bytes. */
function cut(
  bytes: Uint8Array,
  count: number,
  { whole, kept, at }: Record<"whole" | "kept" | "at", number>,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(count * kept);
  for (let row = 0; row < count; row++) {
    out.set(bytes.subarray(row * whole + at, row * whole + at + kept), row * kept);
  }
  return out;
}

function destroyParts(gpu: MatrixHome, parts: readonly MatrixPart[]): void {
  for (const { codes, factors } of parts) {
    gpu.destroyBuffer(codes);
    if (factors !== gpu.nothing) gpu.destroyBuffer(factors);
  }
}
