/**
 * Which part of a layer's neurons a rank takes, and where they come from: rows and columns of the
 * file's tensors, bundles of a packed file, a part of a unit for a GPU. Knows shards and tensors;
 * where anything is laid is the placer's business.
 */
import { UnsupportedModelError } from "../../base/errors.ts";
import type { UnitShape } from "../../bundle/units.ts";
import { predictedBlock, predictorObstacle } from "../../model/powerinfer.ts";
import type {
  DenseTensors,
  ExpertTensors,
  LayerConfig,
  LayerTensors,
  MatrixTensor,
  ModelDescription,
  PredictorTensors,
  XieluCurve,
} from "../../model/types.ts";
import type { UnitPart } from "./gpu_plan_types.ts";
import { neuronsAt } from "./hot_neurons.ts";
import { activationOf } from "./plan_activation.ts";
import { planApart } from "./plan_inputs.ts";
import type { LayerInput, Placer, Units } from "./plan_layer.ts";
import { planLatentExperts } from "./plan_latent_experts.ts";
import { norm } from "./plan_norm.ts";
import type { DensePlan, ExpertsPlan, PredictorPlan, StreamedPlan } from "./plan_types.ts";
import type { Ranges } from "./ranges.ts";
import { besideGpu, cut, lengthOf, type OnGpu, type Range, type Shard } from "./shard.ts";

interface BlockInput extends OnGpu {
  readonly layer: number;
  readonly expert: UnitShape["expert"];
  readonly neurons: Range;
  readonly adds: boolean;
  readonly isSilent: boolean;
  readonly order: readonly Range[] | null;
  readonly units: Units | null;
  readonly gpuUnits: Units | null;
  readonly curve: XieluCurve | undefined;
  readonly limits: LayerConfig["limits"];
}

/** A rank's share of a layer that has one block of neurons. */
export function denseShare(
  place: Placer,
  tensors: DenseTensors,
  { input, ...of }: Omit<BlockInput, "expert" | "neurons"> & { input: LayerInput },
): DensePlan | StreamedPlan {
  const { shard, neuronOrder: order, threshold, config, index, units } = input;
  const { neurons, gpuOfStripe, neuronsOnGpu } = shard;
  const { gateCutoff } = config.layers[index];
  const own = { neurons: besideGpu(shard), picked: units?.besideGpu(index, null, shard) ?? null };
  return {
    ...block(place, tensors, { ...of, neurons, gpuOfStripe, neuronsOnGpu, expert: null }),
    predictor: predictor(place, tensors, { ...input, ...own, order }),
    ...threshold === null ? {} : { threshold },
    ...gateCutoff === undefined ? {} : { gateCutoff },
  };
}

/** Neurons whose weights are in memory, or come from a packed file as they are needed. */
function block(
  place: Placer,
  tensors: DenseTensors,
  by: BlockInput,
): DensePlan | StreamedPlan {
  const { units, gpuUnits, layer, expert, gpuOfStripe } = by;
  const onGpu = gpuOfStripe === 0 ? null : gpuUnits?.numberOf(layer, expert) ?? null;
  const unit = units?.numberOf(layer, expert) ?? null;
  const bundles = unit === null ? null : units!.streamed(unit);
  const apart = {
    innerNorm: tensors.innerNorm ? place.vector(tensors.innerNorm, by.neurons) : null,
    ...activationOf(place, by),
  };
  if (onGpu !== null) {
    const ofUnit = { unit: onGpu, gpuOfStripe };
    const pickedBiases = gpuUnits!.onGpu(layer, expert, gpuOfStripe);
    return { ...dense(place, tensors, { ...by, ofUnit, pickedBiases }), ...apart };
  }
  const { neurons, adds } = by;
  const own = { gpuOfStripe, ...ownColumns(place, by) };
  const pickedBiases = hasBiases(tensors) ? units?.besideGpu(layer, expert, by) ?? null : null;
  if (unit === null || bundles === null) {
    return { ...dense(place, tensors, { ...by, pickedBiases }), unit, ...own, ...apart };
  }
  if (by.isSilent) requireNoBiases(tensors);
  const bare = withoutBiases(tensors);
  const rows = besideGpu(by);
  const gate = bare.gate !== null && units!.hasResidentGates
    ? place.matrix(bare.gate, { rows })
    : null;
  // What is resident does not come again: slots begin behind it.
  const start = gate === null ? 0 : bundles.restOffsetBytes;
  const factorsSizeBytes = bundles.factorsSizeBytes * lengthOf(neurons) / bundles.neurons;
  return {
    kind: "streamed",
    unit,
    neurons,
    gpuOfStripe,
    gate,
    factorsOffsetBytes: place.region(`unit.${unit}.factors`, factorsSizeBytes),
    factorsSizeBytes,
    inSlot: {
      gate: bundles.gate === null || gate !== null ? null : bundles.gate.offsetBytes,
      up: bundles.up.offsetBytes - start,
      down: bundles.down.offsetBytes - start,
    },
    staged: { ...place.inStage(() => dense(place, bare, by)), unit, ...own },
    biases: {
      gate: tensors.gate?.bias ? place.vector(tensors.gate.bias, rows, pickedBiases) : null,
      up: tensors.up.bias && place.vector(tensors.up.bias, rows, pickedBiases),
      down: adds && tensors.down.bias ? place.vector(tensors.down.bias) : null,
    },
    ...apart,
    predictor: null,
  };
}

