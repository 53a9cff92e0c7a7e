/**
 * Brings a rank's share of the weights from the file into its arenas. File bytes land in the
 * arena's staging region and are repacked from there: no second copy of the model ever exists, and
 * every rank does its part at the same time.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import { check } from "../../base/check.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import type { TensorReader } from "../../gguf/tensor_reader.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dequantize } from "../../model/quants/dequantize.ts";
import { rowBytes, typeInFile } from "../../model/dtypes.ts";
import { COLUMN_GROUP_ROWS } from "../../memory/column_layout.ts";
import { loadCodebooks } from "./codebook_region.ts";
import { arenaPiecesOf } from "./load_order.ts";
import { fileBatches, gatherColumns } from "../plan/picked.ts";
import type { MatrixPlan, RankPlan, VectorPlan } from "../plan/plan_types.ts";
import { NEAR_GAP, nearRanges, type Ranges } from "../plan/ranges.ts";
import { lengthOf } from "../plan/shard.ts";
import { blockWeights, isQuantType, typeId } from "../plan/weight_types.ts";

export interface LoadInput {
  readonly plan: RankPlan;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly reader: TensorReader;
  /** This rank's kernels and memories, one per arena. */
  readonly kernels: readonly Kernels[];
  readonly memories: readonly WebAssembly.Memory[];
  /** Told now and then, and at the end, how many bytes were read since the last call. */
  readonly onProgress: (bytes: number) => void;
}

/** A message between threads costs as much as packing a piece of staging: few are sent. */
const PROGRESS_BYTES = 32 * MiB;

/**
 * Loads everything that the plan places in arenas.
 * @throws {ModelFormatError} when the file cannot be read any more.
 * @throws {UnsupportedModelError} when a matrix row is larger than the staging region.
 */
export function loadWeights(input: LoadInput): void {
  let unreportedBytes = 0;
  const onProgress = (bytes: number) => {
    unreportedBytes += bytes;
    if (unreportedBytes < PROGRESS_BYTES) return;
    input.onProgress(unreportedBytes);
    unreportedBytes = 0;
  };
  const { plan, tensors, reader } = input;
  const arenas = plan.arenas.map((_, arena) =>
    new ArenaLoader({
      ...{ tensors, reader, onProgress },
      kernels: input.kernels[arena],
      buffer: input.memories[arena].buffer,
      stagingOffset: plan.workspaces[arena].staging,
      stagingBytes: plan.stagingBytes,
      scratchOffset: plan.workspaces[arena].normedQ8, // that no step uses yet
    })
  );
  plan.arenas.forEach((arena, index) => loadCodebooks(arena, input.memories[index]));
  for (const piece of arenaPiecesOf(plan)) {
    if ("matrix" in piece) arenas[piece.arena].matrix(piece.matrix);
    else arenas[piece.arena].vector(piece.vector);
  }
  if (unreportedBytes > 0) input.onProgress(unreportedBytes);
}

/** Whole rows of a file, one behind the other, and where they go; addresses in one arena. */
export interface RowsToPack {
  readonly source: number;
  readonly fileRowBytes: number;
  readonly target: number;
  /** Of `Kernels.repack`. */
  readonly scratch: number;
}

/** Packs the owned columns of rows of a matrix that lies by packed rows. */
export function packRows(kernels: Kernels, plan: MatrixPlan, rows: number, by: RowsToPack): void {
  const { fileRowBytes, target, scratch } = by;
  const { type, rowStrideBytes: stride } = plan;
  const own = plan.isTransposed ? plan.rows : plan.columns;
  const columns = lengthOf(own);
  const source = by.source + rowBytes(type, own.start);
  if (isQuantType(type)) {
    const blocks = Math.ceil(columns / blockWeights(type));
    kernels.repack(typeId(type), source, fileRowBytes, target, stride, rows, blocks, scratch);
  } else {
    const bytes = rowBytes(type, columns);
    kernels.repack_float(source, fileRowBytes, target, stride, rows, bytes);
  }
}

/** Where weights come from, and the arena that they go to. */
export interface ArenaLoading {
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly reader: TensorReader;
  readonly kernels: Kernels;
  /** Of the arena's memory. */
  readonly buffer: ArrayBufferLike;
  /** Where file bytes land: `stagingBytes`, and COLUMN_SCRATCH_BYTES more if any lie by columns. */
  readonly stagingOffset: number;
  readonly stagingBytes: number;
  /** Scratch of `Kernels.repack`. */
  readonly scratchOffset: number;
  /** Told the bytes of every read. */
  readonly onProgress: (bytes: number) => void;
}

