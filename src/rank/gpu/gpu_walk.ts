/**
 * The layers of a GPU's rank as they are walked: loaded, and with the lists of commands that each
 * runs. Knows how commands are put together; nothing of when they run.
 */
import {
  addRows,
  type HalfNorm,
  type KvCache,
  leaveHalfNorm,
  type NextNorm,
  type Program,
  type ProgramBuilder,
  type Rows,
} from "../../../gpu/mod.ts";
import { configOf } from "../../model/layer_config.ts";
import { floats } from "../bound/arena_views.ts";
import { addressOf, bindNorm } from "../bound/bound_norm.ts";
import { cutsGroups } from "../plan/plan_state.ts";
import { predictorPlan } from "../neurons/predictors.ts";
import type { LayerPlan, RankPlan } from "../plan/plan_types.ts";
import { GpuLayer, type LayerLeft, NOTHING_LEFT } from "./gpu_layer.ts";
import { endStreams, startStreams, type StreamEnds } from "./gpu_alt_up.ts";
import type { RoutesByUse } from "./gpu_experts.ts";
import { addGivenPart } from "./gpu_given.ts";
import { type KeptStart, startKept } from "./gpu_kept.ts";
import { addTokenInputs, type TokenInputs } from "./gpu_inputs.ts";
import type { GpuRankInput } from "./gpu_rank.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { NormReaders } from "./layer_operations.ts";
import type { GpuLoader } from "./gpu_weights.ts";
import type { TowerProjectors } from "./gpu_tower.ts";
import { nextHalf, type StreamPlace } from "./stream_updates.ts";
import type { WalkedGpuLayer } from "./walked_layer.ts";

/** Layers whose commands go to the GPU together where it is alone; between them a step can end. */
const LAYERS_AT_ONCE = 8;

/** What making layers takes. */
export type Opening = GpuRankInput & {
  readonly plan: RankPlan;
  readonly space: GpuSpace;
  /** Empty where no layer has experts on the GPU. */
  readonly routes: RoutesByUse;
  readonly loader: GpuLoader;
  /** Null: tokens give layers nothing. */
  readonly tokenInputs: TokenInputs | null;
  /** Null: there is one residual stream. */
  readonly streamEnds: StreamEnds | null;
  /** Null: nothing is kept beside it. */
  readonly keptStart: KeptStart | null;
  /** Null: given rows have no parts, or others add them. */
  readonly givenParts: Rows | null;
  /** What reads the stream behind the last layer; null: others, or not half of a norm. */
  readonly readersBehind: NormReaders | null;
  /** Null: it is no tower. */
  readonly projectors: TowerProjectors | null;
  readonly makeBuilder: () => ProgramBuilder;
};

/**
 * Loads all layers, and makes their lists of commands.
 * @returns with them what the last one leaves.
 */
export async function openLayers(
  of: Opening,
): Promise<{ layers: WalkedGpuLayer[]; left: LayerLeft }> {
  const layers = await loadLayers(of);
  const { plan, makeBuilder, memories } = of;
  const { isAlone } = plan.gpu!;
  const { programs: several, left } = isAlone
    ? await buildSeveral(of, layers)
    : { programs: [], left: NOTHING_LEFT };
  const build = async (add: (builder: ProgramBuilder) => void) => {
    const builder = makeBuilder();
    add(builder);
    return await builder.build();
  };
  const walked: WalkedGpuLayer[] = [];
  for (const [index, layer] of layers.entries()) {
    const own = plan.layers[index];
    const { attentionPostNorm, feedForwardPostNorm, outputScale: scale } = own;
    walked.push({
      layer,
      // As the other ranks do: layers may lack either.
      joinsAttention: !layer.isParallel &&
        (own.attentionOutput !== null || own.stateSpace !== null),
      joinsNeurons: own.feedForward !== null,
      joinsStates: joinsStates(of, index),
      predictors: predictorsOf(of.plans[0].layers[index]),
      several: several[index] ?? null,
      attention: isAlone || !layer.hasMixers ? null : await build((b) => layer.addAttention(b)),
      feedForward: isAlone || !layer.hasNeurons ? null : await build((b) => layer.addNeurons(b)),
      outputScale: isAlone || scale === null
        ? null
        : floats(memories[plan.rankIndex][own.arena], scale.offsetBytes, 1)[0],
      direction: isAlone ? 0 : addressOf(own.direction),
      postNorms: {
        attention: isAlone ? null : bindNorm(attentionPostNorm),
        feedForward: isAlone ? null : bindNorm(feedForwardPostNorm),
      },
    });
  }
  return { layers: walked, left };
}

/** Threads sum up over ranks within their states: what channels share, or squares of groups. */
function joinsStates({ plans, plan, config }: Opening, index: number): boolean {
  const { stateSpace: shape } = config;
  const { stateSpace } = plan.layers[index];
  if (stateSpace === null || shape === null || plans.length === 1) return false;
  const { shared, deltas, norm } = stateSpace;
  return shared !== null || deltas === null && norm !== null && cutsGroups(plans, index, shape);
}

/** Of threads: whether they have predictors, and all gates, which they ask instead. */
function predictorsOf(layer: LayerPlan): WalkedGpuLayer["predictors"] {
  const { feedForward } = layer;
  if (feedForward === null || predictorPlan(layer) === null) return null;
  const blocks = feedForward.kind === "experts" ? feedForward.experts : [feedForward];
  return { haveAllGates: blocks.some((each) => each.kind === "streamed" && each.gate !== null) };
}

