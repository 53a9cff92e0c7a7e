/** Which of the tiny families a GPU has what of. */
import { TINY_FAMILIES, type TinyFamilyName } from "./tiny_families.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];

const STATES = "layers that keep states of a text are the threads'";

/** What a GPU says that it cannot do of a family. */
export const GPU_REFUSED: Partial<Record<TinyFamilyName, string>> = {
  "lfm2": "layers that convolve are the threads'",
  "lfm2-windowed": "layers that convolve are the threads'",
  "lfm2moe": "layers that convolve are the threads'",
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
  "gemma3n": "several residual streams are the threads'",
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
