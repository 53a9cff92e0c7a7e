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
  isOneToken,
  type OneInput,
  type ProgramBuilder,
  projectHeads,
  rotateAndRemember,
  type Rows,
  scaleRows,
  weighRows,
} from "../../../gpu/mod.ts";
import { lengthOf } from "../shard.ts";
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
  const groupSize = config.headCount / config.headCountKv;
  const { gate } = weights;
  if (gate !== null) multiplyAny(builder, gate.stacked, { x: step.x, to: space.gates });
  project(builder, weights, place, step);
  attention(builder, {
    x: space.heads,
    to: space.attention,
    ...{ heads, groupSize, cache: weights.cache },
    window: config.layers[index].slidingWindow,
    headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
    scale: config.attentionScale,
    softCap: config.attentionSoftCap,
    sinks: weights.sinks,
    scratch: space.scratch,
  });
  if (gate === null) return;
  weighRows(builder, {
    x: space.attention,
    width: heads * config.valueDim,
    weights: space.gates,
    columnsPerWeight: gate.isPerHead ? config.valueDim : 1,
    activation: gate.activation,
  });
}

/** Queries, and keys and values in the cache. */
function project(
  builder: ProgramBuilder,
  weights: AttentionWeights,
  place: HeadsPlace,
  { x, isApart }: HeadsStep,
): void {
  const { config: { ropes, layers, projectionClamp: clamp }, plan, space, index: layer } = place;
  const { projections, queryNorm, keyNorm, cache } = weights;
  const heads = lengthOf(plan.heads);
  const { rope: index, queryRope: queryIndex } = layers[layer];
  const rope = index === null ? null : { index, queryIndex, kind: ropes[index].kind };
  const isOne = isApart && clamp === 0 && queryNorm === null && keyNorm === null &&
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
  rotateAndRemember(builder, { x: space.heads, heads, cache, rope, norms });
}

/** All heads as one vector; @returns norms of each by itself: they are made when it is turned. */
function normalize(
  builder: ProgramBuilder,
  { queryNorm, keyNorm }: AttentionWeights,
  { config, plan, space }: HeadsPlace,
): HeadNorms | null {
  const { norm: { kind, epsilon }, headDim, normalizesTurnedHeads: areTurned } = config;
  const at = (head: number): Rows => ({ ...space.heads, column: head * headDim });
  const ofHead = (norm: GpuHeadNorm | null, x: Rows) => {
    if (norm === null || norm.width === headDim) return norm;
    headNorm(builder, { ...norm, kind, epsilon, x });
    return null;
  };
  const query = ofHead(queryNorm, at(0));
  const key = ofHead(keyNorm, at(lengthOf(plan.heads)));
  return query || key ? { kind, epsilon, areTurned, query, key } : null;
}
