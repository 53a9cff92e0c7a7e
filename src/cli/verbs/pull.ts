/** `pull REF`: fetches a model, or what is missing of it. */
import type { Command } from "commander";
import { formatBytes } from "../../base/units.ts";
import type { PulledModel } from "../../pull/mod.ts";
import { addModelsFolder } from "../models_folder.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { addPullOptions } from "../pull_options.ts";
import { type PullWishes, pullWithProgress } from "../pull_progress.ts";
import { createDataVerb } from "../verb.ts";

interface Options extends PullWishes {
  readonly json?: boolean;
}

export function pullVerb(): Command {
  const verb = createDataVerb("pull", "Fetch a model; goes on where an earlier try has ended.")
    .argument("<ref>", "hf:user/repo:QUANT (Q4_K_M when left out), or an https address")
    .option("--name <name>", "what to call it (default: its file's name)")
    .option("--sha256 <sum>", "what the file must sum up to")
    .addHelpText("after", HELP_AFTER)
    .action(pull);
  return addPullOptions(addModelsFolder(verb));
}

const HELP_AFTER = `
Variables: HF_TOKEN opens repositories that are not for everybody, and is shown to the hub only;
HF_ENDPOINT is another hub; HTTPS_PROXY and NO_PROXY are obeyed.`;

async function pull(reference: string, options: Options): Promise<void> {
  const startMs = performance.now();
  const model = await pullWithProgress(reference, options);
  if (options.json) return writeJson(describe(model, performance.now() - startMs));
  writeOutLine(
    model.wasThere
      ? `${model.id} is here already: ${model.path}`
      : `${model.id}: ${formatBytes(model.sizeBytes)}, ${model.path}`,
  );
  writeErrorLine(`Try it: ganglion run ${model.id}`);
}

function describe(model: PulledModel, ms: number) {
  return {
    ...{ model: model.id, path: model.path, source: model.source, bytes: model.sizeBytes },
    ...{ received_bytes: model.receivedBytes, was_there: model.wasThere, seconds: ms / 1000 },
    files: model.files.map(({ name, sizeBytes, sha256 }) => ({ name, bytes: sizeBytes, sha256 })),
  };
}
