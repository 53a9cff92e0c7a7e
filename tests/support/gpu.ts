/**
 * The GPU of a test file: one device, software if need be, opened once. It goes with the process: a
 * device that is destroyed while Deno ends made Mesa abort in one of thirty runs. Where there is
 * none (no Vulkan, no GL), tests skip and their names say why.
 */
import {
  createInt8Rows,
  createReadBack,
  createStepInput,
  destroyInt8Rows,
  type Gpu,
  GpuUnavailableError,
  openGpu,
  ProgramBuilder,
  type Rows,
  type StepRows,
} from "../../gpu/mod.ts";
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout.ts";
import type { RopeFrequencies } from "../../src/model/mod.ts";
import { notDeep } from "./deep.ts";

/** The device, or why there is none. */
const opened: Gpu | string = await openGpu({ adapter: "fallback-allowed" }).catch((error) => {
  if (error instanceof GpuUnavailableError) return error.message;
  throw error;
});

/** Why there is no GPU; null when there is one. */
export const missingGpu: string | null = typeof opened === "string" ? opened : null;

/** A test that needs a GPU of some kind; a deep one is left out of the gate for a reason. */
export function gpuTest(
  name: string,
  run: (gpu: Gpu) => Promise<void>,
  { deep }: { deep?: string } = {},
): void {
  // A machine without a Vulkan or GL driver has no adapter to compute on: what a kernel gives
  // cannot be seen there. `.ci/run` installs a driver in software.
  const missing = missingGpu ?? notDeep(deep);
  if (typeof opened === "string" || missing !== null) {
    Deno.test({ name: `${name} [skipped: ${missing}]`, ignore: true, fn: () => {} });
    return;
  }
  // The device outlives a test: its resources are no leak.
  Deno.test({ name, sanitizeResources: false, sanitizeOps: false, fn: () => run(opened) });
}

/** f32 rows that an operation works on. */
export interface TestRows {
  readonly values: ArrayLike<number>;
  /** Values of a row; padded to a multiple of 4 on the GPU. */
  readonly width: number;
  /** Rows of a token; left out: 1. */
  readonly perToken?: number;
}

/** A step on the GPU: what is in the workspace, what is done, what comes out. */
export interface TestStep<Name extends string> {
  readonly n: number;
  readonly position?: number;
  readonly m?: number;
  readonly seesAll?: boolean;
  readonly ids?: readonly number[];
  readonly ropes?: readonly RopeFrequencies[];
  /** Positions of a sequence; left out: nobody asks for keys and values. */
  readonly contextLength?: number;
  /** Whose tokens are: each another one's, or all the only one's; left out: the only one's. */
  readonly sequences?: readonly TestSequence[];
  /** Places of states by token, below 0: none; left out: nobody keeps states. */
  readonly states?: { readonly from: readonly number[]; readonly to: readonly number[] };
  readonly rows: Readonly<Record<Name, TestRows>>;
  readonly build: (builder: ProgramBuilder, rows: Readonly<Record<Name, Rows>>) => void;
  readonly read: NoInfer<Name>;
}

/** One of which more than one of the rows is read. */
export type ManyReads<Name extends string> = Omit<TestStep<Name>, "read"> & {
  readonly reads: readonly NoInfer<Name>[];
};

/** Where a sequence is, and its blocks of the cache. */
export interface TestSequence {
  readonly position: number;
  readonly blocks: readonly number[];
}

/** Blocks of the only sequence of a cache: never in their order. */
function turnedBlocks(contextLength: number): number[] {
  const count = Math.ceil(contextLength / KV_BLOCK_POSITIONS);
  return Array.from({ length: count }, (_, i) => count - 1 - i);
}

/** Runs one step; all rows lie in one buffer, as they do in a model. */
export async function runStep<Name extends string>(
  gpu: Gpu,
  { read, ...step }: TestStep<Name>,
): Promise<Float32Array> {
  return (await runStepFor<Name>(gpu, { ...step, reads: [read] }))[0];
}