async function loadLayers(of: Opening): Promise<GpuLayer[]> {
  const { gpu, plan, config, loader, space, routes } = of;
  const { fromTokens: longFrom = Infinity, layers: longLayers = 0 } = plan.longSteps ?? {};
  const layers: GpuLayer[] = [];
  for (const [index, layerPlan] of plan.layers.entries()) {
    const own = configOf(config, index);
    layers.push(
      await GpuLayer.load({
        ...{ gpu, config: own, index, loader, space },
        routes: routes.get(own.experts?.usedCount ?? 0) ?? null,
        isAlone: plan.gpu!.isAlone,
        cacheOfOther: layerPlan.keysOf === null ? null : layers[layerPlan.keysOf].cache,
        // Of an encoder a layer's are of no use behind it.
        spareCaches: config.isEncoder ? cachesOf(layers) : [],
        plan: layerPlan,
        allFromTokens: index < longLayers ? longFrom : Infinity,
        ...{ contextLength: plan.contextLength, kvBlocks: plan.kvBlocks },
        ...{ sequences: plan.sequences, chunkTokens: plan.chunkTokens },
        statePlaces: plan.statePlaces,
        kvType: plan.kvType === "f32" ? "f32" : "f16",
      }),
    );
  }
  return layers;
}

function cachesOf(layers: readonly GpuLayer[]): KvCache[] {
  return layers.map(({ cache }) => cache).filter((cache) => cache !== null);
}

/** Of a rank alone: commands of some layers together, at the first one of them. */
async function buildSeveral(
  of: Opening,
  layers: readonly GpuLayer[],
): Promise<{ programs: (Program | null)[]; left: LayerLeft }> {
  const programs: (Program | null)[] = layers.map(() => null);
  let before = NOTHING_LEFT;
  for (let from = 0; from < layers.length; from += LAYERS_AT_ONCE) {
    const end = Math.min(layers.length, from + LAYERS_AT_ONCE);
    const builder = of.makeBuilder();
    if (from === 0 && of.tokenInputs !== null) addTokenInputs(builder, of.tokenInputs, of, null);
    if (from === 0) {
      const { residual: x } = of.space;
      const width = of.config.embeddingLength;
      before = addFirstNorm(builder, layers[0], of, (next) => {
        return leaveHalfNorm(builder, { ...next, x, width });
      });
    }
    before = addLayers(builder, layers, { from, end, before }, of);
    programs[from] = await builder.build();
  }
  return { programs, left: before };
}

/** What the first layer reads, where half of a norm of the stream does; null: not. */
function firstReaders(
  { streamEnds, keptStart, tokenInputs, gpu }: FirstPlace,
  layer: GpuLayer,
): NormReaders | null {
  // These come between the embeddings and the first layer.
  const isFirst = streamEnds === null && keptStart === null && tokenInputs === null;
  return gpu.joinsEnds && isFirst && !layer.isParallel ? layer.readers : null;
}

type FirstPlace = StreamPlace & Pick<Opening, "streamEnds" | "keptStart" | "tokenInputs" | "gpu">;

/**
 * The first layer's norm in steps of tokens of a sequence each, as far as it is made before the
 * layer: half of it, by a dispatch as `leave` adds it.
 */
export function addFirstNorm(
  builder: ProgramBuilder,
  layer: GpuLayer,
  of: FirstPlace,
  leave: (next: NextNorm) => HalfNorm | null,
): LayerLeft {
  const readers = firstReaders(of, layer);
  const next = nextHalf(of, { isApart: true, next: readers, factor: null });
  if (next === null) return NOTHING_LEFT;
  let apart: HalfNorm | null = null;
  builder.during({ isApart: true }, () => apart = leave(next));
  return { apart, together: null };
}

/**
 * Adds layers `from` … `end` − 1 of a rank alone; commands may be cut behind each.
 * @param layers all that the rank has.
 * @param options.before what the layer before these has left.
 * @returns what the last one leaves.
 */
export function addLayers(
  builder: ProgramBuilder,
  layers: readonly GpuLayer[],
  { from, end, before }: { from: number; end: number; before: LayerLeft },
  of:
    & Pick<Opening, "streamEnds" | "keptStart" | "givenParts" | "config" | "space">
    & Pick<Opening, "readersBehind">
    & { readonly projectors?: TowerProjectors | null },
): LayerLeft {
  const { streamEnds, keptStart } = of;
  let left = before;
  if (from === 0 && streamEnds !== null) startStreams(builder, streamEnds, of);
  if (from === 0 && keptStart !== null) startKept(builder, keptStart, of);
  for (let index = from; index < end; index++) {
    const { direction } = layers[index];
    const next: NormReaders | null = direction !== null
      ? null
      : index + 1 < layers.length
      ? layers[index + 1].readers
      : layers[index].leavesHalves
      ? of.readersBehind
      : null;
    left = layers[index].addBlocks(builder, { before: left, next });
    if (direction !== null) steer(builder, direction, of);
    addGivenPart(builder, index, of);
    of.projectors?.endLayer(builder, index);
    builder.boundary();
  }
  if (end === layers.length && streamEnds !== null) endStreams(builder, streamEnds, of);
  return left;
}

/** residual += direction, f32 [d], to every row. */
function steer(
  builder: ProgramBuilder,
  direction: GPUBuffer,
  { config, space }: StreamPlace,
): void {
  const { embeddingLength: width } = config;
  const x = { buffer: direction, offsetBytes: 0, sizeBytes: 4 * width, stride: width };
  addRows(builder, { x, to: space.residual, width, isOne: true });
}
