/** A GPU's rank without an engine around it: what it does in a step can be counted and timed. */
import type { Gpu } from "../../gpu/mod.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type GpuPart, type LoadOptions, planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { Control } from "../../src/memory/control.ts";
import { controlWords, POSITION_AXES, STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { describeModel, ropeFrequencies } from "../../src/model/mod.ts";
import { forward } from "../../src/rank/forward.ts";
import { ropeFactors } from "../../src/rank/load/small_vectors.ts";
import { openTokenRows } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { GpuRank } from "../../src/rank/gpu/gpu_rank.ts";
import { tableBlocks } from "../../src/rank/plan/kv_bytes.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { loadWeights } from "../../src/rank/load/load_weights.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { giveBlocks } from "./give_blocks.ts";

/** Decodes the token at `position`. */
export type DecodeToken = (position: number) => void;

/** Some ids of a sequence. */
export interface LoneSegment {
  readonly slot: number;
  readonly position: number;
  readonly ids: readonly number[];
  /** Of so many of its last ids logits are wanted; left out: of the last one. */
  readonly logits?: number;
  /**
   * Places of states that it goes on with and leaves behind; left out: a place of its slot's that
   * its next segment goes on with.
   */
  readonly states?: { readonly from: number; readonly to: number };
}

export interface LoneRank {
  readonly layers: number;
  readonly decode: DecodeToken;
  /** The most rows of logits of a step. */
  readonly logitsRows: number;
  /** A step of these: logits of the last id of each, or of more; [own vocabulary] each. */
  readonly run: (segments: readonly LoneSegment[]) => Float32Array[];
  /** The same of an encoder: what its last norm leaves of all ids, [ids, d]. */
  readonly rows: (segments: readonly LoneSegment[]) => Float32Array;
  /** Block `index` of a sequence is this one of the caches. */
  readonly setBlock: (slot: number, index: number, block: number) => void;
}

/**
 * @param isAlone else it has half of the neurons, or those of `options.hotShare`, and the joins
 * find everybody there: the other rank never computes.
 */
export async function openLoneRank(
  path: string,
  gpu: Gpu,
  isAlone: boolean,
  options: LoadOptions = {},
): Promise<LoneRank> {
  const file = openGguf(path);
  const model = describeModel(file);
  const { config } = model;
  const layers = config.blockCount;
  const module = await loadKernelModule();
  const neurons = [options.hotShare ?? (isAlone ? 1 : 0.5)].flat();
  const part = partOf({ isAlone, neurons, layers });
  const plans = planModel({ file, model }, module, { threads: 1, ...options }, part);
  const rankIndex = plans.length - 1;
  const plan = plans[rankIndex];
  const memories = plans.map((each) => each.arenas.map(createArenaMemory));
  const size = controlSize(plan);
  const control = new Control(new SharedArrayBuffer(4 * controlWords(size)), {
    ...{ ...size, rankCount: 1, leads: true },
  });
  const step = control.newStep();
  using reader = TensorReader.open({ parts: file.parts });
  const kernels = memories[rankIndex].map((memory) => instantiateKernels(module, memory));
  const { tensors } = file;
  const own = memories[rankIndex];
  const onProgress = () => {};
  loadWeights({ plan, tensors, reader, kernels, memories: own, onProgress });
  giveBlocks(plan, own);
  const rank = await GpuRank.open({
    ...{ gpu, control, tensors, reader, plans, rankIndex, kernels, memories, config, onProgress },
    tokenRows: openTokenRows({ tensors, parts: file.parts }, plan),
    ropeFrequencies: config.ropes.map((rope) =>
      ropeFrequencies(rope, ropeFactors(rope, tensors, reader))
    ),
  });
  const { outputArena, workspaces, strides, contextLength, logitsRows } = plan;
  const statesOf = statePlaces();
  const run = (segments: readonly LoneSegment[]) => {
    const ids = segments.flatMap((each) => each.ids);
    control.stepIds().set(ids);
    step.segments.set(segments.flatMap((each) => [...wordsOf(each), ...statesOf(each), 0, 0]));
    step.positions.set(segments.flatMap(positionsOf));
    const counts = { tokenCount: ids.length, segmentCount: segments.length };
    rank.begin({ ...step, kind: STEP_KIND_FORWARD, ...counts });
    forward(rank);
    const rows = segments.reduce((sum, { logits = 1 }) => sum + logits, 0);
    return Array.from({ length: rows }, (_, row) => {
      const at = workspaces[outputArena].logits + row * strides.logits * 4;
      return new Float32Array(own[outputArena].buffer, at, lengthOf(plan.output.rows)).slice();
    });
  };
  const blocks = tableBlocks(contextLength);
  const table = new Uint32Array(
    ...[own[0].buffer, workspaces[0].tables, plan.sequences * blocks] as const,
  );
  return {
    layers,
    logitsRows,
    run,
    rows: (segments) => {
      run(segments.map((each) => ({ ...each, logits: 0 })));
      const count = segments.reduce((sum, { ids }) => sum + ids.length, 0);
      return unpad(rank.finalRows(), count, config.embeddingLength);
    },
    setBlock: (slot, index, block) => table[slot * blocks + index] = block,
    decode: (position) => void run([{ slot: 0, position, ids: [5 + position] }]),
  };
}

function partOf(
  { isAlone, ...of }: { isAlone: boolean; neurons: number[]; layers: number },
): GpuPart {
  return {
    share: { heads: 1, hasOutput: true, ...of },
    ...{ isAlone, mayBeSoftware: true, isByFrequency: false, priority: "normal" },
  };
}

/** The first `width` numbers of each row. */
function unpad(rows: Float32Array, count: number, width: number): Float32Array {
  const stride = rows.length / count;
  const at = (i: number) => Math.floor(i / width) * stride + i % width;
  return Float32Array.from({ length: count * width }, (_, i) => rows[at(i)]);
}

function wordsOf({ slot, position, ids: { length }, logits = 1 }: LoneSegment): number[] {
  return [slot, position, length, logits];
}

/** Of its rows, by axes. */
function positionsOf({ ids: { length }, position }: LoneSegment): number[] {
  const count = POSITION_AXES * length;
  return Array.from({ length: count }, (_, i) => position + Math.floor(i / POSITION_AXES));
}

/** Places that states of segments are read from and written to, one step after another. */
function statePlaces(): (segment: LoneSegment) => [from: number, to: number] {
  // By slot; a sequence's goes from one to the next of four.
  const places = new Map<number, number>();
  return ({ slot, position, states }) => {
    if (states) return [states.from, states.to];
    const last = places.get(slot) ?? -1;
    const to = 4 * slot + (last + 1) % 4;
    places.set(slot, to);
    return [position === 0 ? -1 : last, to];
  };
}
