/**
 * Heads of latent attention on the GPU, as latent_heads.ts has them on threads: queries are taken
 * to where latents are, attention is to the one key that all heads share, whose end is the value,
 * and what it mixes of latents is made values afterwards. Knows plans.
 */
import {
  attention,
  canProjectHeads,
  isOneToken,
  multiplyHeads,
  norm,
  type OneInput,
  type ProgramBuilder,
  projectHeads,
  rememberLatent,
  rotateAndRemember,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import { ownKeyDim } from "../../model/latent.ts";
import type { LatentConfig } from "../../model/types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { HeadsPlace, HeadsStep } from "./gpu_heads.ts";
import { latentColumns, type LatentWeights } from "./latent_weights.ts";
import { multiplyAny } from "./layer_operations.ts";
import type { AttentionWeights } from "./layer_weights.ts";

/** space.attention = what own heads give. */
export function addLatentHeads(
  builder: ProgramBuilder,
  weights: AttentionWeights & { readonly latent: LatentWeights },
  place: HeadsPlace,
  step: HeadsStep,
): void {
  const { config, plan, space, index } = place;
  const { latent } = config;
  check(latent !== null, "the model has latents");
  const { length, turnedDim, valueDim } = latent;
  const heads = lengthOf(plan.heads);
  const ownStride = ownKeyDim(latent);
  project(builder, weights, { ...place, latent, heads }, step);
  multiplyHeads(builder, {
    ...{ matrix: weights.latent.keyUp.matrix, heads },
    x: { rows: { ...space.heads, column: turnedDim }, headStride: ownStride },
    to: { rows: space.latents, headStride: length },
  });
  attention(builder, {
    x: space.heads,
    rest: { rows: space.latents, ownDim: turnedDim, ownStride },
    to: space.mixed,
    ...{ heads, groupSize: config.headCount, headOffset: plan.heads.start },
    cache: weights.cache,
    window: config.layers[index].slidingWindow,
    scale: config.attentionScale,
    growth: config.queryTemperature,
    softCap: config.attentionSoftCap,
    sinks: weights.sinks,
    scratch: space.scratch,
  });
  multiplyHeads(builder, {
    ...{ matrix: weights.latent.valueUp.matrix, heads },
    x: { rows: space.mixed, headStride: length },
    to: { rows: space.attention, headStride: valueDim },
  });
}

/** Queries, [turned, plain] each and turned, and the key in the cache. */
function project(
  builder: ProgramBuilder,
  { projections, latent: weights, cache }: AttentionWeights & { readonly latent: LatentWeights },
  { config, space, index: layer, latent, heads }: HeadsPlace & {
    readonly latent: LatentConfig;
    readonly heads: number;
  },
  { x, isApart }: HeadsStep,
): void {
  const { ropes, layers, norm: { epsilon } } = config;
  const { rope: index } = layers[layer];
  check(index !== null, "a part of latent attention's keys is turned");
  const rope = { index, kind: ropes[index].kind };
  const columns = latentColumns(latent, heads);
  for (const { stacked, column } of projections) {
    multiplyAny(builder, stacked, { x, to: { ...space.heads, column } });
  }
  const from = { ...space.heads, column: columns.key };
  rememberLatent(builder, { x: from, cache, rope, weight: weights.norm, epsilon });

  let queryInput: OneInput = x;
  if (weights.queryNorm !== null) {
    const short = { from: { ...space.heads, column: columns.shortQuery }, to: space.shortQueries };
    const width = latent.queryLength;
    norm(builder, { kind: "rms", epsilon, width, weight: weights.queryNorm, ...short });
    queryInput = space.shortQueries;
  }
  const { query } = weights;
  const turning = { heads, cache: { kvHeads: 0, headDim: ownKeyDim(latent) } as const, rope };
  if (isApart && canProjectHeads(builder, turning) && isOneToken(builder, query.matrix)) {
    projectHeads(builder, { ...query, x: queryInput, to: space.heads, column: 0, ...turning });
  } else {
    multiplyAny(builder, query, { x: queryInput, to: space.heads });
    rotateAndRemember(builder, { x: space.heads, ...turning });
  }
}
