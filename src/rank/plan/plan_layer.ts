/**
 * Which parts of a layer a rank takes: rows of what makes queries, keys, values and neurons,
 * columns of what merges them. Knows shards and tensors; where anything is laid is the placer's
 * business.
 */
import { rowsOfHeads } from "./picked.ts";
import { UnsupportedModelError } from "../../base/errors.ts";
import type { UnitShape } from "../../bundle/units.ts";
import { mergedHeadDim } from "../../model/latent.ts";
import { predictedBlock, predictorObstacle } from "../../model/powerinfer.ts";
import type {
  DenseTensors,
  ExpertTensors,
  LayerConfig,
  LayerTensors,
  MatrixTensor,
  ModelConfig,
  ModelDescription,
  PredictorTensors,
  VectorTensor,
  XieluCurve,
} from "../../model/types.ts";
import type { LayerWeights } from "./layer_weights.ts";
import type {
  DensePlan,
  ExpertsPlan,
  LayerPlan,
  MatrixPlan,
  PredictorPlan,
  StreamedPlan,
  VectorPlan,
} from "./plan_types.ts";
import { planLayerAltUp } from "./plan_alt_up.ts";
import { planApart, planLayerInput } from "./plan_inputs.ts";
import { activationOf } from "./plan_activation.ts";
import { planNeuronGate } from "./plan_neuron_gate.ts";
import { planGate } from "./plan_gate.ts";
import { planLatentHeads } from "./plan_latent.ts";
import { planConvolution, planScales } from "./plan_vectors.ts";
import { planStateSpace } from "./plan_state.ts";
import { planFinch } from "./plan_finch.ts";
import { planKeyDeltas } from "./plan_key_deltas.ts";
import { planTimeMix } from "./plan_time_mix.ts";
import { neuronsAt } from "./hot_neurons.ts";
import { headNorm, norm } from "./plan_norm.ts";
import { cut, lengthOf, type Range, scale, type Shard } from "./shard.ts";

/** Which part of a matrix, and what becomes of it. */
export interface MatrixPart {
  /** Of the matrix, not of its tensor; left out: all. */
  readonly rows?: Range;
  readonly columns?: Range;
  /** False where another rank adds the bias. */
  readonly takesBias?: boolean;
  /** Kept as F32 whatever the tensor's type. */
  readonly isWidened?: boolean;
  /** The same of a quantised type only. */
  readonly isFloat?: boolean;
  /** Its columns are neurons that may be silent: kept so that one can be left out, if it can be. */
  readonly hasSilentColumns?: boolean;
  /** What its columns are multiplied by went through ReLU: about half of it is zero. */
  readonly readsRelu?: boolean;
  /** The tensor holds it as [columns, rows]. */
  readonly isTransposed?: boolean;
  /**
   * Which of the matrix the columns are, or the rows where all columns are wanted; left out:
   * neighbours.
   */
  readonly picked?: readonly Range[] | null;
}

/** Lays weights into an arena. */
export interface Placer {
  matrix(matrix: MatrixTensor, part: MatrixPart): MatrixPlan;
  /** A range of a vector; left out: all. picked: which of the vector it is, as in a matrix. */
  vector(vector: VectorTensor, range?: Range, picked?: readonly Range[] | null): VectorPlan;
  /** Bytes that are no tensor's. */
  region(name: string, sizeBytes: number): number;
  /** What `place` lays, it lays into the place that units are staged in. */
  inStage<T>(place: () => T): T;
}

/** The units of a packed file, as a layer's share sees them. */
export interface Units {
  /** Number of the unit; null: its weights are tensors of the file. */
  numberOf(layer: number, expert: UnitShape["expert"]): number | null;
  /** The unit, where it is not resident as a whole; else null. */
  streamed(unit: number): UnitShape | null;
  /** All of a streamed unit's gates are. */
  readonly hasResidentGates: boolean;
}

export interface LayerInput {
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly rankIndex: number;
  readonly rankCount: number;
  readonly tensors: LayerTensors;
  /** Number of the layer. */
  readonly index: number;
  /** Neurons are silent as a rule. */
  readonly isSilent: boolean;
  /** Predictors of them are wanted, where there are some. */
  readonly hasPredictors: boolean;
  /** Of `DensePlan`. */
  readonly threshold: number | null;
  /** Which neurons of a dense block are at its shard's places; null: as in the file. */
  readonly neuronOrder: readonly Range[] | null;
  /** Null: the model is no packed one. */
  readonly units: Units | null;
}