/** Loads into one arena. */
export class ArenaLoader {
  readonly #in: ArenaLoading;

  constructor(loading: ArenaLoading) {
    this.#in = loading;
  }

  /** Whole file rows are read, as many as staging holds; the owned columns are repacked. */
  matrix(plan: MatrixPlan): void {
    if (lengthOf(plan.columns) === 0) return;
    const tensor = this.#tensor(plan.tensor);
    const fileRowBytes = rowBytes(tensor.type, tensor.dims[0]);
    const fitting = Math.floor(this.#in.stagingBytes / fileRowBytes);
    const { layout } = plan;
    const rowsAtOnce = layout === "columns" ? fitting - fitting % COLUMN_GROUP_ROWS : fitting;
    this.#requireStaging(plan.tensor, fileRowBytes);
    let place = 0;
    for (const pieces of fileBatches(plan, rowsAtOnce)) {
      let rows = 0;
      for (const piece of pieces) {
        const wanted = [piece.start * fileRowBytes, lengthOf(piece) * fileRowBytes] as const;
        this.#stage(tensor, ...wanted, rows * fileRowBytes);
        rows += lengthOf(piece);
      }
      const staged = new Uint8Array(this.#in.buffer, this.#in.stagingOffset, rows * fileRowBytes);
      const target = plan.offsetBytes + place * plan.rowStrideBytes;
      const own = gatherColumns(staged, plan, { type: tensor.type, fileRowBytes });
      if (layout === "columns") this.#repackColumns(own, { fileRowBytes, first: place, rows });
      else if (typeInFile(own.type) !== tensor.type) this.#widen(own, tensor, { rows, target });
      else if (layout === "neurons" && !own.isTransposed) {
        this.#transpose(own, { fileRowBytes, first: place, rows });
      } else {
        const { stagingOffset: source, scratchOffset: scratch } = this.#in;
        packRows(this.#in.kernels, own, rows, { source, fileRowBytes, target, scratch });
      }
      place += rows;
    }
  }

  /** Norms, biases and short convolutions, widened to f32. */
  vector(plan: VectorPlan): void {
    if (plan.picked === null) this.#floats(plan);
    else this.#pickedFloats(plan, plan.picked);
    if (plan.columns !== undefined) this.#layByColumns(plan, plan.columns);
  }

  #layByColumns({ offsetBytes, range }: VectorPlan, columns: number): void {
    const own = new Float32Array(this.#in.buffer, offsetBytes, lengthOf(range));
    const rows = own.slice();
    const count = rows.length / columns;
    rows.forEach((value, i) => own[i % columns * count + Math.floor(i / columns)] = value);
  }

  /** Near ones are one read: a bias of neurons is picked in pieces of one or two. */
  #pickedFloats(plan: VectorPlan, picked: Ranges): void {
    const tensor = this.#tensor(plan.tensor);
    const { stagingOffset, stagingBytes, reader, buffer, onProgress } = this.#in;
    const bytesOf = (count: number) => rowBytes(tensor.type, count);
    const most = Math.floor(stagingBytes / bytesOf(1));
    let { offsetBytes } = plan;
    for (const near of nearRanges(picked, { most, gap: NEAR_GAP })) {
      const { start } = near[0];
      if (near.length > 1) {
        const sizeBytes = bytesOf(near[near.length - 1].end - start);
        reader.read(tensor, bytesOf(start), new Uint8Array(buffer, stagingOffset, sizeBytes));
      }
      for (const range of near) {
        const count = lengthOf(range);
        if (near.length === 1) this.#floats({ ...plan, range, offsetBytes });
        else {
          this.#widenFloats(
            tensor,
            stagingOffset + bytesOf(range.start - start),
            count,
            offsetBytes,
          );
          onProgress(bytesOf(count));
        }
        offsetBytes += 4 * count;
      }
    }
  }

  #floats(plan: VectorPlan): void {
    const tensor = this.#tensor(plan.tensor);
    const start = rowBytes(tensor.type, plan.range.start);
    const count = lengthOf(plan.range);
    if (count === 0) return;
    const sizeBytes = rowBytes(tensor.type, count);
    if (sizeBytes > this.#in.stagingBytes) return this.#floatsInTwo(plan);
    const staged = this.#stage(tensor, start, sizeBytes);
    if (tensor.type === "I32") {
      new Float32Array(this.#in.buffer, plan.offsetBytes, count).set(dequantize("I32", staged));
    } else this.#widenFloats(tensor, this.#in.stagingOffset, count, plan.offsetBytes);
  }

  #widenFloats({ type, name }: GgufTensor, from: number, count: number, to: number): void {
    const { dequantize_row_f32, dequantize_row_f16, dequantize_row_bf16 } = this.#in.kernels;
    const widen = { F32: dequantize_row_f32, F16: dequantize_row_f16, BF16: dequantize_row_bf16 }[
      type
    ];
    check(widen !== undefined, `type ${type} of vector ${name} was checked`);
    widen(from, count, to);
  }

  /** Decays of many channels are longer than staging. */
  #floatsInTwo(plan: VectorPlan): void {
    const { start, end } = plan.range;
    const middle = start + Math.ceil((end - start) / 2);
    this.#floats({ ...plan, range: { start, end: middle } });
    const offsetBytes = plan.offsetBytes + (middle - start) * 4;
    this.#floats({ ...plan, range: { start: middle, end }, offsetBytes });
  }

