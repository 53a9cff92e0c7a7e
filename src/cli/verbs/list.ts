/** `list`: which models were pulled. */
import type { Command } from "commander";
import { formatBytes } from "../../base/units.ts";
import type { FileKind } from "../../models/mod.ts";
import { ModelStore } from "../../pull/mod.ts";
import { addModelsFolder, modelsFolder } from "../models_folder.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { spanText, table } from "../table.ts";
import { createDataVerb } from "../verb.ts";

interface Options {
  readonly json?: boolean;
  readonly modelsDir?: string;
}

export function listVerb(): Command {
  const verb = createDataVerb("list", "Print the models that were pulled.").alias("ls")
    .action(list);
  return addModelsFolder(verb);
}

/** What is said of files that are no models. */
const NOTES: Readonly<Record<FileKind, string>> = {
  model: "",
  adapter: " (an adapter: --lora, or --control-vector)",
  projector: " (a projector: --mmproj)",
  draft: " (guesses for another model: --draft-model)",
};

function list({ json, modelsDir }: Options): void {
  const folder = modelsFolder(modelsDir);
  const models = new ModelStore(folder).list();
  if (json) {
    return writeJson({
      folder,
      models: models.map(({ id, path, kind, sizeBytes, modifiedAt, source }) => ({
        ...{ id, path, kind, bytes: sizeBytes, modified_at: modifiedAt.toISOString(), source },
        complete: path !== null,
      })),
    });
  }
  if (models.length === 0) {
    return writeErrorLine(`No models in ${folder} yet: ganglion pull hf:user/repo:QUANT`);
  }
  const rows = models.map(({ id, path, kind, sizeBytes, modifiedAt, source }) => [
    id,
    formatBytes(sizeBytes),
    `${spanText((Date.now() - modifiedAt.getTime()) / 1000)} ago`,
    path === null ? "not complete: pull it again" : (source ?? "-") + NOTES[kind],
  ]);
  writeOutLine(table([["NAME", "SIZE", "MODIFIED", "FROM"], ...rows]));
}
