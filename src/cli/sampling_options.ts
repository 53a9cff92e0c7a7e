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
  readonly topNSigma?: number;
  readonly xtcProbability?: number;
  readonly xtcThreshold?: number;
  readonly dryMultiplier?: number;
  readonly mirostat?: number;
  readonly adaptiveTarget?: number;
  readonly seed?: number;
}

/**
 * Adds the sampling flags; the defaults named here are those of `SamplingOptions`, where a model's
 * file says nothing.
 */
export function addSamplingOptions(verb: Command): Command {
  const share = decimal({ min: 0, max: 1 });
  const penalty = decimal({ min: -2, max: 2 });
  const some = decimal({ min: 0 });
  return verb
    .option("--temperature <t>", "0 takes the best token (default: 0.8)", decimal({ min: 0 }))
    .option("--top-k <k>", "choose among the k best; 0 is all (default: 40)", wholeNumber())
    .option("--top-p <p>", "choose among the best with this share (default: 0.95)", share)
    .option("--min-p <p>", "drop what is less likely than p times the best (default: 0.05)", share)
    .option("--typical-p <p>", "locally typical sampling; 1 is off (default: 1)", share)
    .option("--repeat-penalty <r>", "1 is off (default: 1)", decimal({ min: 0.01 }))
    .option("--frequency-penalty <f>", "0 is off (default: 0)", penalty)
    .option("--presence-penalty <f>", "0 is off (default: 0)", penalty)
    .option("--top-n-sigma <n>", "keep n deviations below the best; 0 is off (default: 0)", some)
    .option("--xtc-probability <p>", "how often top choices are left out (default: 0)", share)
    .option("--xtc-threshold <p>", "what a top choice is (default: 0.1)", share)
    .option("--dry-multiplier <m>", "penalty of repetitions; 0 is off (default: 0)", some)
    .option("--mirostat <n>", "1, 2: as surprising as 5 bits (default: 0)", wholeNumber({ max: 2 }))
    .option("--adaptive-target <p>", "prefer tokens of about this probability", share)
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
    topNSigma: flags.topNSigma,
    xtcProbability: flags.xtcProbability,
    xtcThreshold: flags.xtcThreshold,
    dryMultiplier: flags.dryMultiplier,
    mirostat: flags.mirostat as SamplingOptions["mirostat"],
    adaptiveTarget: flags.adaptiveTarget,
    seed: flags.seed,
  };
}
