/**
 * Which parts of a layer a rank takes: rows of what makes queries, keys, values and neurons,
 * columns of what merges them. Knows shards and tensors; where anything is laid is the placer's
 * business.
 */
import { rowsOfHeads } from "./picked.ts";
import type { UnitShape } from "../../bundle/units.ts";
import { mergedHeadDim } from "../../model/latent.ts";
import type { LayerTensors, MatrixTensor, ModelConfig, VectorTensor } from "../../model/types.ts";
import type { LayerWeights } from "./layer_weights.ts";
import type { LayerPlan, MatrixPlan, VectorPlan } from "./plan_types.ts";
import { planConformer } from "./plan_conformer.ts";
import { groupRows, planCompressed } from "./plan_compressed.ts";
import { ngramPlaceBytes, planGated } from "./plan_gated.ts";
import { planLayerHyper } from "./plan_hyper.ts";
import { planLayerAltUp } from "./plan_alt_up.ts";
import { planLayerInput } from "./plan_inputs.ts";
import { activationOf } from "./plan_activation.ts";
import { planNeuronGate } from "./plan_neuron_gate.ts";
import { planBlockIndexer } from "./plan_block_indexer.ts";
import { planGate } from "./plan_gate.ts";
import { planLatentHeads } from "./plan_latent.ts";
import { planConvolution, planScales } from "./plan_vectors.ts";
import { planStateSpace } from "./plan_state.ts";
import { planFinch } from "./plan_finch.ts";
import { planKeyDeltas } from "./plan_key_deltas.ts";
import { planLightning } from "./plan_lightning.ts";
import { planTimeMix } from "./plan_time_mix.ts";
import type { UnitPart } from "./gpu_plan_types.ts";
import { dense, denseShare, experts } from "./plan_neurons.ts";
import { headNorm, norm } from "./plan_norm.ts";
import { planOffsets } from "./plan_offsets.ts";
import type { Ranges } from "./ranges.ts";
import { lengthOf, type OnGpu, type Range, scale, type Shard } from "./shard.ts";

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
  /** Heads, or groups of them, multiply their rows by what is their own. */
  readonly readsByRows?: boolean;
  /**
   * Which of the matrix the columns are, or the rows where all columns are wanted; left out:
   * neighbours.
   */
  readonly picked?: Ranges | null;
  /** Which of the bias's numbers the rows have, where it lies apart from them: of units. */
  readonly pickedBias?: Ranges | null;
  /** What of a packed file's unit it is, on a GPU; left out: it is the tensor. */
  readonly ofUnit?: UnitPart;
}

/** Lays weights into an arena. */
export interface Placer {
  matrix(matrix: MatrixTensor, part: MatrixPart): MatrixPlan;
  /** A range of a vector; left out: all. picked: which of the vector it is, as in a matrix. */
  vector(vector: VectorTensor, range?: Range, picked?: Ranges | null): VectorPlan;
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
  /**
   * Which of a block's neurons a thread has that owns these, where a GPU has some of them; null:
   * neighbours, or nobody knows.
   */
  besideGpu(
    layer: number,
    expert: UnitShape["expert"],
    own: OnGpu & { readonly neurons: Range },
  ): Ranges | null;
  /** Which of a block's neurons a GPU has; null: nobody knows. */
  onGpu(
    layer: number,
    expert: UnitShape["expert"],
    gpuOfStripe: number,
  ): Ranges | null;
}

export interface LayerInput {
  readonly config: ModelConfig;
  readonly shard: Shard;
  readonly rankIndex: number;
  /** Ranks that are no GPU's. */
  readonly threadCount: number;
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
  /** Null: the model is no packed one, or the rank is a GPU's. */
  readonly units: Units | null;
  /** The same of a GPU's rank. */
  readonly gpuUnits: Units | null;
  /**
   * Where a GPU's rank has what tokens choose experts by, so that its thread chooses with the bits
   * of the others; null: where its other weights are.
   */
  readonly chooserPlace: Placer | null;
}