/** Which columns of down neurons have: a GPU's are between them. */
function ownColumns(
  place: Placer,
  { layer, neuronsOnGpu, ...by }: BlockInput,
): Pick<DensePlan, "columnsOffsetBytes"> {
  if (neuronsOnGpu === 0) return { columnsOffsetBytes: 0 };
  const sizeBytes = 4 * lengthOf(besideGpu({ neuronsOnGpu, ...by }));
  return { columnsOffsetBytes: place.region(`blk.${layer}.columns`, sizeBytes) };
}

/** Those of units stay in memory. */
function withoutBiases({ gate, up, down, ...tensors }: DenseTensors): DenseTensors {
  const bare = (matrix: MatrixTensor) => ({ ...matrix, bias: null });
  return { ...tensors, gate: gate && bare(gate), up: bare(up), down: bare(down) };
}

/** Of neurons, not of what comes out of a block. */
function hasBiases({ gate, up }: DenseTensors): boolean {
  return (gate?.bias ?? null) !== null || up.bias !== null;
}

/** Neurons that are listed one by one are computed without. */
function requireNoBiases({ gate, up, down }: DenseTensors): void {
  for (const matrix of [gate, up, down]) {
    if (matrix === null || matrix.bias === null) continue;
    throw new UnsupportedModelError(
      `Cannot stream this model: its neurons have biases, "${matrix.bias.tensor}": ` +
        `give it enough memory to be loaded as a whole`,
    );
  }
}

/** The rank's share of a block, in memory as a whole, but for a norm inside of it and a curve. */
export function dense(
  place: Placer,
  tensors: DenseTensors,
  by: {
    neurons: Range;
    adds: boolean;
    isSilent: boolean;
    order: readonly Range[] | null;
    /** Of these, so many have no rows here. */
    neuronsOnGpu: number;
    /** On a GPU: neurons are counted, and come from that unit. */
    ofUnit?: { unit: number; gpuOfStripe: number };
    /** Whose biases they have, where a unit's neurons are counted. */
    pickedBiases?: Ranges | null;
  },
): DensePlan {
  const { neurons, adds, isSilent: hasSilentColumns, order, ofUnit, pickedBiases: pickedBias } = by;
  const rows = besideGpu(by);
  const fromUnit = (part: UnitPart["part"]) =>
    ofUnit && { ofUnit: { unit: ofUnit.unit, part, ofStripe: ofUnit.gpuOfStripe } };
  const picked = order && neuronsAt(order, neurons);
  const { gate, up, isDownTransposed: isTransposed } = tensors;
  const stored = tensors.down;
  const down = isTransposed ? { ...stored, rows: stored.columns, columns: stored.rows } : stored;
  return {
    kind: "dense",
    gate: gate && place.matrix(gate, { rows, picked, pickedBias, ...fromUnit("gate") }),
    up: place.matrix(up, { rows, picked, pickedBias, ...fromUnit("up") }),
    down: place.matrix(down, {
      columns: neurons,
      picked,
      takesBias: adds,
      hasSilentColumns,
      isTransposed,
      ...fromUnit("down"),
    }),
    ...{ innerNorm: null, curve: null, limit: null },
    predictor: null,
    threshold: null,
    gateCutoff: null,
    isSilent: hasSilentColumns,
    unit: null,
    ...{ gpuOfStripe: 0, columnsOffsetBytes: 0 },
  };
}

/**
 * Of the first matrix every thread has as many rows: what they give is exchanged. The second one's
 * rows are the rank's neurons. A rank without neurons has its rows of the first all the same.
 */
