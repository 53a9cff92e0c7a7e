/**
 * What a step needs between its weights on the GPU: pieces of one buffer, all f32 [tokens, stride],
 * where those that do not live together share bytes. Knows no model beyond its widths.
 */
import {
  ALIGN_BYTES,
  attentionScratchBytes,
  columnsFrom,
  type Gpu,
  type Rows,
} from "../../../gpu/mod.ts";
import { alignUp } from "../../base/check.ts";
import { configOf } from "../../model/layer_config.ts";
import { dimsOnGpu, mergedHeadDim } from "../../model/latent.ts";
import { areMadeOfAll } from "../../model/state_matrices.ts";
import type { ModelConfig, StateSpaceConfig } from "../../model/types.ts";
import { type GraphTensor, N, planMemory, StepGraph } from "../../shapes/mod.ts";
import { channelsOf, convolvedRows } from "../plan/plan_state.ts";
import type { ExpertsPlan, LayerPlan, RankPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { denseParts } from "./dense_parts.ts";
import { apartTokens } from "./gpu_step.ts";
import { latentColumns } from "./latent_weights.ts";
import { ownExperts } from "./own_experts.ts";
import { stateColumns } from "./state_columns.ts";
import { recordProjector, type TowerWidths, towerWidths } from "./tower_space.ts";

/** Floats that kernels read at a time. */
const STRIDE_UNIT = 4;

/** Floats of a token in each. */
interface SpaceWidths extends TowerWidths {
  /** The residual stream, what blocks read of it and leave for it: as wide as in an arena. */
  readonly residual: number;
  readonly normed: number;
  readonly partial: number;
  /** Queries, keys and values of own heads side by side, and what attention gives. */
  readonly heads: number;
  readonly attention: number;
  /** Of latent attention: what queries are made of; queries for latents, and latents mixed. */
  readonly shortQueries: number;
  readonly latents: number;
  readonly mixed: number;
  /** What the latter is gated by. */
  readonly gates: number;
  /** Of own heads of states: what the input gives, what is convolved of it, what scans give. */
  readonly stateInput: number;
  readonly convolved: number;
  readonly scanned: number;
  /** What all channels make together, and steps of each. */
  readonly made: number;
  readonly steps: number;
  /** Gate and up of own neurons side by side, and what they give; of experts, of all routes. */
  readonly neurons: number;
  readonly hidden: number;
  /** What a router gives, then how much the shared expert counts; what a token's experts give. */
  readonly router: number;
  readonly given: number;
  /** What experts read that was made of the layer's input; or latents, then their sum. */
  readonly early: number;
  readonly expertLatents: number;
  /** What tokens give all layers; rows of the table that it is made of. */
  readonly inputs: number;
  readonly inputRows: number;
  /** Residual streams side by side, how much each counts, and what goes around attention. */
  readonly streams: number;
  readonly modes: number;
  readonly around: number;
  /** Of tokens whose logits are wanted: own rows of the output; of a tower what comes out. */
  readonly logits: number;
}

type SpaceName = keyof SpaceWidths;
type StepTensors = Readonly<Record<SpaceName, GraphTensor>>;

export interface GpuSpace extends Readonly<Record<SpaceName, Rows>> {
  /** Of the attention kernels. */
  readonly scratch: GPUBuffer;
  /** Bytes of the buffer, and what it would be if each piece had bytes of its own. */
  readonly plannedBytes: number;
  readonly apartBytes: number;
}

/** One of several residual streams. */
export function streamOf({ streams, residual }: GpuSpace, j: number): Rows {
  return columnsFrom(streams, j * residual.stride);
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function createSpace(
  gpu: Gpu,
  { plan, config }: { plan: RankPlan; config: ModelConfig },
): Promise<GpuSpace> {
  const widths = widthsOf(plan, config);
  const { offsets, sizes, plannedBytes, apartBytes } = planSpace(widths, plan);
  const buffer = await gpu.createBuffer(
    "activations",
    plannedBytes,
    GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  );
  const rowsOf = (name: SpaceName): Rows => ({
    buffer,
    offsetBytes: offsets.get(name)!,
    sizeBytes: sizes.get(name)!,
    stride: strideOf(widths[name]),
  });
  const scratchBytes = plan.layers.map(({ heads }, index) =>
    attentionScratchBytes({
      heads: Math.max(1, lengthOf(heads)),
      ...dimsOnGpu(configOf(config, index)),
      positions: plan.contextLength,
      maxTokens: plan.chunkTokens,
      sequences: apartTokens(plan),
    })
  );
  return {
    residual: rowsOf("residual"),
    normed: rowsOf("normed"),
    partial: rowsOf("partial"),
    heads: rowsOf("heads"),
    attention: rowsOf("attention"),
    shortQueries: rowsOf("shortQueries"),
    latents: rowsOf("latents"),
    mixed: rowsOf("mixed"),
    gates: rowsOf("gates"),
    stateInput: rowsOf("stateInput"),
    convolved: rowsOf("convolved"),
    scanned: rowsOf("scanned"),
    made: rowsOf("made"),
    steps: rowsOf("steps"),
    neurons: rowsOf("neurons"),
    hidden: rowsOf("hidden"),
    router: rowsOf("router"),
    given: rowsOf("given"),
    early: rowsOf("early"),
    expertLatents: rowsOf("expertLatents"),
    inputs: rowsOf("inputs"),
    inputRows: rowsOf("inputRows"),
    streams: rowsOf("streams"),
    modes: rowsOf("modes"),
    around: rowsOf("around"),
    patches: rowsOf("patches"),
    merged: rowsOf("merged"),
    joined: rowsOf("joined"),
    projected: rowsOf("projected"),
    activated: rowsOf("activated"),
    logits: rowsOf("logits"),
    scratch: await gpu.createBuffer("attention scratch", Math.max(ALIGN_BYTES, ...scratchBytes)),
    plannedBytes,
    apartBytes,
  };
}

function widthsOf(
  { layers, strides, output, gpu, tokenInputs, projector }: RankPlan,
  config: ModelConfig,
): SpaceWidths {
  const { experts } = config;
  const streamCount = config.altUp?.streamCount ?? config.keptStreams ?? 0;
  const most = (of: (layer: LayerPlan, own: ModelConfig) => number) =>
    Math.max(...layers.map((layer, index) => of(layer, configOf(config, index))));
  const own = most((layer) =>
    Math.max(0, ...denseParts(layer).map(({ block }) => lengthOf(block.up.rows)))
  );
  const brought = gpu!.brought.map((block) => block === null ? 0 : lengthOf(block.up.rows));
  const mixes = layers.some((layer) => ownExperts(layer) !== null);
  const routed = mixes ? experts!.usedCount : 0;
  const inputs = tokenInputs === null ? 0 : lengthOf(tokenInputs.projection.rows);
  const ofLatents = most(({ heads }, { latent }) => lengthOf(heads) * (latent?.length ?? 0));
  const neurons = Math.max(
    ...[own, ...brought, inputs === 0 ? 0 : config.layerInputLength, strides.bypass],
    ...layers.map(ownExperts).filter((own) => own !== null).flatMap(({ experts, shared }) => [
      routed * neuronsOf(experts[0]),
      shared === null ? 0 : neuronsOf(shared),
    ]),
  );
  return {
    residual: strides.embedding,
    // Sums of squares by 32 columns lie behind a row that lacks the factor of its norm.
    normed: strides.embedding + Math.ceil(strides.embedding / 32),
    partial: strides.embedding,
    heads: most(({ heads, kvHeads }, { headDim, valueDim, latent }) => {
      if (latent !== null) return latentColumns(latent, lengthOf(heads)).width;
      return lengthOf(heads) * headDim + lengthOf(kvHeads) * (headDim + valueDim);
    }),
    attention: most(({ heads }, own) => lengthOf(heads) * mergedHeadDim(own)),
    shortQueries: config.latent?.queryLength ?? 0,
    ...{ latents: ofLatents, mixed: ofLatents },
    gates: most(({ attentionGate: gate }) => gate === null ? 0 : lengthOf(gate.matrix.rows)),
    ...stateWidths(layers, config.stateSpace),
    neurons: 2 * neurons,
    hidden: neurons,
    router: mixes ? experts!.count : 0,
    given: routed * strides.embedding,
    early: mixes && experts!.routerInput === "ownNorm" ? strides.embedding : 0,
    expertLatents: mixes ? experts!.latentLength ?? 0 : 0,
    ...{ inputs, inputRows: inputs },
    streams: streamCount * strides.embedding,
    modes: streamCount,
    around: streamCount === 0 ? 0 : strides.embedding,
    ...towerWidths(projector, config),
    logits: config.projector?.outputLength ?? (config.isEncoder ? 0 : lengthOf(output.rows)),
  };
}

/** Of a block of its own: none is streamed there. */
function neuronsOf(block: ExpertsPlan["experts"][number]): number {
  return block.kind === "dense" ? lengthOf(block.up.rows) : 0;
}

function stateWidths(layers: readonly LayerPlan[], config: StateSpaceConfig | null) {
  const plans = layers.map(({ stateSpace }) => stateSpace).filter((plan) => plan !== null);
  if (config === null) return { stateInput: 0, convolved: 0, scanned: 0, made: 0, steps: 0 };
  const { stepRank, stateLength } = config;
  const channels = Math.max(...plans.map(({ heads }) => lengthOf(channelsOf(heads, config))));
  const isShared = areMadeOfAll(config);
  return {
    stateInput: Math.max(...plans.map((plan) => stateColumns(plan, config).width)),
    convolved: Math.max(...plans.map(({ heads }) => convolvedRows(heads, config))),
    scanned: channels,
    made: isShared ? stepRank + 2 * stateLength : 0,
    steps: isShared ? Math.max(...plans.map(({ heads }) => lengthOf(heads))) : 0,
  };
}

/** Columns of the widest rows that a matrix is multiplied with, by 32. */
export function widestInput(plan: RankPlan, config: ModelConfig): number {
  const { residual, attention, hidden, shortQueries, scanned } = widthsOf(plan, config);
  return alignUp(Math.max(32, residual, attention, hidden, shortQueries, scanned), 32);
}

/** Where the pieces lie in one buffer. */
function planSpace(
  widths: SpaceWidths,
  { chunkTokens, logitsRows, layers, projector }: RankPlan,
) {
  const graph = new StepGraph();
  const rows = (name: SpaceName) =>
    graph.tensor(name, { shape: [N, strideOf(widths[name])], type: "f32" });
  const scored = (name: SpaceName) =>
    graph.tensor(name, { shape: [logitsRows, strideOf(widths[name])], type: "f32" });
  const tensors: Record<SpaceName, GraphTensor> = {
    ...{ residual: rows("residual"), normed: rows("normed"), partial: rows("partial") },
    ...{ heads: rows("heads"), attention: rows("attention"), gates: rows("gates") },
    ...{ shortQueries: rows("shortQueries"), latents: rows("latents"), mixed: rows("mixed") },
    ...{ stateInput: rows("stateInput"), convolved: rows("convolved"), scanned: rows("scanned") },
    ...{ made: rows("made"), steps: rows("steps") },
    ...{ neurons: rows("neurons"), hidden: rows("hidden") },
    ...{ router: rows("router"), given: rows("given"), early: rows("early") },
    expertLatents: rows("expertLatents"),
    ...{ inputs: rows("inputs"), inputRows: rows("inputRows") },
    ...{ streams: rows("streams"), modes: rows("modes"), around: rows("around") },
    patches: rows("patches"),
    ...{ merged: scored("merged"), joined: scored("joined") },
    ...{ projected: scored("projected"), activated: scored("activated") },
    logits: scored("logits"),
  };
  recordStep(graph, tensors, {
    layerCount: layers.length,
    isDeep: (projector?.deep.length ?? 0) > 0,
  });
  const bounds = { tokensMax: chunkTokens, contextMax: chunkTokens, batchMax: 1 };
  const plan = planMemory(graph, bounds, { alignBytes: ALIGN_BYTES, places: "fixed" });
  const starts: number[] = [];
  let plannedBytes = 0;
  for (const { maxBytes } of plan.buffers) {
    starts.push(plannedBytes);
    plannedBytes += maxBytes;
  }
  const offsets = new Map(
    plan.places.map(({ tensor, buffer, offset }) => [
      tensor.name,
      starts[buffer] + offset.constant!,
    ]),
  );
  const sizes = new Map(plan.places.map(({ tensor, size }) => [tensor.name, size.constant!]));
  return { offsets, sizes, plannedBytes, apartBytes: plan.apartBytes };
}

/**
 * A step of any family: gpu_layer.ts does some of it, in this order. isDeep: outcomes of some
 * layers are projected, too.
 */
function recordStep(
  graph: StepGraph,
  of: StepTensors,
  { layerCount, isDeep }: { layerCount: number; isDeep: boolean },
) {
  const { residual, normed, partial, logits, inputs, inputRows, streams, around, patches } = of;
  // A layer may read the norm that the one before has made.
  graph.op("embed", { writes: [residual, normed, inputRows, patches] });
  graph.op("embed patches", {
    reads: [patches],
    updates: [residual],
    writes: isDeep ? [logits] : [],
  });
  graph.op("project inputs", { reads: [residual], writes: [inputs] });
  graph.op("add rows", { reads: [inputRows], updates: [inputs] });
  graph.op("start streams", { reads: [residual], writes: [streams, partial] });
  graph.repeat(layerCount, () => {
    recordMixers(graph, of);
    recordNeurons(graph, of);
    recordEnd(graph, of);
    if (isDeep) recordProjector(graph, of, true);
  });
  graph.op("end streams", { reads: [streams], writes: [partial, around], updates: [residual] });
  // The last layer may have left half of it.
  graph.op("output norm", { reads: [residual], updates: [normed] });
  recordProjector(graph, of, isDeep);
  if (!isDeep) graph.op("output", { reads: [normed, residual], writes: [logits] });
  graph.op("read", { reads: [logits, residual] });
}

/** Of a layer what mixes tokens. */
function recordMixers(graph: StepGraph, of: StepTensors) {
  const { residual, normed, heads, attention, partial, neurons, router, gates } = of;
  const { shortQueries, latents, mixed, streams, modes, around } = of;
  const { stateInput, convolved, scanned, made, steps, early } = of;
  graph.op("guess modes", { reads: [streams], updates: [normed], writes: [modes] });
  graph.op("guess", { reads: [modes], updates: [streams, residual] });
  graph.op("norm", { reads: [residual], updates: [normed] });
  graph.op("bypass down", { reads: [normed], writes: [neurons] });
  graph.op("bypass up", { reads: [neurons, normed], writes: [partial, around] });
  // Experts are chosen here, or behind the other norm.
  graph.op("experts' own norm", { reads: [residual, normed], writes: [early] });
  graph.op("choose", { reads: [residual, normed, early], writes: [router] });
  graph.op("gate heads", { reads: [residual, normed], writes: [gates] });
  graph.op("project", { reads: [residual, normed], writes: [heads] });
  graph.op("shorten", { reads: [heads], writes: [shortQueries] });
  graph.op("lengthen", { reads: [shortQueries, residual, normed], updates: [heads] });
  graph.op("rotate", { updates: [heads] });
  graph.op("take to latents", { reads: [heads], writes: [latents] });
  graph.op("attend", { reads: [heads, latents], writes: [attention, mixed] });
  graph.op("make values", { reads: [mixed], updates: [attention] });
  graph.op("weigh heads", { reads: [gates], updates: [attention] });
  // States read what heads read.
  graph.op("project states", { reads: [residual, normed], writes: [stateInput] });
  graph.op("convolve", { reads: [stateInput], writes: [convolved] });
  graph.op("share", { reads: [convolved], writes: [made] });
  graph.op("normalize", { updates: [made] });
  graph.op("make steps", { reads: [made], writes: [steps] });
  graph.op("scan", { reads: [stateInput, convolved, made, steps], writes: [scanned] });
  graph.op("gate states", { reads: [stateInput], updates: [scanned] });
  graph.op("merge", {
    reads: [attention, scanned],
    writes: [partial],
    updates: [residual, normed],
  });
  graph.op("join bypass", { reads: [around], updates: [residual] });
}

/** Its neurons, or its experts. */
function recordNeurons(graph: StepGraph, of: StepTensors) {
  const { residual, normed, partial, neurons, hidden, router, given, early } = of;
  const { expertLatents: own } = of;
  // Parallel blocks read the same norm, and add to the same partial sum.
  graph.op("norm again", { reads: [residual, partial], updates: [normed] });
  graph.op("choose", { reads: [residual, normed], writes: [router] });
  graph.op("gate and up", { reads: [residual, normed, partial], writes: [neurons] });
  graph.op("activate", { reads: [neurons, partial], writes: [hidden] });
  // That was of a shared expert, or of neurons of all steps. What follows is of the others, or of
  // neurons of longer steps, which read the norm once more.
  graph.op("weigh", { reads: [normed], updates: [router, hidden] });
  graph.op("shared down", { reads: [hidden, normed], updates: [partial, residual] });
  graph.op("make latents", { reads: [residual, normed, partial], writes: [own] });
  graph.op("gate and up", { reads: [residual, normed, partial, early, own], writes: [neurons] });
  // One dispatch may do both.
  graph.op("activate", { reads: [neurons, partial, early, own], writes: [hidden] });
  graph.op("experts' down", { reads: [hidden, residual, partial], writes: [given] });
  graph.op("combine latents", { reads: [given, residual, partial], writes: [own] });
  graph.op("combine", { reads: [given, own], updates: [partial, residual, normed] });
  // Of experts that are normalised apart.
  graph.op("norm of experts", { reads: [partial], writes: [given] });
  graph.op("shared apart", { reads: [residual], writes: [normed, neurons, hidden, partial] });
  graph.op("norm of the shared one", { reads: [partial], updates: [given] });
  graph.op("add experts", { reads: [given], updates: [residual] });
  // Of a dense block.
  graph.op("down", { reads: [hidden], updates: [partial, residual, normed] });
  graph.op("add", { reads: [partial], updates: [residual] });
}

/** What is behind both: of several streams, and of what tokens give layers. */
function recordEnd(graph: StepGraph, of: StepTensors) {
  const { residual, normed, partial, neurons, inputs, streams, modes, around } = of;
  graph.op("correct modes", { reads: [residual], updates: [normed], writes: [modes] });
  graph.op("correct", { reads: [modes], updates: [streams, residual] });
  graph.op("gate inputs", { reads: [residual], writes: [neurons] });
  graph.op("weigh inputs", { reads: [neurons], updates: [inputs] });
  graph.op("add inputs", { reads: [inputs], writes: [partial] });
  graph.op("end layer", { reads: [partial], updates: [residual, normed] });
  // Of what is kept beside the stream.
  graph.op("weigh embedding", { reads: [streams], writes: [partial] });
  graph.op("end pass", { reads: [partial], updates: [residual, streams] });
  graph.op("end streams' layer", { reads: [partial], writes: [around], updates: [streams] });
}

/** Nothing takes a little, so that it can be bound. */
function strideOf(width: number): number {
  return alignUp(Math.max(1, width), STRIDE_UNIT);
}
