/**
 * Brings a rank's share of the weights from the file to the GPU: pieces of whole file rows, which
 * gpu/ encodes and uploads at once, so that there is never a second copy of the model. Knows
 * tensors and plans; how weights lie on the GPU is that folder's business.
 */
import {
  createMatrix,
  type Gpu,
  type GpuMatrix,
  type MatrixHome,
  type MatrixShape,
} from "../../../gpu/mod.ts";
import { alignUp, check, divExact } from "../../base/check.ts";
import { MiB } from "../../base/units.ts";
import type { TensorReader } from "../../gguf/tensor_reader.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { dequantize } from "../../model/quants/dequantize.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { bytesOfUnitPart } from "../load/load_order.ts";
import { deviceType } from "../plan/device_placer.ts";
import { filePieces, gatherColumns } from "../plan/picked.ts";
import type { MatrixPlan, VectorPlan } from "../plan/plan_types.ts";
import { NEAR_GAP, nearRanges } from "../plan/ranges.ts";
import { lengthOf } from "../plan/shard.ts";
import type { UnitWeights } from "./unit_weights.ts";

/** File bytes that are read, encoded and uploaded at a time. */
const PIECE_BYTES = 2 * MiB;
/** Floats of a strip of a matrix that is turned around. */
const STRIP_FLOATS = 4 * MiB;

export interface GpuLoading {
  readonly gpu: Gpu;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly reader: TensorReader;
  /** Where neurons of a packed file come from; null or left out: it is no packed one. */
  readonly units?: Pick<UnitWeights, "write"> | null;
  /** Told the bytes of every read. */
  readonly onProgress: (bytes: number) => void;
}

/** Some matrices of the same width one below the other, and their biases. */
export interface Stacked {
  readonly matrix: GpuMatrix;
  readonly bias: GPUBuffer | null;
  /** f32 [rows]: what comes of both is multiplied by it, for the stream. Left out: it is not. */
  readonly gains?: GPUBuffer;
}

/** A product whose rows come from several matrices, side by side in what it gives. */
export interface Product {
  readonly stacked: Stacked;
  /** Where in the row of what it gives it begins. */
  readonly column: number;
}

/** Of matrices of one type, one below the other. */
export function stackShape(plans: readonly MatrixPlan[]): MatrixShape {
  const [first] = plans;
  return {
    type: deviceType(first),
    rows: plans.reduce((sum, plan) => sum + lengthOf(plan.rows), 0),
    columns: lengthOf(first.columns),
  };
}

/** Neighbours of the same type: one matrix on the GPU, one dispatch instead of several. */
export function stacksOf(plans: readonly MatrixPlan[]): MatrixPlan[][] {
  const stacks: MatrixPlan[][] = [];
  for (const plan of plans) {
    const last = stacks.at(-1);
    if (last !== undefined && deviceType(last[0]) === deviceType(plan)) last.push(plan);
    else stacks.push([plan]);
  }
  return stacks;
}

/** Matrices that read the same, those of one type as one. */
export async function loadProducts(
  loader: GpuLoader,
  plans: readonly MatrixPlan[],
  home?: MatrixHome,
): Promise<Product[]> {
  const { columns } = productColumns(plans);
  const products: Product[] = [];
  let first = 0;
  for (const together of stacksOf(plans)) {
    products.push({ stacked: await loader.stack(together, { home }), column: columns[first] });
    first += together.length;
  }
  return products;
}

/** Where in a row of what they give each of them begins, and how wide it is: stacks by fours. */
export function productColumns(
  plans: readonly MatrixPlan[],
): { columns: number[]; width: number } {
  const columns: number[] = [];
  let width = 0;
  for (const together of stacksOf(plans)) {
    width = alignUp(width, 4);
    for (const { rows } of together) {
      columns.push(width);
      width += lengthOf(rows);
    }
  }
  return { columns, width };
}

/** Room on the GPU, and what is to be there; at: the number of the stack. */
interface OpenStack {
  readonly at: number;
  readonly plans: readonly MatrixPlan[];
  readonly matrix: GpuMatrix;
}

async function open(
  home: MatrixHome,
  plans: readonly MatrixPlan[],
  experts: number,
): Promise<GpuMatrix> {
  const label = [...new Set(plans.map(({ tensor }) => tensor))].join(" + ");
  const shape = stackShape(plans);
  const ofEach = experts === 1 ? {} : { expertRows: divExact(shape.rows, experts) };
  return await createMatrix(home, label, { ...shape, ...ofEach });
}

export class GpuLoader {
  readonly #in: GpuLoading;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  /** What is on the GPU, by the first matrix of a stack. */
  readonly #stacks = new Map<MatrixPlan, { plans: readonly MatrixPlan[]; stacked: Stacked }>();

