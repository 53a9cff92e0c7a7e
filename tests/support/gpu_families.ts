/** Which of the tiny families a GPU has what of. */
import { TINY_FAMILIES, type TinyFamilyName } from "./tiny_families.ts";
import type { TinyFamily } from "./tiny_family.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];

/** What a GPU says that it cannot do of a family. */
export const GPU_REFUSED: Partial<Record<TinyFamilyName, string>> = {
  // What goes around attention; of real ones it is 64, and of the one of gpu_families_test.ts.
  "gemma3n": "a width of 10 is no multiple of 4",
  "deepseek32-chosen": "keys that an indexer chooses are the threads'",
  "glm-dsa-chosen": "keys that an indexer chooses are the threads'",
  "deepseek4": "keys that are compressed are the threads'",
  "dots3note": "gates of heads that latents make are the threads'",
  "dots3note-chosen": "gates of heads that latents make are the threads'",
  "hy_v4": "residual streams that layers mix are the threads'",
  "hy_v4-chosen": "residual streams that layers mix are the threads'",
  "qwen4exp": "residual streams that are gated are the threads'",
  "rwkv7": "states that decay key by key are the threads'",
  "arwkv7": "states that decay key by key are the threads'",
  "rwkv6": "states that decay key by key are the threads'",
  "rwkv6-old": "states that decay key by key are the threads'",
  "rwkv6qwen2": "states that decay key by key are the threads'",
  "bailingmoe3": "states that decay key by key are the threads'",
  "kimi-k3": "states that decay key by key are the threads'",
  "kimi-linear": "states that decay key by key are the threads'",
  "minimax-01": "lightning attention is the threads'",
  "arwkv7-ungated": "states that decay key by key are the threads'",
};

/** Of these it has no experts, and so not all. */
const WITHOUT_EXPERTS: readonly TinyFamilyName[] = ["grovemoe"];

/** All of these. */
export const GPU_TAKEN = FAMILIES.filter((name) =>
  GPU_REFUSED[name] === undefined && !WITHOUT_EXPERTS.includes(name)
);

/** What a GPU says of those of which it has all or nothing. */
export const GPU_UNSHARED: Partial<Record<TinyFamilyName, string>> = {
  "gemma4": "layers that read others' keys are not shared out",
  "gemma4-moe": "experts with norms of their own are not shared out",
  "bitnet": "norms inside of blocks are not shared out",
  "bitnet-b1.58": "norms inside of blocks are not shared out",
  "arctic": "experts that read a layer's input are not shared out",
  "nemotron_h_moe-latent": "experts that read latents are not shared out",
  "nemotron_h_moe-puzzle": "experts that read latents are not shared out",
  "nanbeige": "norms between passes are not shared out",
  "hrm_text": "what is kept beside the residual stream is not shared out",
  "talkie": "what is kept beside the residual stream is not shared out",
  "talkie-scaled": "what is kept beside the residual stream is not shared out",
};

/**
 * Those that a GPU computes beside a thread: norms over all heads, parallel blocks, norms of sums,
 * scales, biases, latents.
 */
export const GPU_BESIDE = [
  ...["bamboo", "gemma2", "granite", "olmo2", "stablelm-parallel", "gpt2"] as const,
  ...["falcon-40b", "gptneox", "cohere2", "bloom", "apertus", "minicpm3"] as const,
  // Layers that convolve, or keep states; what threads share within these has a join of its own.
  ...["lfm2", "qwen35", "falcon-h1", "mamba2", "jamba", "nemotron_h"] as const,
] satisfies readonly TinyFamilyName[];

/**
 * Of these it computes in one program, where it has all, what beside a thread is one for each block
 * of a layer, and no other family does: blocks side by side with a norm each; heads beside states.
 */
export const GPU_JOINED = ["falcon-40b", "falcon-h1"] as const satisfies readonly TinyFamilyName[];

/**
 * Experts that are the GPU's, or the threads' beside it: a family of each kind, by gates, norms,
 * biases and limits of experts, what chooses them, and what is before them in a layer.
 */
export const GPU_MIXTURES = [
  ...["llama-moe", "llama-moe-old", "drelu-moe", "qwen2moe", "qwen3moe", "gpt-oss"] as const,
  ...["smallthinker", "granitemoe", "hunyuan-moe", "deepseek2-grouped", "glm4moe"] as const,
  ...["lfm2moe", "granitehybrid-moe", "nemotron_h_moe", "qwen35moe", "bailingmoe2"] as const,
  ...["phimoe", "grok", "llama4", "laguna", "step35", "mimo2", "grovemoe"] as const,
] satisfies readonly TinyFamilyName[];

/**
 * Of these the experts are the threads' in no test of their own: to threads they are as those of
 * another one of the above. What else their layers have is the GPU's either way.
 */
export const GPU_EXPERTS_ALONE: readonly TinyFamilyName[] = [
  ...["llama-moe-old", "qwen3moe", "glm4moe", "bailingmoe2", "phimoe"] as const,
  ...["laguna", "step35", "mimo2"] as const,
];

/** Of these the gate has the experts on the GPU's side of it, of the others on the threads'. */
export const GPU_EXPERTS_IN_GATE: readonly TinyFamilyName[] = GPU_MIXTURES.filter((name, index) =>
  GPU_EXPERTS_ALONE.includes(name) || index % 2 === 1
);

/**
 * Another seed than 3: that model makes of a thread's rounding, too, several times what those of
 * other seeds do.
 */
const SEEDS: Partial<Record<TinyFamilyName, number>> = { "granitehybrid-moe": 4 };

/**
 * Sizes of layers are constants of shaders, which take longer to compile than to run: layers are of
 * two or three sizes, which other families have, too.
 */
const CHANGES: Partial<Record<TinyFamilyName, Partial<TinyFamily>>> = {
  "gemma4": { layered: { ...TINY_FAMILIES.gemma4.layered, neurons: undefined } },
  "openelm": { uneven: { heads: [2, 4, 4], headsKv: [1, 2, 1], neurons: [64, 96, 64] } },
  "deci": {
    uneven: {
      heads: [4, 0, 4, 0, 0, 2],
      headsKv: [2, 0, 1, 0, 0, 1],
      neurons: [96, 64, 96, 0, 64, 96],
    },
  },
  "spark2_5": {
    uneven: { heads: [4, 2, 4, 2], headsKv: [2, 1, 2, 1], neurons: [96, 96, 96, 96] },
  },
};

/** A tiny model of the family, for comparisons. */
export function gpuForm(architecture: TinyFamilyName): {
  readonly architecture: TinyFamilyName;
  readonly seed: number;
  readonly changes?: Partial<TinyFamily>;
} {
  return { architecture, seed: SEEDS[architecture] ?? 3, changes: CHANGES[architecture] };
}
