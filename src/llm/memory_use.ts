/** What of a model is in memory and what is not, by the plans of its threads. */
import { bytesByKind } from "../memory/arena.ts";
import type { ModelConfig } from "../model/types.ts";
import { isTied, partsOfLayer } from "../rank/load/load_order.ts";
import { matrixBytes } from "../rank/plan/place_matrix.ts";
import type { DensePlan, LayerPlan, RankPlan, StreamedPlan } from "../rank/plan/plan_types.ts";

/** Bytes of memory by what they are for, over all threads. */
export interface MemoryUse {
  readonly weightsBytes: number;
  /** Room for neurons of a packed model. */
  readonly slotBytes: number;
  readonly kvBytes: number;
  readonly activationBytes: number;
  /** Of these, what a step leaves from part to part, and what it would take if nothing shared. */
  readonly intermediateBytes: number;
  readonly intermediateApartBytes: number;
  readonly totalBytes: number;
  /**
   * Not in memory: a packed model's neurons that slots are for. A piece of a prompt reads all of
   * them once.
   */
  readonly diskBytes: number;
  /** Nor are these: a packed model's embedding table, of which a token reads a row. */
  readonly diskTableBytes: number;
}

/** What all threads take together. */
export function memoryUse(plans: readonly RankPlan[]): MemoryUse {
  const { weights, slots, kv, activations } = bytesByKind(plans.flatMap((plan) => plan.arenas));
  const intermediates = plans.flatMap(({ workspaces }) =>
    workspaces.map((workspace) => workspace.intermediates)
  );
  return {
    weightsBytes: weights,
    slotBytes: slots,
    kvBytes: kv,
    activationBytes: activations,
    intermediateBytes: intermediates.reduce((sum, { plannedBytes }) => sum + plannedBytes, 0),
    intermediateApartBytes: intermediates.reduce((sum, { apartBytes }) => sum + apartBytes, 0),
    totalBytes: weights + slots + kv + activations,
    diskBytes: plans.flatMap(({ layers }) => layers)
      .reduce((sum, { feedForward }) => sum + streamedBytes(feedForward), 0),
    diskTableBytes: plans.filter(({ embeddingInFile }) => embeddingInFile !== null)
      .reduce((sum, { embedding }) => sum + matrixBytes(embedding), 0),
  };
}

/**
 * All weights but what a token does not look at: of tables it reads a row (unless the table is the
 * output), of experts those it uses, of layers those that write, of adapters none.
 */
export function bytesPerToken(plans: readonly RankPlan[], config: ModelConfig): number {
  let bytes = memoryUse(plans).weightsBytes;
  for (const plan of plans) {
    const { embedding, embeddingInFile, positions, guess } = plan;
    const layers = guess === null ? plan.layers : plan.layers.slice(0, -1);
    if (guess !== null) {
      bytes -= matrixBytes(guess.merge) + layerBytes(plan.layers[plan.layers.length - 1]);
    }
    if (!isTied(plan) && embeddingInFile === null) bytes -= matrixBytes(embedding);
    if (positions !== null) bytes -= matrixBytes(positions);
    for (const [index, layer] of layers.entries()) {
      const { feedForward } = layer;
      bytes -= addedBytes(layer);
      if (config.layers[index]?.stage === "reads") bytes -= layerBytes(layer);
      if (layer.sharesWeights) bytes += layerBytes(layer);
      bytes += streamedBytes(feedForward);
      if (feedForward?.kind !== "experts") continue;
      const { experts, usedCount } = feedForward;
      const expertsBytes = experts
        .reduce((sum, each) => sum + blockBytes(each) + predictorBytes(each), 0);
      bytes -= (1 - usedCount / experts.length) * expertsBytes;
      const { companions } = feedForward;
      const unusedCount = Math.max(0, companions.length - usedCount);
      for (const each of companions.slice(0, unusedCount)) bytes -= blockBytes(each);
    }
  }
  bytes += plans.reduce((sum, { gpu }) => sum + (gpu?.weightsBytes ?? 0), 0);
  return Math.round(bytes) + (isTied(plans[0]) ? 0 : plans[0].embedding.rowStrideBytes);
}

/** Bytes of what adapters add to a layer's matrices. */
function addedBytes(layer: LayerPlan): number {
  let bytes = 0;
  for (const part of partsOfLayer(layer)) {
    if (!("matrix" in part)) continue;
    for (const { first, second } of part.matrix.added ?? []) {
      bytes += matrixBytes(first) + matrixBytes(second);
    }
  }
  return bytes;
}

/** Bytes of a layer's matrices. */
function layerBytes(layer: LayerPlan): number {
  let bytes = 0;
  for (const part of partsOfLayer(layer)) if ("matrix" in part) bytes += matrixBytes(part.matrix);
  return bytes;
}

/** Bytes of a block, in memory or not. */
function blockBytes(block: DensePlan | StreamedPlan): number {
  const { gate, up, down } = block.kind === "dense" ? block : block.staged;
  return (gate === null ? 0 : matrixBytes(gate)) + matrixBytes(up) + matrixBytes(down);
}

/** Bytes of what guesses which neurons of a block fire. */
function predictorBytes({ predictor }: DensePlan | StreamedPlan): number {
  return predictor === null ? 0 : matrixBytes(predictor.first) + matrixBytes(predictor.second);
}

/** What of a layer's neurons is not among the weights of the arenas. */
function streamedBytes(feedForward: LayerPlan["feedForward"]): number {
  if (feedForward === null || feedForward.kind === "dense") return 0;
  if (feedForward.kind === "streamed") {
    const { gate, factorsSizeBytes } = feedForward;
    return blockBytes(feedForward) - factorsSizeBytes - (gate === null ? 0 : matrixBytes(gate));
  }
  const { experts, shared } = feedForward;
  return [...experts, ...shared === null ? [] : [shared]]
    .reduce((sum, block) => sum + streamedBytes(block), 0);
}
