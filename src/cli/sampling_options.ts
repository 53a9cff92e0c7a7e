/** The flags that decide how an answer is sampled. */
import type { Command } from "commander";
import type { SamplingOptions } from "../llm/mod.ts";
import { decimal, wholeNumber } from "./option_values.ts";

/** What `addSamplingOptions` parses; left out means the engine's default. */
export interface SamplingFlags {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly repeatPenalty?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
  readonly seed?: number;
}

/** Adds the sampling flags; the defaults named here are those of `SamplingOptions`. */
export function addSamplingOptions(verb: Command): Command {
  const share = decimal({ min: 0, max: 1 });
  const penalty = decimal({ min: -2, max: 2 });
  return verb
    .option("--temperature <t>", "0 takes the best token (default: 0.8)", decimal({ min: 0 }))
    .option("--top-k <k>", "choose among the k best; 0 is all (default: 40)", wholeNumber())
    .option("--top-p <p>", "choose among the best with this share (default: 0.95)", share)
    .option("--min-p <p>", "drop what is less likely than p times the best (default: 0.05)", share)
    .option("--typical-p <p>", "locally typical sampling; 1 is off (default: 1)", share)
    .option("--repeat-penalty <r>", "1 is off (default: 1)", decimal({ min: 0.01 }))
    .option("--frequency-penalty <f>", "0 is off (default: 0)", penalty)
    .option("--presence-penalty <f>", "0 is off (default: 0)", penalty)
    .option("--seed <n>", "the same seed gives the same answer", wholeNumber());
}

/** Sampling options of the flags that were given. */
export function toSamplingOptions(flags: SamplingFlags): SamplingOptions {
  return {
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    minP: flags.minP,
    typicalP: flags.typicalP,
    repeatPenalty: flags.repeatPenalty,
    frequencyPenalty: flags.frequencyPenalty,
    presencePenalty: flags.presencePenalty,
    seed: flags.seed,
  };
}
