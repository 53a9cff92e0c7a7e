/**
 * Bytes of a model whose neurons are on disk: what is always in memory, by the plan that ranks
 * would be loaded by, and what neurons take. Knows no budget.
 */
import { elementCount } from "../model/dtypes.ts";
import { predictedBlock, predictorObstacle } from "../model/powerinfer.ts";
import { type PlanOptions, planRanks } from "../rank/plan/plan.ts";
import type { RankPlan } from "../rank/plan/plan_types.ts";
import { isCommon } from "../rank/plan/plan_units.ts";
import { besideGpu, usageOf } from "./firing_rates.ts";
import { unusedTensors } from "./source_share.ts";
import type { PlanInput } from "./plan_types.ts";

/** What a rank always holds. */
export interface FixedBytes {
  /** Weights that belong to no neuron; predictors with them, where they are wanted. */
  readonly weights: number;
  readonly context: number;
  /** Of one arena: each arena has one. */
  readonly workspace: number;
}

export interface FixedModel {
  readonly ranks: readonly FixedBytes[];
  /** Bytes of `weights` that a token reads, all ranks together. */
  readonly readPerToken: number;
}

/**
 * What is always in memory of a model whose neurons are not. Nor is the embedding table there,
 * unless it is the output, too.
 */
export function fixedModel(
  input: PlanInput,
  by: { hasPredictors: boolean; chunkTokens: number },
): FixedModel {
  const { model, units } = input;
  const onDisk = new Set(
    units.flatMap(({ gate, up, down }) =>
      gate === null ? [up.tensor, down.tensor] : [gate.tensor, up.tensor, down.tensor]
    ),
  );
  const { tokenEmbedding } = model.tensors;
  if (!model.config.tiedEmbeddings) onDisk.add(tokenEmbedding.tensor);
  const plans = plansOf(input, by);
  const { experts } = model.config;
  const predictors = predictorTensors(input);
  const unused = unusedTensors(model, "ofAnswer");
  // A token reads predictors of the experts that it uses.
  const predictorShare = experts === null ? 1 : experts.usedCount / experts.count;
  let readPerToken = 0;
  const ranks = plans.map(({ arenas }) => {
    const bytes = { weights: 0, context: 0, workspace: 0 };
    arenas.forEach(({ regions }, arena) => {
      for (const { name, kind, sizeBytes } of regions) {
        if (kind === "kv") bytes.context += sizeBytes;
        else if (kind === "activations") bytes.workspace += arena === 0 ? sizeBytes : 0;
        else if (!onDisk.has(name)) {
          bytes.weights += sizeBytes;
          if (unused.has(name)) continue;
          readPerToken += (predictors.has(name) ? predictorShare : 1) * sizeBytes;
        }
      }
    });
    return bytes;
  });
  return { ranks, readPerToken };
}

/** True when every layer has a predictor that works. */
export function canPredict({ model: { config, tensors } }: PlanInput): boolean {
  return tensors.layers.every((layer) => {
    const { feedForward } = layer;
    // A shared expert has none.
    if (feedForward?.kind === "experts" && feedForward.shared !== null) return false;
    const block = predictedBlock(layer);
    if (block === null) return true;
    return block.predictor !== null && predictorObstacle(config.feedForward, block) === null;
  });
}

/** Names of the tensors of all predictors. */
function predictorTensors({ model: { tensors } }: PlanInput): ReadonlySet<string> {
  return new Set(tensors.layers.flatMap((layer) => {
    const predictor = predictedBlock(layer)?.predictor ?? null;
    return predictor === null ? [] : [predictor.first.tensor, predictor.second.tensor];
  }));
}

/** Sums over units. */
export interface UnitSums {
  readonly neurons: number;
  /** Of the largest unit. */
  readonly slotBytes: { readonly gates: number; readonly predictor: number };
  /** All gates as packed rows, all factors of down, all bundles. */
  readonly gateBytes: number;
  readonly factorsBytes: number;
  readonly bundleBytes: number;
  /** What a token reads of gates and factors where all gates are computed. */
  readonly usedGateBytes: number;
  readonly usedFactorsBytes: number;
  /** What a token that needs all neurons of its units reads of them: as bundles, and but gates. */
  readonly usedBundleBytes: number;
  readonly usedRestBytes: number;
  /** Of units that every token needs: how many there are, and their bundles. */
  readonly common: { readonly units: number; readonly bundleBytes: number };
  /** Of a neuron, on average: its gate, and what else belongs to it. */
  readonly gatePerNeuron: number;
  readonly restPerNeuron: number;
  /** Weights of the neurons that a token of a prompt is computed with. */
  readonly usedWeights: number;
  /** Most neurons of a layer that a token can use. */
  readonly layerNeurons: number;
}

