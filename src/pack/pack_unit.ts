/**
 * One unit at a time as it lies in a packed file: its matrices are loaded as a rank of its own
 * would load them, and gathered from there neuron by neuron. Knows neither files to write nor why
 * neurons have their order.
 */
import { instantiateKernels } from "../../wasm/mod.ts";
import { alignUp } from "../base/check.ts";
import { MiB } from "../base/units.ts";
import type { UnitShape, UnitSource } from "../bundle/units.ts";
import type { GgufTensor, TensorReader } from "../gguf/mod.ts";
import { ArenaBuilder, createArenaMemory } from "../memory/arena.ts";
import {
  COLUMN_ALIGN_BYTES,
  COLUMN_GROUP_ROWS,
  COLUMN_SCRATCH_BYTES,
} from "../memory/column_layout.ts";
import type { MatrixTensor } from "../model/mod.ts";
import { rowBytes } from "../model/dtypes.ts";
import { ArenaLoader } from "../rank/load/load_weights.ts";
import type { MatrixPlan } from "../rank/plan/plan_types.ts";
import { byColumnsRowBytes, packedRowBytes, type WeightType } from "../rank/plan/weight_types.ts";

/** A unit, and where its weights come from. */
export interface PackedUnit {
  readonly source: UnitSource;
  readonly shape: UnitShape;
}

/** What `repack` works in. */
const REPACK_SCRATCH_BYTES = 1024;
/** As much as a core's cache holds: what was read is repacked from there. */
const STAGING_BYTES = MiB / 2;
/** Bundles are given out in pieces of about so many bytes. */
const PIECE_BYTES = 4 * MiB;

/** A unit in memory. */
export interface LoadedUnit {
  /** Down's factors, as they lie behind all its columns; empty where there are none. */
  readonly factors: Uint8Array;
  /**
   * Bundles of the neurons in this order, some at a time; a piece is valid until the next one is
   * asked for.
   */
  bundles(order: Uint32Array): Iterable<Uint8Array>;
}

/** Loads one unit after the other into the same memory, which holds the largest. */
export class UnitPacker {
  readonly #memory: WebAssembly.Memory;
  readonly #loader: ArenaLoader;
  readonly #matricesOffset: number;
  readonly #piece: Uint8Array<ArrayBuffer>;