  /** Own rows from `first` on, a multiple of those that are packed at a time. */
  #repackColumns(
    plan: MatrixPlan,
    by: { fileRowBytes: number; first: number; rows: number },
  ): void {
    const { fileRowBytes, first, rows } = by;
    const { type, columns, offsetBytes } = plan;
    const source = this.#in.stagingOffset + rowBytes(type, columns.start);
    const blocks = lengthOf(columns) / blockWeights(type);
    const all = lengthOf(plan.rows);
    const id = typeId(type);
    const scratch = this.#in.stagingOffset + this.#in.stagingBytes;
    this.#in.kernels
      .repack_columns(id, source, fileRowBytes, offsetBytes, all, first, rows, blocks, scratch);
  }

  /** Own rows of floats from `first` on become columns of what lies neuron by neuron. */
  #transpose(plan: MatrixPlan, by: { fileRowBytes: number; first: number; rows: number }): void {
    const { fileRowBytes, first, rows } = by;
    const { type, columns, offsetBytes, rowStrideBytes: stride } = plan;
    const source = this.#in.stagingOffset + rowBytes(type, columns.start);
    const weightBytes = rowBytes(type, 1);
    const target = offsetBytes + first * weightBytes;
    const count = lengthOf(columns);
    this.#in.kernels
      .repack_transposed(weightBytes, source, fileRowBytes, target, stride, rows, count);
  }

  /** Rows of a small matrix that is kept more exactly than the file has it. */
  #widen(plan: MatrixPlan, tensor: GgufTensor, by: { rows: number; target: number }): void {
    const { rows, target } = by;
    check(plan.type === "F32", `tensor ${plan.tensor} is widened to f32`);
    const staged = new Uint8Array(this.#in.buffer, this.#in.stagingOffset);
    const bytes = staged.slice(0, rows * rowBytes(tensor.type, tensor.dims[0]));
    const values = dequantize(tensor.type, bytes);
    const { start, end } = plan.isTransposed ? plan.rows : plan.columns;
    for (let r = 0; r < rows; r++) {
      const first = r * tensor.dims[0];
      const to = target + r * plan.rowStrideBytes;
      const row = new Float32Array(this.#in.buffer, to, plan.rowStrideBytes / 4).fill(0);
      row.set(values.subarray(first + start, first + end));
    }
  }

  #requireStaging(tensor: string, rowSizeBytes: number): void {
    const { stagingBytes } = this.#in;
    if (rowSizeBytes <= stagingBytes) return;
    throw new UnsupportedModelError(
      `Cannot load tensor "${tensor}": one row has ${rowSizeBytes} bytes, staging ` +
        `${stagingBytes}: this is no language model's tensor`,
    );
  }

  /** behind: so many bytes of staging are in use. */
  #stage(tensor: GgufTensor, offsetBytes: number, sizeBytes: number, behind = 0): Uint8Array {
    const staging = new Uint8Array(this.#in.buffer, this.#in.stagingOffset + behind, sizeBytes);
    this.#in.reader.read(tensor, offsetBytes, staging);
    this.#in.onProgress(sizeBytes);
    return staging;
  }

  #tensor(name: string): GgufTensor {
    const tensor = this.#in.tensors.get(name);
    check(tensor !== undefined, `tensor ${name} was posted with the plan`);
    return tensor;
  }
}