export function planLayer(place: Placer, input: LayerInput): LayerWeights {
  const { config, shard, rankIndex, tensors, isSilent, index } = input;
  const query = scale(shard.heads, config.headDim);
  const keyValue = scale(shard.kvHeads, config.headDim);
  const value = scale(shard.kvHeads, config.valueDim);
  const merged = scale(shard.heads, mergedHeadDim(config));
  const adds = rankIndex === 0; // what is added to a sum over ranks is added by one of them
  const { feedForward, stateSpace, timeMix, finch, keyDeltas, neuronGate } = tensors;
  const ofStates = { config, heads: shard.stateHeads };
  const { curve, limits, gateCutoff } = config.layers[index];
  const own = { order: input.neuronOrder, curve, limits };
  const of = { layer: index, adds, isSilent, units: input.units, ...own };
  return {
    heads: shard.heads,
    kvHeads: shard.kvHeads,
    attentionNorm: norm(place, tensors.attentionNorm),
    ...tensors.latent
      ? planLatentHeads(place, tensors, { config, heads: shard.heads })
      : ownHeads(place, tensors, { heads: shard.heads, query, key: keyValue, value }),
    queryNorm: headNorm(place, tensors.queryNorm, { rows: query, headDim: config.headDim }),
    keyNorm: headNorm(place, tensors.keyNorm, { rows: keyValue, headDim: config.headDim }),
    valueNorm: headNorm(place, tensors.valueNorm, { rows: value, headDim: config.valueDim }),
    attentionSinks: tensors.attentionSinks && place.vector(tensors.attentionSinks, shard.heads),
    convolution: planConvolution(place, tensors.convolution, {
      own: query,
      channels: config.embeddingLength,
    }),
    attentionGate: planGate(place, tensors.attentionGate, shard.heads),
    innerNorm: tensors.innerNorm ? place.vector(tensors.innerNorm, merged) : null,
    attentionOutput: tensors.attentionOutput && place.matrix(tensors.attentionOutput, {
      columns: merged,
      takesBias: adds,
    }),
    stateSpace: stateSpace && planStateSpace(place, stateSpace, ofStates),
    timeMix: timeMix ? planTimeMix(place, timeMix, ofStates) : null,
    finch: finch ? planFinch(place, finch, ofStates) : null,
    keyDeltas: keyDeltas ? planKeyDeltas(place, keyDeltas, ofStates) : null,
    attentionPostNorm: norm(place, tensors.attentionPostNorm),
    feedForwardNorm: norm(place, tensors.feedForwardNorm),
    feedForwardShift: tensors.feedForwardShift ? place.vector(tensors.feedForwardShift) : null,
    neuronGate: planNeuronGate(place, neuronGate),
    feedForward: feedForward === null ? null : feedForward.kind === "dense"
      ? {
        ...block(place, feedForward, { ...of, neurons: shard.neurons, expert: null }),
        predictor: predictor(place, feedForward, {
          ...{ ...input, neurons: shard.neurons },
          order: input.neuronOrder,
        }),
        ...input.threshold === null ? {} : { threshold: input.threshold },
        ...gateCutoff === undefined ? {} : { gateCutoff },
      }
      : experts(place, feedForward, { ...of, input }),
    steppedNeurons: feedForward?.kind !== "dense" ? [] : shard.steppedNeurons.map((each) => ({
      block: {
        ...dense(place, feedForward, { ...of, neurons: each.neurons, adds: false }),
        ...activationOf(place, { ...of, expert: null }),
      },
      tokens: each.tokens,
    })),
    feedForwardPostNorm: norm(place, tensors.feedForwardPostNorm),
    input: planLayerInput(place, tensors.input, shard),
    altUp: planLayerAltUp(place, tensors.altUp),
    outputScale: tensors.outputScale && place.vector(tensors.outputScale),
    ...planScales(place, tensors),
    endNorm: norm(place, tensors.endNorm ?? null),
    sharesWeights: false,
    keysOf: config.layers[index].keysOf ?? null,
  };
}

/** What makes queries, keys and values; the latter may be one matrix, which lies there once. */
function ownHeads(
  place: Placer,
  { query, key, value, attentionGate: gate }: LayerTensors,
  own: { heads: Range; query: Range; key: Range; value: Range },
): Pick<LayerPlan, "query" | "key" | "value" | "latent"> {
  const rows = gate?.query ? rowsOfHeads(gate.query, own.heads) : { rows: own.query };
  const plan = {
    query: query && place.matrix(query, rows),
    key: key && place.matrix(key, { rows: own.key }),
    latent: null,
  };
  if (value === key) return { ...plan, value: plan.key };
  return { ...plan, value: value && place.matrix(value, { rows: own.value }) };
}

interface BlockInput {
  readonly layer: number;
  readonly expert: UnitShape["expert"];
  readonly neurons: Range;
  readonly adds: boolean;
  readonly isSilent: boolean;
  readonly order: readonly Range[] | null;
  readonly units: Units | null;
  readonly curve: XieluCurve | undefined;
  readonly limits: LayerConfig["limits"];
}