/** The same for several of the rows, in their order. */
export async function runStepFor<Name extends string>(
  gpu: Gpu,
  step: ManyReads<Name>,
): Promise<Float32Array[]> {
  const { n, m = n, ids = null, ropes = [], rows, build, reads, contextLength = 0 } = step;
  const { position = 0, sequences = [{ position, blocks: turnedBlocks(contextLength) }] } = step;
  const count = sequences.length;
  const isApart = count === n;
  const input = await createStepInput(gpu, {
    maxTokens: n,
    ropes,
    contextLength,
    sequences: count,
  });
  sequences.forEach(({ blocks }, slot) =>
    blocks.forEach((block, index) => input.setBlock(slot, index, block))
  );
  const { workspace, places } = await placeRows(gpu, rows);
  const widest = Math.max(
    ...Object.values<TestRows>(rows).map(({ width, perToken = 1 }) =>
      32 * Math.ceil(width / 32) * perToken
    ),
  );
  const int8 = await createInt8Rows(gpu, {
    ...{ tokens: n, columns: widest, sequences: count },
  });
  const builder = new ProgramBuilder(gpu, input, int8);
  build(builder, places);
  const furthest = Math.max(...sequences.map((each) => each.position));
  const values = { n, position: furthest, m, isApart, seesAll: step.seesAll };
  const program = await builder.build([values]);
  const read = reads.map((name) => places[name]);
  const offsetBytes = Math.min(...read.map(({ offsetBytes }) => offsetBytes));
  const ends = read.map(({ offsetBytes, sizeBytes }) => offsetBytes + sizeBytes);
  const bytes = Math.max(...ends) - offsetBytes;
  const back = await createReadBack(gpu, bytes);
  input.write(values, ids, isApart || step.states ? rowsOfStep(step, sequences) : null);
  program.run(values, { to: back, from: workspace, offsetBytes, bytes });
  const out = new Float32Array(bytes / 4);
  await back.readIntoLater(out);
  back.destroy();
  gpu.destroyBuffer(workspace);
  gpu.destroyBuffer(input.buffer);
  destroyInt8Rows(gpu, int8);
  return read.map(({ stride, ...place }, i) => {
    const start = (place.offsetBytes - offsetBytes) / 4;
    return unpad(out.subarray(start, start + place.sizeBytes / 4), rows[reads[i]].width, stride);
  });
}

function rowsOfStep(
  { n, states }: Pick<TestStep<string>, "n" | "states">,
  sequences: readonly TestSequence[],
): StepRows {
  const slots = Int32Array.from({ length: n }, (_, t) => sequences.length === n ? t : 0);
  return {
    slots,
    positions: slots.map((slot, t) => sequences[slot].position + t - slot),
    ...states && { states: { from: Int32Array.from(states.from), to: Int32Array.from(states.to) } },
  };
}

async function placeRows<Name extends string>(gpu: Gpu, rows: Readonly<Record<Name, TestRows>>) {
  const places = {} as Record<Name, Omit<Rows, "buffer">>;
  let bytes = 0;
  for (const name of Object.keys(rows) as Name[]) {
    const { values, width, perToken } = rows[name];
    const stride = 4 * Math.ceil(width / 4) + 4; // rows need not touch
    const sizeBytes = values.length / width * stride * 4;
    places[name] = { offsetBytes: bytes, sizeBytes, stride, perToken };
    bytes += 256 * Math.ceil(sizeBytes / 256);
  }
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const workspace = await gpu.createBuffer("test", bytes, usage);
  for (const name of Object.keys(rows) as Name[]) {
    const { values, width } = rows[name];
    const { offsetBytes, stride } = places[name];
    // What is between rows must not matter.
    const padded = new Float32Array(values.length / width * stride).fill(NaN);
    for (let i = 0; i < values.length; i++) {
      padded[Math.floor(i / width) * stride + i % width] = values[i];
    }
    gpu.write(workspace, offsetBytes, padded);
  }
  const bound = Object.fromEntries(
    Object.entries<Omit<Rows, "buffer">>(places)
      .map(([name, place]) => [name, { ...place, buffer: workspace }]),
  );
  return { workspace, places: bound as Record<Name, Rows> };
}

function unpad(values: Float32Array, width: number, stride: number): Float32Array {
  const rows = values.length / stride;
  return Float32Array.from(
    { length: rows * width },
    (_, i) => values[Math.floor(i / width) * stride + i % width],
  );
}
