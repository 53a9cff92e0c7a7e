/** How a model's file wants ids to be chosen where a request does not say: `general.sampling.*`. */
import { SAMPLER_STEPS, type SamplerStep } from "../base/sampler_steps.ts";
import type { GgufFile } from "../gguf/types.ts";
import type { SamplingOptions } from "./types.ts";

/** By llama.cpp's names and letters for steps; null: one that has no place of its own. */
const STEPS: Readonly<Record<string, SamplerStep | null>> = {
  ...{ penalties: null, dry: null, e: null, d: null },
  ...{ adaptive_p: null, "adaptive-p": null, a: null },
  // Of old presets, off wherever it is named.
  ...{ tfs_z: null, tfs: null, f: null },
  ...{ top_n_sigma: "topNSigma", "top-n-sigma": "topNSigma", s: "topNSigma" },
  ...{ top_k: "topK", "top-k": "topK", k: "topK" },
  ...{ typ_p: "typicalP", typical_p: "typicalP", typical: "typicalP", "typical-p": "typicalP" },
  ...{ "typ-p": "typicalP", typ: "typicalP", y: "typicalP" },
  ...{ top_p: "topP", "top-p": "topP", nucleus: "topP", p: "topP" },
  ...{ min_p: "minP", "min-p": "minP", m: "minP" },
  ...{ xtc: "xtc", x: "xtc" },
  ...{ temperature: "temperature", temp: "temperature", t: "temperature" },
};

/** Editors' own step, which leaves little but the best: the usual ones stand for it and theirs. */
const INFILL = ["infill", "i"];

/**
 * The steps of llama.cpp's names for them; null: one is not known. Penalties and DRY come first and
 * adaptive-p last wherever they are named, and are off only by their own numbers. A step counts
 * once, where it is named first: each goes over the vocabulary, for every token, while others wait.
 */
export function stepsNamed(names: readonly string[]): readonly SamplerStep[] | null {
  if (names.some((name) => INFILL.includes(name))) return SAMPLER_STEPS;
  if (!names.every((name) => Object.hasOwn(STEPS, name))) return null;
  return [...new Set(names.map((name) => STEPS[name]))].filter((step) => step !== null);
}

/** What the file says; what means nothing counts as not said. */
export function readSampling(metadata: GgufFile["metadata"]): SamplingOptions {
  const number = (name: string, min: number, max: number) => {
    const value = metadata.get(`general.sampling.${name}`);
    return typeof value === "number" && value >= min && value <= max ? value : undefined;
  };
  const sequence = metadata.get("general.sampling.sequence");
  const mirostat = number("mirostat", 0, 2);
  return definedOf({
    temperature: number("temp", 0, 100),
    topK: number("top_k", 0, 2 ** 31),
    topP: number("top_p", 0, 1),
    minP: number("min_p", 0, 1),
    xtcProbability: number("xtc_probability", 0, 1),
    xtcThreshold: number("xtc_threshold", 0, 1),
    repeatLastN: number("penalty_last_n", -1, 2 ** 31),
    repeatPenalty: number("penalty_repeat", 0.01, 100),
    mirostat: mirostat === 1 || mirostat === 2 ? mirostat : undefined,
    mirostatTau: number("mirostat_tau", 0, 100),
    mirostatEta: number("mirostat_eta", 0, 1),
    steps: typeof sequence === "string" ? stepsNamed(sequence.split(";")) ?? undefined : undefined,
  });
}

/** What a request says, and the file where it says nothing. */
export function withDefaults(
  defaults: SamplingOptions,
  asked: SamplingOptions = {},
): SamplingOptions {
  return { ...defaults, ...definedOf(asked) };
}

function definedOf(options: SamplingOptions): SamplingOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
}
