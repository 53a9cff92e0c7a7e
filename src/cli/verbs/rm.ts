/** `rm MODEL…`: deletes pulled models. */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { BUILT_IN_MODEL_ID } from "../../llm/built_in_model.ts";
import { isReference, ModelStore, parseReference, sourceOf } from "../../pull/mod.ts";
import { addModelsFolder, cure, modelsFolder } from "../models_folder.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { createDataVerb } from "../verb.ts";

interface Options {
  readonly json?: boolean;
  readonly modelsDir?: string;
}

export function rmVerb(): Command {
  const verb = createDataVerb("rm", "Delete pulled models, or what there is of unfinished ones.")
    .argument("<models...>", "their names, as list prints them, or what they were pulled as")
    .action(remove);
  return addModelsFolder(verb);
}

function remove(models: readonly string[], { json, modelsDir }: Options): void {
  const store = new ModelStore(modelsFolder(modelsDir));
  const removed: { model: string; files: readonly string[] }[] = [];
  for (const model of models) {
    const files = store.remove(isReference(model) ? sourceOf(parseReference(model)) : model);
    if (files.length === 0) {
      const reason = existsSync(model)
        ? "it was not pulled, and only what was is deleted: delete the file yourself"
        : model === BUILT_IN_MODEL_ID
        ? "it is a part of Ganglion"
        : cure(model, store.ids());
      throw new Error(`Cannot remove "${model}": ${reason}`);
    }
    removed.push({ model, files });
    if (!json) writeOutLine(`${model} is gone: ${files.join(", ")}`);
  }
  if (json) writeJson({ removed });
}
