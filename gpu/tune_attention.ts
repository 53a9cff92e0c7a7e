/**
 * Tries whether attention's chunks are put together faster by the last workgroup of a tile or by a
 * dispatch of their own: the same attention in both ways, in turns. Part of the autotune, which
 * keeps what comes out. A way of which any leaves other bits is not taken.
 */
import { KV_BLOCK_POSITIONS } from "../src/memory/kv_layout.ts";
import type { Gpu } from "./device.ts";
import type { KvCache } from "./kv_cache.ts";
import { attention, attentionScratchBytes } from "./ops/attention.ts";
import { type Program, ProgramBuilder } from "./program.ts";
import { createReadBack } from "./read_back.ts";
import { createStepInput } from "./step_input.ts";
import { runMs } from "./tune_rows.ts";

/** Of one token, over caches that are more than a GPU's own cache holds. */
export interface AttentionTrial {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly positions: number;
  /** Layers. */
  readonly caches: number;
  readonly repeats: number;
}
/** As Mistral-7B's behind half a thousand positions. */
const TRIAL: AttentionTrial = {
  ...{ heads: 32, kvHeads: 8, headDim: 128, positions: 576, caches: 32, repeats: 128 },
};
/** Measurements of each way, in turns; the shortest counts. */
const ROUNDS = 5;
/** How much faster the last workgroup must be. */
const GAIN = 0.98;

/** Whether the last workgroup should; `gpu.endsByLast` stays. */
export async function tuneAttention(gpu: Gpu, trial = TRIAL): Promise<boolean> {
  if (!gpu.ordersWorkgroups) return false;
  const before = gpu.endsByLast;
  const bench = await openBench(gpu, trial);
  try {
    gpu.endsByLast = false;
    const apart = { program: await bench.build(), ms: Infinity };
    gpu.endsByLast = true;
    const last = { program: await bench.build(), ms: Infinity };
    let isAlike = true;
    for (let round = 0; round <= ROUNDS && isAlike; round++) {
      const expected = await bench.read(apart.program);
      const actual = await bench.read(last.program);
      isAlike = actual.every((bits, i) => bits === expected[i]);
      for (const each of [apart, last]) each.ms = Math.min(each.ms, await bench.time(each.program));
    }
    return isAlike && last.ms < GAIN * apart.ms;
  } finally {
    gpu.endsByLast = before;
    bench.close();
  }
}

/** Attention to be timed, of made-up queries, keys and values. */
async function openBench(gpu: Gpu, trial: AttentionTrial) {
  const { heads, kvHeads, headDim, positions, caches: count, repeats } = trial;
  const step = { n: 1, position: positions - 1, m: 0, isApart: true };
  const input = await createStepInput(gpu, { maxTokens: 1, ropes: [], contextLength: positions });
  const blocks = Math.ceil(positions / KV_BLOCK_POSITIONS);
  for (let block = 0; block < blocks; block++) input.setBlock(0, block, block);
  const numbers = blocks * KV_BLOCK_POSITIONS * kvHeads * headDim;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const make = async (bytes: number, data?: ArrayBufferView) => {
    const buffer = await gpu.createBuffer("tuning", bytes, usage);
    if (data) gpu.write(buffer, 0, data);
    return buffer;
  };
  const [keys, values] = [17, 23].map((seed) => madeUpHalves(numbers, seed));
  const caches: KvCache[] = [];
  for (let i = 0; i < count; i++) {
    caches.push({
      ...{ positions, contextLength: positions, kvHeads, headDim, valueDim: headDim, type: "f16" },
      keys: await make(2 * numbers, keys),
      values: await make(2 * numbers, values),
      bytes: 4 * numbers,
    });
  }
  const width = heads * headDim;
  const rowsOf = async (count: number, data?: Float32Array) => {
    const buffer = await make(4 * width * count, data);
    return { buffer, offsetBytes: 0, sizeBytes: 4 * width * count, stride: width };
  };
  const x = await rowsOf(1, Float32Array.from({ length: width }, (_, i) => Math.sin(i)));
  const all = await rowsOf(repeats);
  const scratch = await make(attentionScratchBytes({ heads, headDim, positions, maxTokens: 1 }));
  const back = await createReadBack(gpu, all.sizeBytes);
  const out = new Float32Array(all.sizeBytes / 4);
  const nothing = new Float32Array(out.length).fill(NaN);
  return {
    /** Some layers one after another, in the way that counts now. */
    build: async (): Promise<Program> => {
      const builder = new ProgramBuilder(gpu, input);
      const scale = 1 / Math.sqrt(headDim);
      for (let i = 0; i < repeats; i++) {
        const cache = caches[i % count];
        const to = { ...all, offsetBytes: 4 * width * i, sizeBytes: 4 * width };
        attention(builder, { x, to, heads, groupSize: heads / kvHeads, cache, scale, scratch });
      }
      return await builder.build([step]);
    },
    /** What each of them leaves where nothing was. */
    read: async (program: Program): Promise<Uint32Array> => {
      gpu.write(all.buffer, 0, nothing);
      input.write(step, [0]);
      const read = { to: back, from: all.buffer, offsetBytes: 0, bytes: all.sizeBytes };
      await runMs(gpu, program, step, read);
      await back.readIntoLater(out);
      return new Uint32Array(out.slice().buffer);
    },
    /** What they take, ms. */
    time: async (program: Program): Promise<number> => {
      input.write(step, [0]);
      return await runMs(gpu, program, step);
    },
    close: () => {
      for (const { keys, values } of caches) {
        gpu.destroyBuffer(keys);
        gpu.destroyBuffer(values);
      }
      for (const buffer of [x.buffer, all.buffer, input.buffer, scratch]) gpu.destroyBuffer(buffer);
      back.destroy();
    },
  };
}

/** f16s between -1 and 1. */
function madeUpHalves(count: number, seed: number): Float16Array {
  let state = seed;
  return Float16Array.from({ length: count }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 >>> 0;
    return state / 2 ** 31 - 1;
  });
}
