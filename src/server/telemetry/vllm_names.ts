/**
 * The same numbers under vLLM's names, for schedulers and dashboards that know only these. Source
 * of the names: docs/model-server-protocol.md of llm-d, and vLLM's own list of metrics.
 */
import type { KvUse } from "../../llm/types.ts";
import type { Metrics } from "../../metrics/mod.ts";

/** vLLM's name, and ours. */
const NAMES: readonly (readonly [vllm: string, ours: string, help: string])[] = [
  ["num_requests_running", "ganglion_generations_running", "Requests in execution."],
  ["num_requests_waiting", "ganglion_generations_waiting", "Requests that wait."],
  ["kv_cache_usage_perc", "ganglion_kv_usage_ratio", "KV cache in use; 1 is all of it."],
  ["prompt_tokens_total", "ganglion_prompt_tokens_total", "Prefill tokens."],
  ["generation_tokens_total", "ganglion_generated_tokens_total", "Generated tokens."],
  ["spec_decode_num_draft_tokens_total", "ganglion_drafted_tokens_total", "Draft tokens."],
  ["spec_decode_num_accepted_tokens_total", "ganglion_accepted_tokens_total", "Accepted tokens."],
  ["prefix_cache_hits_total", "ganglion_cached_prompt_tokens_total", "Cached tokens."],
  ["prefix_cache_queries_total", "ganglion_prompt_tokens_total", "Tokens looked up."],
  ["time_to_first_token_seconds", "ganglion_first_token_seconds", "Time to first token."],
  ["inter_token_latency_seconds", "ganglion_inter_token_seconds", "Time between tokens."],
  ["time_per_output_token_seconds", "ganglion_inter_token_seconds", "Time per output token."],
  ["e2e_request_latency_seconds", "ganglion_generation_seconds", "Time of whole requests."],
];

/**
 * Shows `metrics` under vLLM's names, too.
 * @param caches of the models that are loaded, by their names.
 */
export function addVllmNames(
  metrics: Metrics,
  caches: () => readonly (readonly [model: string, kv: KvUse])[],
): void {
  for (const [name, ours, help] of NAMES) {
    metrics.alias(ours, { name: `vllm:${name}`, help, labels: ["model_name"] });
  }
  metrics.alias("ganglion_generations_total", {
    name: "vllm:request_success_total",
    help: "Requests by finish reason.",
    labels: ["model_name", "finished_reason"],
  });
  // Prefix routers reckon in its blocks; they are of the device that computes, whatever that is.
  metrics.gauge({
    name: "vllm:cache_config_info",
    help: "The cache of keys and values, by its labels.",
    labels: ["model_name", "block_size", "num_gpu_blocks", "num_cpu_blocks"],
  }, () =>
    caches().map(([model, { blockTokens, capacityTokens }]) => {
      const blocks = Math.floor(capacityTokens / blockTokens);
      return [[model, String(blockTokens), String(blocks), "0"], 1] as const;
    }));
}