export function planLayer(place: Placer, input: LayerInput): LayerWeights {
  const { config, shard, rankIndex, tensors, isSilent, index } = input;
  const query = scale(shard.heads, config.headDim);
  const keyValue = scale(shard.kvHeads, config.headDim);
  const value = scale(shard.kvHeads, config.valueDim);
  const merged = scale(shard.heads, mergedHeadDim(config));
  const adds = rankIndex === 0; // what is added to a sum over ranks is added by one of them
  const { feedForward, stateSpace, timeMix, finch, keyDeltas, lightning, neuronGate } = tensors;
  const ofStates = { config, heads: shard.stateHeads, keptBytes: ngramPlaceBytes(config, index) };
  const { curve, limits } = config.layers[index];
  const own = { order: input.neuronOrder, curve, limits };
  const { units, gpuUnits } = input;
  const ofUnits = { units, gpuUnits, gpuOfStripe: 0, neuronsOnGpu: 0 };
  const of = { layer: index, adds, isSilent, ...ofUnits, ...own };
  // Where blocks read the same, experts are chosen by attention's norm.
  const readsPlace = input.chooserPlace ?? place;
  return {
    ...{ heads: shard.heads, kvHeads: shard.kvHeads },
    attentionNorm: norm(readsPlace, tensors.attentionNorm),
    ...tensors.latent
      ? planLatentHeads(place, tensors, { config, heads: shard.heads })
      : ownHeads(place, tensors, { heads: shard.heads, query, key: keyValue, value }),
    blockIndexer: planBlockIndexer(place, tensors.blockIndexer, { config, kvHeads: shard.kvHeads }),
    compressed: planCompressed(place, tensors.compressed, { config, heads: shard.heads }),
    queryNorm: headNorm(place, tensors.queryNorm, { rows: query, headDim: config.headDim }),
    keyNorm: headNorm(place, tensors.keyNorm, { rows: keyValue, headDim: config.headDim }),
    valueNorm: headNorm(place, tensors.valueNorm, { rows: value, headDim: config.valueDim }),
    ...planScoreParts(place, tensors, shard),
    convolution: planConvolution(place, tensors.convolution, {
      ...{ own: query, channels: config.embeddingLength },
    }),
    conformer: planConformer(place, tensors, { own: query, config }),
    attentionGate: planGate(place, tensors.attentionGate, shard.heads),
    innerNorm: tensors.innerNorm ? place.vector(tensors.innerNorm, merged) : null,
    attentionOutput: tensors.attentionOutput && place.matrix(tensors.attentionOutput, {
      columns: tensors.compressed ? groupRows(config, shard.heads) : merged,
      takesBias: adds,
    }),
    stateSpace: stateSpace && planStateSpace(place, stateSpace, ofStates),
    timeMix: timeMix ? planTimeMix(place, timeMix, ofStates) : null,
    finch: finch ? planFinch(place, finch, ofStates) : null,
    keyDeltas: keyDeltas ? planKeyDeltas(place, keyDeltas, ofStates) : null,
    lightning: lightning ? planLightning(place, lightning, { ...ofStates, index }) : null,
    attentionPostNorm: norm(place, tensors.attentionPostNorm),
    feedForwardNorm: norm(readsPlace, tensors.feedForwardNorm),
    feedForwardShift: tensors.feedForwardShift ? place.vector(tensors.feedForwardShift) : null,
    neuronGate: planNeuronGate(place, neuronGate),
    feedForward: feedForward === null
      ? null
      : feedForward.kind === "dense"
      ? denseShare(place, feedForward, { ...of, input })
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
    hyper: planLayerHyper(place, tensors.hyper, config),
    gated: planGated(place, tensors, lengthOf(shard.heads) > 0),
    outputScale: tensors.outputScale && place.vector(tensors.outputScale),
    ...planScales(place, tensors),
    endNorm: norm(place, tensors.endNorm ?? null),
    ...{ sharesWeights: false, keysOf: config.layers[index].keysOf ?? null },
  };
}

/** What scores have beside queries and keys. */
function planScoreParts(place: Placer, tensors: LayerTensors, { heads }: Shard) {
  return {
    offsets: planOffsets(place, tensors),
    attentionSinks: tensors.attentionSinks && place.vector(tensors.attentionSinks, heads),
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