  constructor(loading: GpuLoading) {
    this.#in = loading;
  }

  /** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
  async vector(plan: VectorPlan): Promise<GPUBuffer> {
    return await this.#in.gpu.createVector(plan.tensor, this.#values(plan));
  }

  /** One behind the other. @throws {GpuOutOfMemoryError} when there is no room. */
  async vectors(plans: readonly VectorPlan[]): Promise<GPUBuffer> {
    const label = plans.map(({ tensor }) => tensor).join(" + ");
    const values = plans.flatMap((plan) => [...this.#values(plan)]);
    return await this.#in.gpu.createVector(label, Float32Array.from(values));
  }

  /** Each number so many times. @throws {GpuOutOfMemoryError} when there is no room. */
  async repeated(plan: VectorPlan, times: number): Promise<GPUBuffer> {
    const values = this.#values(plan);
    const all = Float32Array.from(
      { length: values.length * times },
      (_, i) => values[Math.floor(i / times)],
    );
    return await this.#in.gpu.createVector(plan.tensor, all);
  }

  /** @throws {GpuOutOfMemoryError} when there is no room. */
  async zeros(length: number): Promise<GPUBuffer> {
    return await this.#in.gpu.createVector("zeros", new Float32Array(length));
  }

  /** Weights of a norm that has none. @throws {GpuOutOfMemoryError} when there is no room. */
  async ones(length: number): Promise<GPUBuffer> {
    return await this.#in.gpu.createVector("ones", new Float32Array(length).fill(1));
  }

  /**
   * Matrices of one type, one below the other. Layers that are used several times have the same
   * plans: there is one matrix for them on the GPU.
   * @param options.home where they have their buffers; left out: on the GPU.
   * @param options.experts whose matrices they are, as many of each; left out: 1.
   * @throws {GpuOutOfMemoryError} when the GPU has no room for them.
   */
  async stack(
    plans: readonly MatrixPlan[],
    { home = this.#in.gpu, experts = 1 }: { home?: MatrixHome; experts?: number } = {},
  ): Promise<Stacked> {
    return (await this.stacks([plans], { home, experts }))[0];
  }

  /**
   * Several of these. What they have of a unit of a packed file is written together: it is read
   * once.
   * @throws {GpuOutOfMemoryError} when the GPU has no room for them.
   */
  async stacks(
    all: readonly (readonly MatrixPlan[])[],
    { home = this.#in.gpu, experts = 1 }: { home?: MatrixHome; experts?: number } = {},
  ): Promise<Stacked[]> {
    const stacks: (Stacked | null)[] = all.map((plans) => this.#known(plans, home));
    const opened: OpenStack[] = [];
    for (const [at, plans] of all.entries()) {
      if (stacks[at] === null) opened.push({ at, plans, matrix: await open(home, plans, experts) });
    }
    this.#writeAll(opened);
    for (const { at, plans, matrix } of opened) {
      const stacked = { matrix, bias: await this.#stackedBias(plans, matrix.rows) };
      if (home === this.#in.gpu) this.#stacks.set(plans[0], { plans, stacked });
      stacks[at] = stacked;
    }
    return stacks.map((each) => each!);
  }

  #known(plans: readonly MatrixPlan[], home: MatrixHome): Stacked | null {
    const known = home === this.#in.gpu ? this.#stacks.get(plans[0]) : undefined;
    const areSame = known?.plans.length === plans.length &&
      known.plans.every((each, i) => each === plans[i]);
    return areSame ? known.stacked : null;
  }

  #writeAll(opened: readonly OpenStack[]): void {
    const ofUnits: { plan: MatrixPlan; matrix: GpuMatrix; firstRow: number }[] = [];
    for (const { plans, matrix } of opened) {
      let firstRow = 0;
      for (const plan of plans) {
        check(deviceType(plan) === deviceType(plans[0]), "matrices of a stack have one type");
        if (plan.ofUnit !== undefined) ofUnits.push({ plan, matrix, firstRow });
        else if (plan.isTransposed) this.#writeTurned(matrix, plan, firstRow);
        else this.#write(matrix, plan, firstRow);
        firstRow += lengthOf(plan.rows);
      }
    }
    // Stable: of a unit they stay in their order.
    ofUnits.sort((a, b) => a.plan.ofUnit!.unit - b.plan.ofUnit!.unit);
    for (const { plan, matrix, firstRow } of ofUnits) this.#writeUnit(matrix, plan, firstRow);
  }

  async #stackedBias(plans: readonly MatrixPlan[], rows: number): Promise<GPUBuffer | null> {
    if (plans.every(({ bias }) => bias === null)) return null;
    const values = new Float32Array(rows);
    let first = 0;
    for (const plan of plans) {
      if (plan.bias !== null) values.set(this.#values(plan.bias), first);
      first += lengthOf(plan.rows);
    }
    return await this.#in.gpu.createVector(`${plans[0].tensor} bias`, values);
  }

  #values({ tensor: name, range: all, picked }: VectorPlan): Float32Array<ArrayBuffer> {
    const tensor = this.#tensor(name);
    const values = new Float32Array(lengthOf(all));
    let place = 0;
    for (const near of nearRanges(picked ?? [all], { most: Infinity, gap: NEAR_GAP })) {
      const { start } = near[0];
      const bytes = new Uint8Array(rowBytes(tensor.type, near[near.length - 1].end - start));
      this.#in.reader.read(tensor, rowBytes(tensor.type, start), bytes);
      const found = dequantize(tensor.type, bytes);
      for (const range of near) {
        values.set(found.subarray(range.start - start, range.end - start), place);
        place += lengthOf(range);
        this.#in.onProgress(rowBytes(tensor.type, lengthOf(range)));
      }
    }
    return values;
  }

  #writeUnit(matrix: GpuMatrix, plan: MatrixPlan, firstRow: number): void {
    const { units } = this.#in;
    check(units !== undefined && units !== null, "units were posted with the plan");
    units.write(matrix, plan, firstRow);
    this.#in.onProgress(bytesOfUnitPart(plan, this.#tensor(plan.tensor).type));
  }

  #write(matrix: GpuMatrix, plan: MatrixPlan, firstRow: number): void {
    const { type, dims: [fileColumns] } = this.#tensor(plan.tensor);
    const fileRowBytes = rowBytes(type, fileColumns);
    this.#eachPiece(plan, (bytes, first) => {
      if (type !== matrix.type) {
        check(lengthOf(plan.columns) === fileColumns, "what is widened is whole rows");
        return matrix.writeFloats(dequantize(type, bytes), firstRow + first);
      }
      const own = gatherColumns(bytes, plan, { type, fileRowBytes });
      matrix.write(bytes, {
        firstRow: firstRow + first,
        fileColumns,
        columnStart: own.columns.start,
      });
    });
  }

