/** What a layer makes of what attention reads, before anything is normalised or turned. */
import type { LayerTensors, ModelConfig } from "../model/mod.ts";
import { clamp } from "./activation_ops.ts";
import type { ReferenceBlocks } from "./blocks.ts";
import { projectHeads } from "./gated_heads.ts";
import { latentHeads, type OwnHeads } from "./latent_heads.ts";
import type { ReferenceWeights } from "./weights.ts";

/** h: [n, d]. Of a layer without keys of its own they are empty. */
export function ownHeads(
  h: Float64Array,
  tensors: LayerTensors,
  { config, weights, blocks }: {
    readonly config: ModelConfig;
    readonly weights: ReferenceWeights;
    readonly blocks: ReferenceBlocks;
  },
): OwnHeads {
  if (tensors.latent) return latentHeads(h, tensors, { config, weights });
  const limit = config.projectionClamp;
  const clamped = (heads: Float64Array) => limit > 0 ? clamp(heads, limit) : heads;
  const [key, value] = [tensors.key, tensors.value].map((each) =>
    each === null ? new Float64Array(0) : clamped(blocks.project(h, each))
  );
  const rows = tensors.attentionGate?.query ?? null;
  const query = clamped(
    rows === null ? blocks.project(h, tensors.query!) : projectHeads(h, rows, blocks),
  );
  return { query, key, value };
}
