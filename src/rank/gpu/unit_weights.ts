/**
 * Brings neurons of a packed file's units to the GPU: the first bundles of each stripe, whose gates
 * and ups become rows of their file again, bit for bit, and whose down becomes columns of numbers.
 * In their natural order. Knows bundles and plans; how weights lie on the GPU is `gpu`'s business.
 */
import type { GpuMatrix } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import type { BundlePart, BundleUnit } from "../../bundle/types.ts";
import { type ByteSource, openFileSource } from "../../gguf/byte_source.ts";
import { dequantize } from "../../model/quants/dequantize.ts";
import { ColumnValues } from "../load/column_values.ts";
import { RowUnpacker } from "../load/unpacked_rows.ts";
import type { UnitPart } from "../plan/gpu_plan_types.ts";
import type { MatrixPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { PackedUnits } from "../stream/streaming.ts";

/** Rows that are unpacked, encoded and uploaded at a time. */
const ROWS_AT_ONCE = 256;
/** Floats of a strip of down, and the rows that it is a multiple of. */
const STRIP_FLOATS = 1 << 22;
const STRIP_ROWS = 64;
const F16_MAX = 65504;
/** What f16 rounds off numbers of a strip is a 32,768th of this: less than threads round off. */
const STRIP_LEAST = 2 ** -10;

/** Bundles of a unit that are a GPU's, in memory. */
interface HotBundles {
  readonly unit: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Neuron of each, ascending, and where its bundle begins. */
  readonly neurons: Uint32Array;
  readonly starts: Float64Array;
  /** Of down, of the whole unit; empty where it has none. */
  readonly factors: Uint8Array<ArrayBuffer>;
}

export class UnitWeights implements Disposable {
  readonly #packed: PackedUnits;
  readonly #module: WebAssembly.Module;
  readonly #source: ByteSource;
  /** By type and length. */
  readonly #unpackers = new Map<string, RowUnpacker>();
  /** The last unit's: a layer's matrices come one after the other. */
  #bundles: HotBundles | null = null;

  /** @throws {ModelFormatError} when the file is gone. */
  constructor(packed: PackedUnits & { readonly module: WebAssembly.Module }) {
    this.#packed = packed;
    this.#module = packed.module;
    this.#source = openFileSource(packed.path);
  }

  [Symbol.dispose](): void {
    this.#source.close();
    this.#bundles = null;
  }

  /**
   * Writes what `plan` has of its unit, from row `firstRow` on.
   * @throws {ModelFormatError} when the file cannot be read any more.
   * @throws {UnsupportedModelError} when a number is too large for where it goes.
   */
  write(matrix: GpuMatrix, plan: MatrixPlan, firstRow: number): void {
    const { ofUnit } = plan;
    check(ofUnit !== undefined, "a part of a unit");
    const bundles = this.#read(ofUnit);
    const unit = this.#packed.units[ofUnit.unit];
    if (ofUnit.part === "down") return this.#writeDown(matrix, plan, { firstRow, unit, bundles });
    const part = ofUnit.part === "gate" ? unit.gate! : unit.up;
    const columns = lengthOf(plan.columns);
    const unpacker = this.#unpackerOf(part, columns);
    const count = bundles.neurons.length;
    check(count === lengthOf(plan.rows), "the plan counts the same neurons");
    const rows = new Uint8Array(Math.min(ROWS_AT_ONCE, count) * unpacker.fileBytes);
    const starts = bundles.starts.map((start) => start + part.offsetBytes);
    for (let first = 0; first < count; first += ROWS_AT_ONCE) {
      const end = Math.min(first + ROWS_AT_ONCE, count);
      unpacker.unpackRows(bundles.bytes, starts.subarray(first, end), rows);
      matrix.write(rows.subarray(0, (end - first) * unpacker.fileBytes), {
        ...{ firstRow: firstRow + first, fileColumns: columns, columnStart: 0 },
      });
    }
  }

  /** Columns of neurons, a strip of rows at a time. */
  #writeDown(
    matrix: GpuMatrix,
    { type, rows, tensor }: MatrixPlan,
    { firstRow, unit, bundles }: { firstRow: number; unit: BundleUnit; bundles: HotBundles },
  ): void {
    const stride = bundles.neurons.length;
    const outputs = lengthOf(rows);
    const most = Math.max(1, Math.floor(STRIP_FLOATS / stride / STRIP_ROWS)) * STRIP_ROWS;
    const put = this.#columnsOf(unit, bundles, outputs);
    for (let first = 0; first < outputs; first += most) {
      const end = Math.min(outputs, first + most);
      const into = new Float32Array((end - first) * stride);
      for (let at = 0; at < stride; at++) put(at, { first, end, into, stride });
      if (type === "F16") checkHalves(into, { tensor, from: unit.down.type });
      matrix.writeFloats(into, firstRow + first);
    }
  }

  /** Puts rows of the down weights of the neuron at a place where they go. */
  #columnsOf(unit: BundleUnit, bundles: HotBundles, outputs: number): PutColumn {
    const { down, downLayout } = unit;
    const { neurons } = bundles;
    const type = down.type as MatrixPlan["type"];
    if (downLayout === "columns") {
      const values = new ColumnValues(type, outputs, bundles.factors);
      return (at, to) => values.write(partOf(bundles, at, down), neurons[at], { ...to, at });
    }
    const unpacker = this.#unpackerOf(down, outputs);
    const row = new Uint8Array(unpacker.fileBytes);
    return (at, { first, end, into, stride }) => {
      unpacker.unpack(partOf(bundles, at, down), row);
      const values = dequantize(type, row);
      for (let r = first; r < end; r++) into[(r - first) * stride + at] = values[r];
    };
  }

  #unpackerOf({ type }: BundlePart, columns: number): RowUnpacker {
    const key = `${type} ${columns}`;
    const known = this.#unpackers.get(key);
    if (known !== undefined) return known;
    const learnt = RowUnpacker.learn(this.#module, type as MatrixPlan["type"], columns);
    check(learnt !== null, `obstacle.ts refuses neurons of ${type}`);
    this.#unpackers.set(key, learnt);
    return learnt;
  }

  #read({ unit: number, ofStripe }: UnitPart): HotBundles {
    if (this.#bundles?.unit === number) return this.#bundles;
    this.#bundles = null; // before there are two
    const unit = this.#packed.units[number];
    const { bundleBytes, stripes, neurons, order } = unit;
    const inStripe = neurons / stripes;
    const stripeBytes = ofStripe * bundleBytes;
    const bytes = new Uint8Array(stripes * stripeBytes);
    const places: { neuron: number; start: number }[] = [];
    for (let stripe = 0; stripe < stripes; stripe++) {
      const first = stripe * inStripe;
      const into = bytes.subarray(stripe * stripeBytes, (stripe + 1) * stripeBytes);
      this.#source.read(unit.offsetBytes + first * bundleBytes, into);
      for (let i = 0; i < ofStripe; i++) {
        places.push({ neuron: order[first + i], start: stripe * stripeBytes + i * bundleBytes });
      }
    }
    places.sort((a, b) => a.neuron - b.neuron);
    const factors = new Uint8Array(unit.factorsSizeBytes);
    this.#source.read(unit.factorsOffsetBytes, factors);
    return this.#bundles = {
      ...{ unit: number, bytes, factors },
      neurons: Uint32Array.from(places, ({ neuron }) => neuron),
      starts: Float64Array.from(places, ({ start }) => start),
    };
  }
}

/** @throws {UnsupportedModelError} where halves are no place for these. */
export function checkHalves(
  values: Float32Array,
  { tensor, from }: { readonly tensor: string; readonly from: string },
): void {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  // Other types have scales in f16 themselves.
  const areSmall = from === "MXFP4" && most > 0 && most < STRIP_LEAST;
  if (!(most > F16_MAX) && !areSmall) return;
  const what = areSmall ? `no numbers but those under ${STRIP_LEAST}` : `numbers beyond ${F16_MAX}`;
  throw new UnsupportedModelError(
    `Cannot put neurons on the GPU: "${tensor}" has ${what}: load the model with --hot-share 0`,
  );
}

type PutColumn = (
  at: number,
  to: { first: number; end: number; into: Float32Array; stride: number },
) => void;

/** Bytes of the bundle at a place. */
function partOf(
  { bytes, starts }: HotBundles,
  at: number,
  { offsetBytes, sizeBytes }: BundlePart,
): Uint8Array {
  const start = starts[at] + offsetBytes;
  return bytes.subarray(start, start + sizeBytes);
}
