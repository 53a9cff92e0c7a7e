/** Which of the tiny families a GPU has what of. */
import { TINY_FAMILIES, type TinyFamilyName } from "./tiny_families.ts";

const FAMILIES = Object.keys(TINY_FAMILIES) as TinyFamilyName[];

const STATES = "layers that keep states of a text are the threads'";

/** What a GPU says that it cannot do of a family. */
export const GPU_REFUSED: Partial<Record<TinyFamilyName, string>> = {
  "lfm2": "layers that convolve are the threads'",
  "lfm2-windowed": "layers that convolve are the threads'",
  "lfm2moe": "layers that convolve are the threads'",
  "llama4": "attention is to chunks by threads only",
  "llama4-chunked": "attention is to chunks by threads only",
  "bloom": "scores have slopes by threads only",
  "mpt": "scores have slopes by threads only",
  "refact": "scores have slopes by threads only",
  "jais": "scores have slopes by threads only",
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
  "gemma4": "layers that read others' keys are the threads'",
  "gemma4-moe": "values are normalised by threads only",
  "mimo2": "what heads give is scaled by threads only",
  "mimo2-fused": "what heads give is scaled by threads only",
  "gemma3n": "several residual streams are the threads'",
  "apertus": "xIELU is computed by threads only",
  "bitnet": "norms inside of blocks are the threads'",
  "bitnet-b1.58": "norms inside of blocks are the threads'",
};

/** All of these. */
export const GPU_TAKEN = FAMILIES.filter((name) => GPU_REFUSED[name] === undefined);

/** Those of them that have experts: the GPU's, or the threads' beside it. */
export const GPU_MIXTURES = GPU_TAKEN.filter((name) => "experts" in TINY_FAMILIES[name]);
