/**
 * Models, files and folders whose name is empty, as where a script's variable is not set: said
 * before any work begins, and not by whoever happens to open them.
 */
import type { Command } from "commander";
import { UsageError } from "../base/errors.ts";

/**
 * Looks at the arguments and options of `verb`, which are parsed.
 * @throws {UsageError} when one that is to name a model, a file or a folder is empty.
 */
export function refuseEmptyNames(verb: Command): void {
  verb.registeredArguments.forEach((argument, i) => {
    if (!MODEL_ARGUMENTS.includes(argument.name()) || !isEmpty(verb.processedArgs[i])) return;
    const name = argument.name().toUpperCase();
    const cure = name === "MODEL" && !argument.required
      ? "name one, or leave it out for the built-in model"
      : "name one";
    throw new UsageError(`Cannot use "" as ${name}: it is empty: ${cure}`);
  });
  for (const option of verb.options) {
    if (!takesPath(option.flags) || !isEmpty(verb.getOptionValue(option.attributeName()))) continue;
    throw new UsageError(`Cannot use ${option.long} "": it is empty: give a path`);
  }
}

/** True when an option's value is a place in the file system, as its flags say. */
export function takesPath(flags: string): boolean {
  return /[<[](?:file|folder|stats)\b/.test(flags);
}

const MODEL_ARGUMENTS = ["model", "models", "in", "out", "ref"];

function isEmpty(value: unknown): boolean {
  return value === "" || Array.isArray(value) && value.includes("");
}
