/** Which of the tiny families a GPU has what of. */
import { TINY_FAMILIES, type TinyFamilyName } from "./tiny_families.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];

const STATES = "layers that keep states of a text are the threads'";

/** What a GPU says that it cannot do of a family. */
export const GPU_REFUSED: Partial<Record<TinyFamilyName, string>> = {
  "deepseek2": "made of latents by threads only",
  "deepseek2-old": "made of latents by threads only",
  "deepseek2-grouped": "made of latents by threads only",
  "deepseek2-dense": "made of latents by threads only",
  "lfm2": "layers that convolve are the threads'",
  "lfm2-windowed": "layers that convolve are the threads'",
  "lfm2moe": "layers that convolve are the threads'",
  "minicpm3": "made of latents by threads only",
  "plm": "made of latents by threads only",
  "mamba": STATES,
  "mamba-falcon": STATES,
  "mamba2": STATES,
  "falcon-h1": STATES,
  "granitehybrid": STATES,
  "granitehybrid-moe": STATES,
  "nemotron_h": STATES,
  "nemotron_h_moe": STATES,
  "jamba": STATES,
  "qwen35": STATES,
  "qwen35moe": STATES,
  "qwen3next": STATES,
  "mimo2": "values that are not as long as keys are the threads'",
  "mimo2-fused": "values that are not as long as keys are the threads'",
  "gemma3n": "several residual streams are the threads'",
  "mistral4": "made of latents by threads only",
};

/** All of these. */
export const GPU_TAKEN = FAMILIES.filter((name) => GPU_REFUSED[name] === undefined);

/** What a GPU says of those of which it has all or nothing. */
export const GPU_UNSHARED: Partial<Record<TinyFamilyName, string>> = {
  "gemma4": "layers that read others' keys are not shared out",
  "gemma4-moe": "experts with norms of their own are not shared out",
  "bitnet": "norms inside of blocks are not shared out",
  "bitnet-b1.58": "norms inside of blocks are not shared out",
};

/** Those that have experts: the GPU's, or the threads' beside it. */
export const GPU_MIXTURES = GPU_TAKEN.filter((name) =>
  "experts" in TINY_FAMILIES[name] && GPU_UNSHARED[name] === undefined
);
