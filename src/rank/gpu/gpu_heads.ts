/**
 * A layer's heads on the GPU, from what they read to what they give: projections, norms, rotation,
 * cache, attention, gates. Knows plans; not what becomes of what they give.
 */
import {
  attention,
  canProjectHeads,
  type GpuMatrix,
  headNorm,
  type HeadNorms,
  type HeadRope,
  isOneToken,
  type OneInput,
  type ProgramBuilder,
  projectHeads,
  rotateAndRemember,
  type Rows,
  scaleRows,
  weighRows,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { addLatentHeads } from "./latent_heads.ts";
import { multiplyAny } from "./layer_operations.ts";
import type { AttentionWeights, GpuHeadNorm, LayerLoading } from "./layer_weights.ts";

/** Whose heads, and where what they give on the way lies. */
export interface HeadsPlace extends Pick<LayerLoading, "config" | "plan" | "index"> {
  readonly space: GpuSpace;
}

/** What heads read in a step. */
export interface HeadsStep {
  readonly x: OneInput;
  /** Of tokens of a sequence each. */
  readonly isApart: boolean;
}

/** All matrices that read what heads read. */
export function headReaders({ projections, gate, latent }: AttentionWeights): GpuMatrix[] {
  const matrices = projections.map(({ stacked: { matrix } }) => matrix);
  if (latent !== null && latent.queryNorm === null) matrices.push(latent.query.matrix);
  return gate === null ? matrices : [...matrices, gate.stacked.matrix];
}

/** space.attention = what own heads give. */
export function addHeads(
  builder: ProgramBuilder,
  weights: AttentionWeights,
  place: HeadsPlace,
  step: HeadsStep,
): void {
  const { config, plan, space, index } = place;
  const { latent } = weights;
  if (latent !== null) return addLatentHeads(builder, { ...weights, latent }, place, step);
  const heads = lengthOf(plan.heads);
  const { headCount, alibiMaxBias: maxBias, valueScale } = config;
  const groupSize = headCount / config.headCountKv;
  const { gate } = weights;
  if (gate !== null) multiplyAny(builder, gate.stacked, { x: step.x, to: space.gates });
  project(builder, weights, place, step);
  attention(builder, {
    x: space.heads,
    to: space.attention,
    ...{ heads, groupSize, cache: weights.cache },
    window: config.layers[index].slidingWindow,
    span: config.layers[index].attentionChunk,
    bothWays: config.isEncoder,
    alibi: maxBias === 0 ? null : { maxBias, headCount, firstHead: plan.heads.start },
    headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
    scale: config.attentionScale,
    softCap: config.attentionSoftCap,
    sinks: weights.sinks,
    scratch: space.scratch,
  });
  const width = heads * config.valueDim;
  if (valueScale !== 1) scaleRows(builder, { x: space.attention, width, scale: valueScale });
  if (gate !== null) {
    weighRows(builder, {
      ...{ x: space.attention, width, weights: space.gates },
      columnsPerWeight: gate.isPerHead ? config.valueDim : 1,
      activation: gate.activation,
    });
  }
  const { innerNorm: weight, scale } = weights;
  if (scale !== null) weighRows(builder, { x: space.attention, width, weights: scale });
  if (weight !== null) {
    const { norm: { epsilon } } = config;
    headNorm(builder, { kind: "rms", epsilon, weight, x: space.attention, heads: 1, width });
  }
}

/** What turns queries, and keys with them or not; null: nothing. */
function ropeOf(
  { ropes, index, queryIndex }: {
    ropes: ModelConfig["ropes"];
    index: number | null;
    queryIndex: number | undefined;
  },
): HeadRope | null {
  if (index !== null) return { index, queryIndex, kind: ropes[index].kind };
  if (queryIndex === undefined) return null;
  return { index: queryIndex, kind: ropes[queryIndex].kind, turnsKeys: false };
}

/** Queries, and keys and values in the cache. */
function project(
  builder: ProgramBuilder,
  weights: AttentionWeights,
  place: HeadsPlace,
  { x, isApart }: HeadsStep,
): void {
  const { config: { ropes, layers, projectionClamp: clamp }, plan, space, index: layer } = place;
  const { projections, queryNorm, keyNorm, normalizesValues, cache, hasKeys } = weights;
  const heads = lengthOf(plan.heads);
  const { rope: index, queryRope: queryIndex } = layers[layer];
  const rope = ropeOf({ ropes, index, queryIndex });
  const isPlain = clamp === 0 && queryNorm === null && keyNorm === null && !normalizesValues;
  const isOne = isApart && isPlain &&
    canProjectHeads(builder, { cache, rope }) &&
    projections.every(({ stacked: { matrix } }) => isOneToken(builder, matrix));
  for (const { stacked, column } of projections) {
    if (isOne) {
      projectHeads(builder, { ...stacked, x, to: space.heads, column, heads, cache, rope });
    } else {
      multiplyAny(builder, stacked, { x, to: { ...space.heads, column } });
    }
  }
  if (isOne) return;
  if (clamp > 0) {
    const { headDim, valueDim } = place.config;
    const width = heads * headDim + lengthOf(plan.kvHeads) * (headDim + valueDim);
    scaleRows(builder, { x: space.heads, width, limit: clamp });
  }
  const norms = normalize(builder, weights, place);
  const to = hasKeys ? cache : { kvHeads: 0, headDim: cache.headDim } as const;
  rotateAndRemember(builder, { x: space.heads, heads, cache: to, rope, norms });
}

/** All heads as one vector; @returns norms of each by itself: they are made when it is turned. */
function normalize(
  builder: ProgramBuilder,
  { queryNorm, keyNorm, normalizesValues: hasValue }: AttentionWeights,
  { config, plan, space }: HeadsPlace,
): HeadNorms | null {
  const { headDim, normalizesTurnedHeads: areTurned } = config;
  const { kind, epsilon } = config.headNorm ?? config.norm;
  const at = (head: number): Rows => ({ ...space.heads, column: head * headDim });
  const ofHead = (norm: GpuHeadNorm | null, x: Rows) => {
    if (norm === null || norm.width === headDim) return norm;
    headNorm(builder, { ...norm, kind, epsilon, x });
    return null;
  };
  const query = ofHead(queryNorm, at(0));
  const key = ofHead(keyNorm, at(lengthOf(plan.heads)));
  return query || key || hasValue ? { kind, epsilon, areTurned, query, key, hasValue } : null;
}
