/**
 * Which golden models a GPU is asked for. Apart from `gpu_model.ts`, which asks for an adapter: a
 * test whose GPU is Chromium's has none of its own, for a process with one may crash as it ends.
 */

/** Of shared/golden: families and types whose logits a GPU must give. */
export const GPU_GOLDEN_MODELS = [
  ...["llama-f16", "llama-q4_0", "llama-q4_k_m", "qwen2-f16", "gemma-f16"],
  ...["bamboo-f16", "bamboo-pwri-q4_0"],
];
