/**
 * Decides what every rank holds and where it lies: the model's tensors cut by shard, laid into as
 * many arenas as they need. Pure: reads no weights, allocates nothing.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import type {
  LayerTensors,
  MatrixTensor,
  ModelConfig,
  ModelDescription,
} from "../../model/types.ts";
import { configOf, hasUnevenNeurons } from "../../model/layer_config.ts";
import { MatrixLayouts } from "./matrix_layouts.ts";
import { adaptersOf, withAdded } from "./plan_added.ts";
import type { RankPlan } from "./plan_types.ts";
import { UnitPlan } from "./plan_units.ts";
import { BLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { orderByRate } from "./hot_neurons.ts";
import { type ColumnBlocks, ofLayer, planShards, type Range, segmentsBeside } from "./shard.ts";
import { blockWeights, type WeightType } from "./weight_types.ts";

import type { PlanOptions } from "./plan_options.ts";
import { RankPlanner } from "./rank_planner.ts";

export { clustersOnGpu, STEP_TOKENS } from "./hot_neurons.ts";
export { adapterObstacle } from "./adapter_obstacle.ts";
export { withAdded } from "./plan_added.ts";
export { tableBlocks } from "./kv_bytes.ts";
export type { GpuOptions, PlanOptions } from "./plan_options.ts";

const NOTHING_ON_GPU = { heads: 0, neurons: [0] } as const;

/** The attention kernels' contract: wasm/kernels.ts. */
const HEAD_DIM_UNIT = 4;

/**
 * One plan per rank; all of them change arenas at the same layers.
 * @throws {UnsupportedModelError} when a tensor or the size of the heads has no kernel, or what
 *   must lie in one arena is larger than it.
 */
export function planRanks(
  model: ModelDescription,
  ofFile: ReadonlyMap<string, GgufTensor>,
  options: PlanOptions,
): RankPlan[] {
  const [tensors, adapters] = [withAdded(ofFile), adaptersOf(ofFile)];
  const { config } = model;
  requireHeads(model);
  const { layers } = model.tensors;
  const units = options.packed === undefined ? null : new UnitPlan(options.packed);
  const layouts = new MatrixLayouts(model, tensors, {
    // Sums are of every neuron.
    skips: options.isSparse !== false && !options.measuresInputs,
    hushes: options.thresholds !== undefined,
    ...{ units, measuresInputs: options.measuresInputs, writesOut: options.writesOut },
  });
  const typesOf = (matrixOf: (layer: LayerTensors) => MatrixTensor | null) =>
    layers.flatMap((layer) => {
      const matrix = matrixOf(layer);
      return matrix === null ? [] : [layouts.typeOf(matrix.tensor)];
    });
  // Layers differ in their types, and the cuts are the same in all: the coarsest blocks decide.
  const coarsest = (types: WeightType[]) =>
    types.reduce((most, type) => Math.max(most, blockWeights(type)), 1);
  const { rankCount, contextLength, gpu } = options;
  const blocks = {
    attentionOutput: coarsest(typesOf((layer) => layer.attentionOutput)),
    down: coarsest(layouts.cutDownTypes),
    states: Math.max(
      coarsest(typesOf(stateOutput)),
      coarsest(typesOf((layer) => layer.stateSpace?.shared?.matrix ?? null)),
    ),
    inputs: inputBlocks(model, (matrix) => blockWeights(layouts.typeOf(matrix.tensor))),
    stripes: units?.stripesOf(null),
  };
  const withGpu = planShards(config, { rankCount, contextLength, blocks, gpu });
  // Of layers that the GPU has nothing of.
  const nothing = gpu && { ...NOTHING_ON_GPU, hasOutput: gpu.hasOutput };
  const without = nothing === undefined || rankCount === 1
    ? withGpu
    : planShards(config, { rankCount, contextLength, blocks, gpu: nothing });
  const firstOnGpu = gpu === undefined ? 0 : layers.length - gpu.layers;
  const shardsOf = config.layers.map(({ shape }, index) =>
    shape === undefined
      ? index < firstOnGpu ? without : withGpu
      : planShards(configOf(config, index), {
        ...{ rankCount, contextLength, gpu: index < firstOnGpu ? nothing : gpu },
        blocks: { ...blocks, stripes: units?.stripesOf(index) },
      })
  );
  const orders = neuronOrders(model, options, { blocks, layouts });
  const keyTypes = typesOf((layer) => layer.key ?? layer.stateSpace?.input ?? null);
  const isExact = keyTypes.every((type) => type === "F32");
  const kvType = options.kvType !== "auto" ? options.kvType : isExact ? "f32" : "i16";
  const planners = withGpu.map((shard, rankIndex) => {
    const isOnGpu = gpu !== undefined && rankIndex === rankCount - 1;
    return new RankPlanner({
      ...{ model, tensors, layouts, options, shard, rankIndex, kvType, isOnGpu, adapters },
      ...isOnGpu ? { units: null, gpuUnits: units } : { units, gpuUnits: null },
      layerShards: config.layers.map((layer, index) => ofLayer(shardsOf[index][rankIndex], layer)),
      neuronOrders: layers.map((_, index) => index < firstOnGpu ? null : orders?.[index] ?? null),
    });
  });
  placeAll(planners, config.layers.length, options.packed?.arenaCount);
  const plans = planners.map((planner) => planner.build());
  requireKeysNear(plans[0]);
  return plans;
}