export function sumUnits({ units, tensors, model: { config } }: PlanInput): UnitSums {
  const sums = {
    ...{ neurons: 0, gateBytes: 0, factorsBytes: 0, bundleBytes: 0 },
    ...{ usedGateBytes: 0, usedFactorsBytes: 0, rest: 0, usedWeights: 0 },
    ...{ usedBundleBytes: 0, usedRestBytes: 0 },
    common: { units: 0, bundleBytes: 0 },
    slotBytes: { gates: 0, predictor: 0 },
  };
  const perLayer = new Map<number, number>();
  for (const unit of units) {
    const { gate, up, down, restOffsetBytes, bundleBytes, factorsSizeBytes, layer } = unit;
    const neurons = besideGpu(unit);
    const usage = usageOf(unit, config);
    const ownGate = gate?.sizeBytes ?? 0;
    sums.neurons += neurons;
    sums.slotBytes.gates = Math.max(sums.slotBytes.gates, bundleBytes - restOffsetBytes);
    sums.slotBytes.predictor = Math.max(sums.slotBytes.predictor, bundleBytes);
    sums.gateBytes += neurons * ownGate;
    sums.factorsBytes += factorsSizeBytes;
    sums.bundleBytes += neurons * bundleBytes;
    sums.usedGateBytes += usage * neurons * ownGate;
    sums.usedFactorsBytes += usage * factorsSizeBytes;
    sums.rest += neurons * (up.sizeBytes + down.sizeBytes);
    sums.usedRestBytes += usage * neurons * (up.sizeBytes + down.sizeBytes);
    sums.usedBundleBytes += usage * neurons * bundleBytes;
    if (isCommon(unit)) {
      sums.common.units++;
      sums.common.bundleBytes += neurons * bundleBytes;
    }
    // Experts may read latents, which are shorter than the stream.
    const [width] = tensors.get(up.tensor)!.dims;
    sums.usedWeights += usageOf(unit, config, "ofPrompt") * neurons * (gate === null ? 2 : 3) *
      width;
    perLayer.set(layer, (perLayer.get(layer) ?? 0) + usage * neurons);
  }
  return {
    ...sums,
    gatePerNeuron: sums.gateBytes / Math.max(1, sums.neurons),
    restPerNeuron: sums.rest / Math.max(1, sums.neurons),
    layerNeurons: [...perLayer.values()].reduce((most, each) => Math.max(most, each), 0),
  };
}

/** Weights outside of neurons that a token of a prompt is multiplied with: no predictor's. */
export function fixedWeightCount(input: PlanInput): number {
  const { model, tensors, units } = input;
  const { tokenEmbedding, tokenInputs, layers } = model.tensors;
  const unused = unusedTensors(model, "ofPrompt");
  const left = new Set([tokenEmbedding.tensor, ...predictorTensors(input), ...unused]);
  if (tokenInputs !== null) left.add(tokenInputs.table.tensor);
  for (const { ngrams } of layers) if (ngrams) left.add(ngrams.table.tensor);
  for (const { gate, up, down } of units) {
    for (const part of [gate, up, down]) if (part !== null) left.add(part.tensor);
  }
  return [...tensors.values()].filter(({ name, dims }) => dims.length > 1 && !left.has(name))
    .reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

/** Ranks of a plan; neurons: which share of them the GPU has in it, if there is one. */
export function ranksOf(
  { threads, gpu }: PlanInput,
  neurons: readonly number[],
): Pick<PlanOptions, "rankCount" | "gpu"> {
  if (gpu === undefined) return { rankCount: threads };
  return { rankCount: threads + 1, gpu: { ...gpu, neurons } };
}

/** Of threads. */
function plansOf(
  input: PlanInput,
  { hasPredictors, chunkTokens }: { hasPredictors: boolean; chunkTokens: number },
): RankPlan[] {
  const { model, tensors, contextLength, sequences, kvType = "auto", isSparse, sizes } = input;
  const plans = planRanks(model, tensors, {
    ...{ contextLength, sequences, chunkTokens, kvType, isSparse, hasPredictors, sizes },
    ...ranksOf(input, [0]),
  });
  return plans.filter(({ gpu }) => gpu === null);
}