function predictor(
  place: Placer,
  block: DenseTensors,
  by: LayerInput & {
    readonly neurons: Range;
    readonly order: readonly Range[] | null;
    /** Which rows of the second they are, where they are not neighbours. */
    readonly picked?: Ranges | null;
  },
): PredictorPlan | null {
  const predictor = usedPredictor(block, by);
  if (predictor === null) return null;
  const { index, rankIndex, threadCount, neurons, order } = by;
  const picked = by.picked ?? (order && neuronsAt(order, neurons));
  const { first, second } = predictor;
  const rows = cut(first.rows, { parts: threadCount, part: rankIndex, unit: 1 });
  return {
    layer: index,
    first: place.matrix(first, { rows }),
    second: place.matrix(second, { rows: neurons, picked, readsRelu: true }),
  };
}

/** Largest rank of a predictor that a model will have in memory; 0: there is none. */
export function largestPredictor(
  { config, tensors: { layers } }: ModelDescription,
  hasPredictors: boolean,
): number {
  const blocks = layers.map(predictedBlock).filter((block) => block !== null);
  const by = { config, hasPredictors };
  return Math.max(0, ...blocks.map((block) => usedPredictor(block, by)?.first.rows ?? 0));
}

/** The predictor that a block will have in memory, or null. */
function usedPredictor(
  block: DenseTensors,
  { hasPredictors, config }: Pick<LayerInput, "hasPredictors" | "config">,
): PredictorTensors | null {
  const isUsed = hasPredictors && predictorObstacle(config.feedForward, block) === null;
  return isUsed ? block.predictor : null;
}

export function experts(
  place: Placer,
  tensors: ExpertTensors,
  of: Omit<BlockInput, "expert" | "neurons"> & { input: LayerInput },
): ExpertsPlan {
  const by = { ...of, order: null };
  const { input } = by;
  const { shard, units, index: layer, chooserPlace } = input;
  const { router, choiceBias, shared, sharedGate } = tensors;
  const chooser = chooserPlace ?? place;
  return {
    kind: "experts",
    choosesInArena: chooserPlace !== null,
    usedCount: input.config.experts!.usedCount,
    router: chooser.matrix(router, { isWidened: true }),
    choiceBias: choiceBias === null ? null : chooser.vector(choiceBias),
    expertsOfTokens: tensors.expertsOfTokens ? chooser.vector(tensors.expertsOfTokens) : null,
    experts: tensors.experts.map((expert, index) => {
      const neurons = neuronsOf(shard, index);
      const own = { neurons, ...onGpuOf(shard, index) };
      const picked = units?.besideGpu(layer, index, own) ?? null;
      const asked = { neurons: besideGpu(own), picked, order: null };
      return {
        ...block(place, expert, { ...by, ...own, expert: index }),
        predictor: predictor(place, expert, { ...input, ...asked }),
      };
    }),
    downBiases: shard.addsExpertBiases && tensors.downBiases
      ? place.vector(tensors.downBiases)
      : null,
    shared: shared === null ? null : block(place, shared, {
      ...{ ...by, neurons: shard.sharedNeurons, ...shard.sharedOnGpu, expert: "shared" },
      adds: shard.addsExpertBiases,
    }),
    sharedGate: sharedGate === null ? null : place.matrix(sharedGate, { isWidened: true }),
    scales: tensors.scales && chooser.vector(tensors.scales),
    apart: planApart(place, tensors.apart),
    latent: planLatentExperts(place, tensors.latent, input),
    inputNorm: norm(place, tensors.inputNorm ?? null),
    companions: (tensors.companions ?? []).map((each) =>
      dense(place, each, { ...by, neurons: shard.companionNeurons, adds: false, isSilent: false })
    ),
  };
}

/** Calls `visit` for each block of neurons of a layer. */
export function forEachBlock(
  feedForward: LayerTensors["feedForward"],
  visit: (expert: UnitShape["expert"], block: DenseTensors) => void,
): void {
  if (feedForward === null) return;
  if (feedForward.kind === "dense") return visit(null, feedForward);
  feedForward.experts.forEach((expert, index) => visit(index, expert));
  if (feedForward.shared !== null) visit("shared", feedForward.shared);
}

/** What of the block's neurons is a GPU's. */
export function onGpuOf(shard: Shard, expert: UnitShape["expert"]): OnGpu {
  const { gpuOfStripe, neuronsOnGpu, sharedOnGpu, expertsOnGpu } = shard;
  if (expert === null) return { gpuOfStripe, neuronsOnGpu };
  return expert === "shared" ? sharedOnGpu : expertsOnGpu[expert % expertsOnGpu.length];
}

/** Which neurons of a block a rank owns. */
export function neuronsOf(shard: Shard, expert: UnitShape["expert"]): Range {
  if (expert === null) return shard.neurons;
  if (expert === "shared") return shard.sharedNeurons;
  return shard.expertNeurons[expert % shard.expertNeurons.length];
}