  constructor(from: {
    units: readonly PackedUnit[];
    tensors: ReadonlyMap<string, GgufTensor>;
    reader: TensorReader;
    module: WebAssembly.Module;
  }) {
    const { units, tensors, reader, module } = from;
    const arena = new ArenaBuilder();
    const scratchOffset = arena.allocate("scratch", "activations", REPACK_SCRATCH_BYTES);
    const stagingBytes = Math.max(...units.map((unit) => leastStagingBytes(unit, tensors)));
    const staged = stagingBytes + COLUMN_SCRATCH_BYTES;
    const stagingOffset = arena.allocate("staging", "activations", staged);
    const largest = Math.max(...units.map((unit) => placeMatrices(unit, 0).endBytes));
    this.#matricesOffset = arena.allocate("unit", "weights", largest, COLUMN_ALIGN_BYTES);
    this.#memory = createArenaMemory(arena.build());
    this.#loader = new ArenaLoader({
      ...{ tensors, reader, stagingOffset, stagingBytes, scratchOffset },
      kernels: instantiateKernels(module, this.#memory),
      buffer: this.#memory.buffer,
      onProgress: () => {},
    });
    const bundleBytes = Math.max(...units.map(({ shape }) => shape.bundleBytes));
    this.#piece = new Uint8Array(Math.max(PIECE_BYTES, bundleBytes));
  }

  /** The unit replaces the one before. */
  load(unit: PackedUnit): LoadedUnit {
    const { gate, up, down } = placeMatrices(unit, this.#matricesOffset);
    const arena = new Uint8Array(this.#memory.buffer);
    const { shape } = unit;
    const downBytes = down.rowStrideBytes * unitRows(down);
    // Transposing leaves padding as it is: there may be weights of another unit.
    if (down.layout === "neurons") {
      arena.fill(0, down.offsetBytes, down.offsetBytes + downBytes);
    }
    for (const plan of gate === null ? [up, down] : [gate, up, down]) this.#loader.matrix(plan);
    const factorsEnd = down.offsetBytes + shape.neurons * shape.down.sizeBytes +
      shape.factorsSizeBytes;
    return {
      factors: arena.subarray(factorsEnd - shape.factorsSizeBytes, factorsEnd),
      bundles: (order) => this.#bundles(shape, { gate, up, down }, order),
    };
  }

  *#bundles(
    shape: UnitShape,
    { gate, up, down }: Placed,
    order: Uint32Array,
  ): Iterable<Uint8Array> {
    const arena = new Uint8Array(this.#memory.buffer);
    const { bundleBytes } = shape;
    const atOnce = Math.floor(this.#piece.length / bundleBytes);
    this.#piece.fill(0);
    const parts = [
      ...shape.gate === null || gate === null ? [] : [{ part: shape.gate, from: gate.offsetBytes }],
      { part: shape.up, from: up.offsetBytes },
      { part: shape.down, from: down.offsetBytes },
    ];
    for (let begin = 0; begin < order.length; begin += atOnce) {
      const count = Math.min(atOnce, order.length - begin);
      for (const { part: { offsetBytes, sizeBytes }, from } of parts) {
        let to = offsetBytes;
        for (let i = 0; i < count; i++, to += bundleBytes) {
          const at = from + order[begin + i] * sizeBytes;
          this.#piece.set(arena.subarray(at, at + sizeBytes), to);
        }
      }
      yield this.#piece.subarray(0, count * bundleBytes);
    }
  }
}

/** The matrices of a unit in memory. */
interface Placed {
  readonly gate: MatrixPlan | null;
  readonly up: MatrixPlan;
  readonly down: MatrixPlan;
}

/** Lays the unit's matrices one behind the other, all neurons of each. */
function placeMatrices(
  { source, shape }: PackedUnit,
  offsetBytes: number,
): Placed & { endBytes: number } {
  const { gate, up, down, isDownTransposed: isTransposed } = source.tensors;
  let end = offsetBytes;
  const place = (plan: Omit<MatrixPlan, "offsetBytes">): MatrixPlan => {
    const placed = { ...plan, offsetBytes: end };
    end = alignUp(end + plan.rowStrideBytes * unitRows(placed), COLUMN_ALIGN_BYTES);
    return placed;
  };
  const rows = (matrix: MatrixTensor, type: string) => {
    return place({ ...planOf(matrix, type), layout: "rows" });
  };
  const placedGate = gate === null || shape.gate === null ? null : rows(gate, shape.gate.type);
  const placedUp = rows(up, shape.up.type);
  const plan = planOf(down, shape.down.type);
  const placedDown = isTransposed
    ? place({ ...plan, rows: plan.columns, columns: plan.rows, layout: "neurons", isTransposed })
    : shape.downLayout === "columns"
    ? place({
      ...plan,
      rowStrideBytes: byColumnsRowBytes(plan.type, down.columns),
      layout: "columns",
    })
    : place({
      ...plan,
      rowStrideBytes: packedRowBytes(plan.type, down.rows),
      layout: "neurons",
    });
  return { gate: placedGate, up: placedUp, down: placedDown, endBytes: end };
}

/** All of a matrix, its rows packed. */
function planOf(
  { tensor, rowStart, rows, columns }: MatrixTensor,
  type: string,
): Omit<MatrixPlan, "offsetBytes" | "layout"> {
  return {
    tensor,
    type: type as WeightType, // unitShape() checked it
    rows: { start: rowStart, end: rowStart + rows },
    columns: { start: 0, end: columns },
    rowStrideBytes: packedRowBytes(type as WeightType, columns),
    bias: null,
    isTransposed: false,
    scratchOffsetBytes: 0,
    picked: null,
  };
}

/** Rows in memory. */
function unitRows({ layout, rows, columns }: Omit<MatrixPlan, "offsetBytes">): number {
  const { start, end } = layout === "neurons" ? columns : rows;
  return end - start;
}

/** A group of rows where down is packed by columns; a row of any other matrix. */
function leastStagingBytes(
  { source: { tensors }, shape }: PackedUnit,
  all: ReadonlyMap<string, GgufTensor>,
): number {
  const fileRow = ({ tensor }: MatrixTensor) => {
    const { type, dims } = all.get(tensor)!;
    return rowBytes(type, dims[0]);
  };
  const { gate, up, down } = tensors;
  const group = shape.downLayout === "columns" ? COLUMN_GROUP_ROWS : 1;
  const rows = [fileRow(up), fileRow(down) * group, gate === null ? 0 : fileRow(gate)];
  return alignUp(Math.max(STAGING_BYTES, ...rows), COLUMN_ALIGN_BYTES);
}