/** What merges what a layer's states give; null: it keeps none. */
function stateOutput(layer: LayerTensors): MatrixTensor | null {
  const { stateSpace, timeMix, finch, keyDeltas, lightning } = layer;
  return (stateSpace ?? timeMix ?? finch ?? keyDeltas ?? lightning)?.output ?? null;
}

function placeAll(planners: readonly RankPlanner[], blockCount: number, arenaCount = 1): void {
  for (const planner of planners) planner.placeEmbedding();
  // A second arena would have no more room: the first one holds nothing else yet.
  requireFit(planners, "the embedding table");
  for (let index = 0; index < blockCount; index++) {
    const isBorder = Math.floor(index * arenaCount / blockCount) !==
      Math.floor((index - 1) * arenaCount / blockCount);
    if (index > 0 && isBorder) { for (const planner of planners) planner.openArena(); }
    placeOnAll(planners, (planner) => planner.placeLayer(index), `layer ${index}`);
  }
  placeOnAll(planners, (planner) => planner.placeGuess(), "what guesses tokens");
  placeOnAll(planners, (planner) => planner.placeOutput(), "the output projection");
}

/** How finely what tokens give layers may be cut: in rows of the table, and in a layer's input. */
function inputBlocks(
  { config: { layerInputLength: length }, tensors: { tokenInputs, layers } }: ModelDescription,
  blockOf: (matrix: MatrixTensor) => number,
): ColumnBlocks["inputs"] {
  if (tokenInputs === null) return undefined;
  const block = blockOf(tokenInputs.table);
  let unit = 1;
  while (unit * length % block !== 0) unit++;
  const outputs = layers.flatMap(({ input }) => input === null ? [] : [blockOf(input.output)]);
  return { layers: unit, numbers: Math.max(...outputs) };
}

/** A layer reads another one's keys and values where they are: in its own arena. */
function requireKeysNear({ layers }: RankPlan): void {
  const far = layers.findIndex(({ keysOf, arena }) =>
    keysOf !== null && layers[keysOf].arena !== arena
  );
  if (far < 0) return;
  throw new UnsupportedModelError(
    `Cannot place layer ${far}: it reads the keys of layer ${layers[far].keysOf}, and a thread's ` +
      "share of all layers between them does not fit into one memory: use more threads, a " +
      "shorter context or smaller weights",
  );
}

/**
 * Which neurons are at which place in each layer, where a GPU beside threads is to have the most
 * frequent ones; else null. A down that is read by columns moves by blocks, be they those of its
 * type or, of floats, 32: single columns would be gathered one by one. One that the file keeps
 * neuron by neuron moves by neurons. Where layers have as many neurons each, that is.
 */
function neuronOrders(
  { config }: ModelDescription,
  { gpu, rankCount, packed }: PlanOptions,
  { blocks, layouts }: { blocks: ColumnBlocks; layouts: MatrixLayouts },
): readonly (readonly Range[])[] | null {
  const isUneven = hasUnevenNeurons(config) || config.experts !== null;
  // Those of a packed file are in its order.
  if (gpu?.rates === undefined || rankCount === 1 || packed !== undefined || isUneven) return null;
  const segments = segmentsBeside(config, { blocks, gpu });
  const unit = layouts.cutDownTypes.length === 0 ? 1 : Math.max(blocks.down, BLOCK_WEIGHTS);
  return gpu.rates.map((rates) => orderByRate(rates, { unit, segments }));
}

/** Places something in the current arena of every rank, or in a new one where one overflows. */
function placeOnAll(
  planners: readonly RankPlanner[],
  place: (planner: RankPlanner) => void,
  what: string,
): void {
  const marks = planners.map((planner) => planner.mark());
  planners.forEach(place);
  if (planners.every((planner) => planner.fits())) return;
  planners.forEach((planner, index) => planner.reset(marks[index]));
  for (const planner of planners) planner.openArena();
  planners.forEach(place);
  requireFit(planners, what);
}

function requireFit(planners: readonly RankPlanner[], what: string): void {
  if (planners.every((planner) => planner.fits())) return;
  throw new UnsupportedModelError(
    `Cannot place ${what}: a thread's share does not fit into ` +
      `${formatBytes(planners[0].arenaBytesMax)} with its workspace: ` +
      `use more threads or a shorter context`,
  );
}

/** Attention reads heads four dimensions at a time. */
function requireHeads({ config, tensors }: ModelDescription): void {
  requireHeadNorms(config, tensors);
  const dims = config.layers.flatMap((_, layer) => {
    const { headDim, valueDim } = configOf(config, layer);
    return [headDim, valueDim];
  });
  const headDim = dims.find((dim) => dim % HEAD_DIM_UNIT !== 0);
  if (headDim === undefined) return;
  throw new UnsupportedModelError(
    `Cannot run this model: its heads have ${headDim} dimensions, this version needs a multiple ` +
      `of ${HEAD_DIM_UNIT}: use a model of another shape`,
  );
}

/** Ranks exchange squares of heads that are normalised together, no sums: no mean is known. */
function requireHeadNorms(config: ModelConfig, { layers }: ModelDescription["tensors"]): void {
  if ((config.headNorm ?? config.norm).kind === "rms") return;
  const spans = layers.flatMap(({ queryNorm, keyNorm }) => [queryNorm?.span, keyNorm?.span]);
  if (!spans.includes("projection")) return;
  throw new UnsupportedModelError(
    "Cannot run this model: norms over all heads take away their mean, which this version does " +
      "not compute: use another model",
  );
}