  /**
   * The file's rows are the matrix's columns. A strip of its rows is gathered at a time, as many as
   * few floats hold: the file is read once for each.
   */
  #writeTurned(matrix: GpuMatrix, plan: MatrixPlan, firstRow: number): void {
    const { type, dims: [fileColumns] } = this.#tensor(plan.tensor);
    const neurons = lengthOf(plan.columns);
    const { start, end } = plan.rows;
    const most = Math.max(1, Math.floor(STRIP_FLOATS / neurons));
    for (let row = start; row < end; row += most) {
      const count = Math.min(most, end - row);
      const strip = new Float32Array(count * neurons);
      this.#eachPiece(plan, (bytes, firstNeuron) => {
        const values = dequantize(type, bytes);
        for (let i = 0; i * fileColumns < values.length; i++) {
          const from = i * fileColumns + row;
          const to = firstNeuron + i;
          for (let r = 0; r < count; r++) strip[r * neurons + to] = values[from + r];
        }
      });
      matrix.writeFloats(strip, firstRow + row - start);
    }
  }

  /** Whole file rows, some at a time; `first` is the place of theirs among the plan's. */
  #eachPiece(
    plan: MatrixPlan,
    use: (bytes: Uint8Array<ArrayBuffer>, first: number) => void,
  ): void {
    const tensor = this.#tensor(plan.tensor);
    if (lengthOf(plan.columns) === 0) return;
    const fileRowBytes = rowBytes(tensor.type, tensor.dims[0]);
    const atOnce = Math.max(1, Math.floor(PIECE_BYTES / fileRowBytes));
    const piece = fileRowBytes > PIECE_BYTES ? new Uint8Array(fileRowBytes) : this.#piece;
    for (const { rows: { start, end }, place } of filePieces(plan)) {
      for (let row = start; row < end; row += atOnce) {
        const bytes = piece.subarray(0, Math.min(atOnce, end - row) * fileRowBytes);
        this.#in.reader.read(tensor, row * fileRowBytes, bytes);
        this.#in.onProgress(bytes.length);
        use(bytes, place + row - start);
      }
    }
  }

  #tensor(name: string): GgufTensor {
    const tensor = this.#in.tensors.get(name);
    check(tensor !== undefined, `tensor ${name} was posted with the plan`);
    return tensor;
  }
}