/** Neurons whose weights are in memory, or come from a packed file as they are needed. */
function block(place: Placer, tensors: DenseTensors, by: BlockInput): DensePlan | StreamedPlan {
  const { units, layer, expert } = by;
  const unit = units?.numberOf(layer, expert) ?? null;
  const bundles = unit === null ? null : units!.streamed(unit);
  const apart = {
    innerNorm: tensors.innerNorm ? place.vector(tensors.innerNorm, by.neurons) : null,
    ...activationOf(place, by),
  };
  if (unit === null || bundles === null) {
    return { ...dense(place, tensors, by), unit, ...apart };
  }
  if (by.isSilent) requireNoBiases(tensors);
  const { neurons, adds } = by;
  const bare = withoutBiases(tensors);
  const gate = bare.gate !== null && units!.hasResidentGates
    ? place.matrix(bare.gate, { rows: neurons })
    : null;
  // What is resident does not come again: slots begin behind it.
  const start = gate === null ? 0 : bundles.restOffsetBytes;
  const factorsSizeBytes = bundles.factorsSizeBytes * lengthOf(neurons) / bundles.neurons;
  return {
    kind: "streamed",
    unit,
    neurons,
    gate,
    factorsOffsetBytes: place.region(`unit.${unit}.factors`, factorsSizeBytes),
    factorsSizeBytes,
    inSlot: {
      gate: bundles.gate === null || gate !== null ? null : bundles.gate.offsetBytes,
      up: bundles.up.offsetBytes - start,
      down: bundles.down.offsetBytes - start,
    },
    staged: place.inStage(() => ({ ...dense(place, bare, by), unit })),
    biases: {
      gate: tensors.gate?.bias ? place.vector(tensors.gate.bias, neurons) : null,
      up: tensors.up.bias && place.vector(tensors.up.bias, neurons),
      down: adds && tensors.down.bias ? place.vector(tensors.down.bias) : null,
    },
    ...apart,
    predictor: null,
  };
}

/** Those of units stay in memory. */
function withoutBiases({ gate, up, down, ...tensors }: DenseTensors): DenseTensors {
  const bare = (matrix: MatrixTensor) => ({ ...matrix, bias: null });
  return { ...tensors, gate: gate && bare(gate), up: bare(up), down: bare(down) };
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
  by: { neurons: Range; adds: boolean; isSilent: boolean; order: readonly Range[] | null },
): DensePlan {
  const { neurons, adds, isSilent: hasSilentColumns, order } = by;
  const picked = order && neuronsAt(order, neurons);
  const { gate, up, isDownTransposed: isTransposed } = tensors;
  const stored = tensors.down;
  const down = isTransposed ? { ...stored, rows: stored.columns, columns: stored.rows } : stored;
  return {
    kind: "dense",
    gate: gate === null ? null : place.matrix(gate, { rows: neurons, picked }),
    up: place.matrix(up, { rows: neurons, picked }),
    down: place.matrix(down, {
      columns: neurons,
      picked,
      takesBias: adds,
      hasSilentColumns,
      isTransposed,
    }),
    ...{ innerNorm: null, curve: null, limit: null },
    predictor: null,
    threshold: null,
    gateCutoff: null,
    isSilent: hasSilentColumns,
    unit: null,
  };
}

/**
 * Of the first matrix every rank has as many rows: what they give is exchanged. The second one's
 * rows are the rank's neurons. A rank without neurons has its rows of the first all the same.
 */
function predictor(
  place: Placer,
  block: DenseTensors,
  by: LayerInput & { readonly neurons: Range; readonly order: readonly Range[] | null },
): PredictorPlan | null {
  const predictor = usedPredictor(block, by);
  if (predictor === null) return null;
  const { index, rankIndex, rankCount, neurons, order } = by;
  const picked = order && neuronsAt(order, neurons);
  const { first, second } = predictor;
  const rows = cut(first.rows, { parts: rankCount, part: rankIndex, unit: 1 });
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
export function usedPredictor(
  block: DenseTensors,
  { hasPredictors, config }: Pick<LayerInput, "hasPredictors" | "config">,
): PredictorTensors | null {
  const isUsed = hasPredictors && predictorObstacle(config.feedForward, block) === null;
  return isUsed ? block.predictor : null;
}

function experts(
  place: Placer,
  tensors: ExpertTensors,
  of: Omit<BlockInput, "expert" | "neurons"> & { input: LayerInput },
): ExpertsPlan {
  const by = { ...of, order: null };
  const { input } = by;
  const { shard } = input;
  const { router, choiceBias, shared, sharedGate } = tensors;
  return {
    kind: "experts",
    router: place.matrix(router, { isWidened: true }),
    choiceBias: choiceBias === null ? null : place.vector(choiceBias),
    experts: tensors.experts.map((expert, index) => {
      const neurons = neuronsOf(shard, index);
      return {
        ...block(place, expert, { ...by, neurons, expert: index }),
        predictor: predictor(place, expert, { ...input, neurons, order: null }),
      };
    }),
    downBiases: shard.addsExpertBiases && tensors.downBiases
      ? place.vector(tensors.downBiases)
      : null,
    shared: shared === null ? null : block(place, shared, {
      ...{ ...by, neurons: shard.sharedNeurons, expert: "shared" },
      adds: shard.addsExpertBiases,
    }),
    sharedGate: sharedGate === null ? null : place.matrix(sharedGate, { isWidened: true }),
    scales: tensors.scales && place.vector(tensors.scales),
    apart: planApart(place, tensors.apart),
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

/** Which neurons of a block a rank owns. */
export function neuronsOf(shard: Shard, expert: UnitShape["expert"]): Range {
  if (expert === null) return shard.neurons;
  if (expert === "shared") return shard.sharedNeurons;
  return shard.expertNeurons[expert % shard.expertNeurons.length];
}
