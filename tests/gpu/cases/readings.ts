/** Ways to read weights and inputs in products of one token, for cases that go through all. */
import { createMatrix, type Gpu, type GpuMatrix } from "../../../gpu/mod.ts";
import type { KernelName } from "../../../gpu/kernels.ts";
import { DEFAULT_ROW_LANES } from "../../../gpu/row_lanes.ts";
import { PLAIN_VARIANTS, usableVariants } from "../../../gpu/variants.ts";
import { dequantizeQ8, matmul as referenceMatmul, quantizeQ8 } from "../../../src/reference/ops.ts";
import { weightsOf } from "./weights.ts";
import type { GpuCase } from "./types.ts";

/** How weights are read: the end of shaders' names; types, and invocations of a row. */
const READINGS = [
  { reading: "float", types: ["F16", "F32"], lanes: DEFAULT_ROW_LANES },
  { reading: "int8", types: ["Q4_0", "Q6_K", "MXFP4"], lanes: { heads: 8, gated: 8, joined: 32 } },
  // Fewer than a subgroup has, and more.
  {
    reading: "int8_subgroups",
    types: ["Q2_K", "Q8_0"],
    lanes: { heads: 16, gated: 4, joined: 16 },
  },
] as const;
export type Reading = (typeof READINGS)[number]["reading"];

/** Runs with the shaders that read in this way, where the adapter has them. */
export async function reading(gpu: Gpu, way: Reading, run: () => Promise<void>): Promise<void> {
  const few = way === "float" ? null : `matvec_${way}` as const;
  if (few && !usableVariants("matvec_nibble", gpu.features).includes(few)) return;
  if (few) gpu.variants = { ...PLAIN_VARIANTS, matvec_nibble: few, matvec_byte: few };
  gpu.rowLanes = READINGS.find((each) => each.reading === way)!.lanes;
  try {
    await run();
  } finally {
    gpu.variants = PLAIN_VARIANTS;
    gpu.rowLanes = DEFAULT_ROW_LANES;
  }
}

/** What products read of a row. */
export function asRead(x: ArrayLike<number>, way: Reading): Float64Array {
  return way === "float" ? Float64Array.from(x) : dequantizeQ8(quantizeQ8(Float32Array.from(x)));
}

interface Weights {
  readonly matrix: GpuMatrix;
  readonly values: Float32Array;
}

/** A matrix of random weights. */
export async function makeMatrix(
  gpu: Gpu,
  { type, rows, columns }: { type: string; rows: number; columns: number },
  seed: number,
): Promise<Weights> {
  const { bytes, values } = weightsOf(type, rows, columns, seed);
  const matrix = await createMatrix(gpu, "w", { type, rows, columns });
  matrix.write(bytes, { firstRow: 0 });
  return { matrix, values };
}

/** `count` matrices one below the other, maybe in several buffers. */
export async function makeBatch(
  gpu: Gpu,
  { type, rows, columns, bindingBytes }: {
    readonly type: string;
    /** Of a matrix. */
    readonly rows: number;
    readonly columns: number;
    /** Of a binding; of F32. Left out: as many as the adapter allows. */
    readonly bindingBytes?: number;
  },
  count: number,
): Promise<Weights> {
  const whole = await makeMatrix(gpu, { type, rows: count * rows, columns }, 1);
  if (bindingBytes === undefined) return whole;
  whole.matrix.destroy();
  const limits = { maxBufferSize: bindingBytes, maxStorageBufferBindingSize: bindingBytes };
  const home = {
    ...{ limits, nothing: gpu.nothing },
    createBuffer: (label: string, bytes: number) => gpu.createBuffer(label, bytes),
    destroyBuffer: (buffer: GPUBuffer) => gpu.destroyBuffer(buffer),
    write: (buffer: GPUBuffer, offsetBytes: number, data: Uint8Array<ArrayBuffer>) =>
      gpu.write(buffer, offsetBytes, data),
  };
  const shape = { type, rows: count * rows, columns, expertRows: rows };
  const matrix = await createMatrix(home, "batch", shape);
  if (matrix.parts.length < 2) throw new Error("matrices in one buffer");
  matrix.write(new Uint8Array(whole.values.buffer), { firstRow: 0 });
  return { matrix, values: whole.values };
}

/** A value that lies between two steps of 8 bits may go to either. */
export function boundOf(
  values: Float32Array,
  x: Float64Array,
  way: Reading,
): (i: number) => number {
  const sizes = referenceMatmul(values.map(Math.abs), x.map(Math.abs), x.length);
  return (i) => (way === "float" ? 4e-6 : 1e-3) * (sizes[i] + 1);
}

/** One of the runs of a case. */
interface ReadingCase {
  readonly way: Reading;
  readonly type: string;
  readonly isFloat: boolean;
  readonly isShort: boolean;
}

/** For each way to read weights: `run` with a type, and a shorter one with another. */
export function byReading(
  job: string,
  name: string,
  run: (gpu: Gpu, of: ReadingCase) => Promise<void>,
): GpuCase[] {
  return READINGS.map(({ reading: way, types }) => ({
    kernels: [`${job}_${way}` as KernelName],
    name: `${name}, read as ${way}`,
    ...way === "int8" && { deep: "read as int8_subgroups rows' sums meet otherwise, no more" },
    run: (gpu) =>
      reading(gpu, way, async () => {
        for (const [index, type] of types.entries()) {
          await run(gpu, { way, type, isFloat: way === "float", isShort: index > 0 });
        }
      }),
  }));
}
