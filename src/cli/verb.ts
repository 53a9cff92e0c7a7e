/** What all verbs have in common: their flags, their MODEL argument. */
import { Command } from "commander";
import { UsageError } from "../base/errors.ts";
import { BUILT_IN_MODEL_PATH } from "../llm/built_in_model.ts";

import { modelPath } from "./models_folder.ts";
import { getEnv } from "./settings.ts";

/** Begins a verb. Its action gets options that already went through `applySettings`. */
export function createVerb(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .helpOption("-h, --help", "print this help")
    .option("--config <file>", "read settings from this JSON file");
}

/** A verb that prints data, and so has `--json`. */
export function createDataVerb(name: string, summary: string): Command {
  return createVerb(name, summary)
    .option("--json", "print one JSON document on stdout and nothing else");
}

/**
 * The path of the model that a verb works on, which may be named as it was pulled; the built-in
 * one's when none is named.
 * @param options.env name of the environment variable that may stand for the argument.
 * @param options.modelsDir where pulled models lie; left out: where they do by default.
 * @throws {UsageError} when it names what is not here.
 */
export function requireModel(
  model: string | undefined,
  { env, modelsDir }: { env?: string; modelsDir?: string } = {},
): string {
  const text = model ?? (env ? getEnv(env) : undefined);
  return text === undefined ? BUILT_IN_MODEL_PATH : modelPath(text, modelsDir);
}

/**
 * The value of an option that must be given, in one of its ways.
 * @throws {UsageError} when it was not.
 */
export function requireOption<T>(value: T | undefined, flag: string): T {
  if (value === undefined) throw new UsageError(`Cannot go on without ${flag}: see --help`);
  return value;
}

/** @throws {UsageError} when an id is none of a vocabulary. */
export function requireKnownIds(ids: readonly number[], vocabSize: number): void {
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown === undefined) return;
  throw new UsageError(
    `Cannot use the id ${unknown}: the ids of this vocabulary are 0 to ${vocabSize - 1}`,
  );
}
