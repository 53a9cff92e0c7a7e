/** What norms of the residual stream are called, but for those that blocks read. */
import type { Family } from "../family.ts";
import type { LayerReader } from "./layer_reader.ts";
import type { ModelConfig } from "../types.ts";

const ATTENTION_POST_NORMS = ["post_attention_norm", "attn_output_norm"];
const FEED_FORWARD_POST_NORMS = ["post_ffw_norm", "layer_output_norm"];

/** Of embeddings. */
export function embeddingNorm({ normalizesSums }: Family): string {
  return normalizesSums === "asRead" ? "blk.0.attn_norm" : "token_embd_norm";
}

/** The last one: where sums are normalised, the last one of these is. */
export function lastNorm({ blockCount }: ModelConfig, family: Family): string {
  return family.normalizesSums === true
    ? `blk.${blockCount - 1}.${FEED_FORWARD_POST_NORMS[1]}`
    : family.outputNorm;
}

/** The norm behind this layer's neurons is the last one. */
export function isLastNorm({ config, family, index }: LayerReader): boolean {
  return family.normalizesSums !== false && index === config.blockCount - 1;
}

/** Of what attention adds, or of the sum. */
export function attentionPostNorm(reader: LayerReader): string {
  if (reader.family.normalizesSums === "asRead") return `${reader.at}ffn_norm`;
  return reader.at + postNorm(reader, ATTENTION_POST_NORMS);
}

/** The same of neurons. */
export function feedForwardPostNorm(reader: LayerReader): string {
  if (reader.family.normalizesSums === "asRead") return `blk.${reader.index + 1}.attn_norm`;
  return reader.at + postNorm(reader, FEED_FORWARD_POST_NORMS);
}

/** That of the names which the first block's is called; the first where it is called none. */
function postNorm({ checker, family }: LayerReader, names: readonly string[]): string {
  const { postNormNames: own } = family;
  if (own !== null) return own[names === ATTENTION_POST_NORMS ? 0 : 1];
  return names.find((name) => checker.has(`blk.0.${name}.weight`)) ?? names[0];
}
