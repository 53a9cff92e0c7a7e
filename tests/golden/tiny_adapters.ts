/**
 * What tiny models of seed 36 say after TINY_PROMPT with 0.7 of `tinyAdapter`'s adapter in them, by
 * llama.cpp (of npm's llama.rn 0.12.9, F32 cache, no flash attention), at positions 11 and 47. Data
 * only.
 */
import type { TinyFamilyName } from "../support/tiny_families.ts";
import type { Best } from "./tiny_logits.ts";

export interface AdapterGolden {
  readonly architecture: TinyFamilyName;
  /** Names of the tensors that the adapter changes. */
  readonly targets: RegExp;
  readonly best: readonly [at11: Best, at47: Best];
}

export const ADAPTER_SCALE = 0.7;

export const ADAPTER_LOGITS: readonly AdapterGolden[] = [{
  architecture: "llama",
  targets: /^(token_embd|output|blk\.\d+\.(attn_[qkv]|attn_output|ffn_(gate|up|down)))\.weight$/,
  best: [
    [[271, 7.3634], [285, 5.8067], [151, 5.2713]],
    [[372, 6.2159], [383, 6.1017], [68, 5.6803]],
  ],
}, {
  architecture: "llama-moe",
  targets: /_exps\.weight$/,
  best: [
    [[291, 6.5558], [287, 5.9091], [31, 4.9201]],
    [[386, 6.7383], [408, 6.6781], [435, 6.3473]],
  ],
}];
