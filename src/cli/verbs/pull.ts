/** `pull REF`: fetches a model, or what is missing of it. */
import type { Command } from "commander";
import { formatBytes } from "../../base/units.ts";
import { type PulledModel, pullModel, type PullProgress } from "../../pull/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { addModelsFolder, modelsFolder } from "../models_folder.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { addPullOptions, type PullFlags, toPullOptions } from "../pull_options.ts";
import { spanText } from "../table.ts";
import { createDataVerb } from "../verb.ts";

interface Options extends PullFlags {
  readonly json?: boolean;
  readonly name?: string;
  readonly sha256?: string;
  readonly modelsDir?: string;
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

/** Pulls, showing how far it is; Ctrl-C ends it, and what came is kept. */
async function pullWithProgress(reference: string, options: Options): Promise<PulledModel> {
  using interrupt = new Interrupt();
  using progress = new Progress(`Pulling ${reference.slice(0, 80)}`);
  const rate = new Rate();
  return await pullModel(reference, {
    ...toPullOptions(options),
    folder: modelsFolder(options.modelsDir),
    name: options.name,
    sha256: options.sha256?.toLowerCase(),
    signal: interrupt.signal,
    onProgress: (now) => progress.update(now.doneBytes, now.totalBytes, rate.describe(now)),
    onNotice: (text) => progress.note(text),
  });
}

/** How fast it was in the last seconds. */
class Rate {
  readonly #seen: { ms: number; bytes: number }[] = [];

  describe({ phase, doneBytes, totalBytes }: PullProgress): string {
    const sizes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
    if (phase === "checking") return `checking, ${sizes}`;
    const now = { ms: performance.now(), bytes: doneBytes };
    const last = this.#seen.at(-1);
    if (last === undefined || now.ms - last.ms > RATE_STEP_MS) this.#seen.push(now);
    if (this.#seen.length > RATE_STEPS) this.#seen.shift();
    const seconds = (now.ms - this.#seen[0].ms) / 1000;
    const perSecond = (doneBytes - this.#seen[0].bytes) / seconds;
    if (seconds < 0.5 || perSecond <= 0) return sizes;
    const left = spanText((totalBytes - doneBytes) / perSecond);
    return `${sizes}, ${formatBytes(Math.round(perSecond))}/s, ${left} left`;
  }
}

const RATE_STEP_MS = 500;
const RATE_STEPS = 10;

function describe(model: PulledModel, ms: number) {
  return {
    ...{ model: model.id, path: model.path, source: model.source, bytes: model.sizeBytes },
    ...{ received_bytes: model.receivedBytes, was_there: model.wasThere, seconds: ms / 1000 },
    files: model.files.map(({ name, sizeBytes, sha256 }) => ({ name, bytes: sizeBytes, sha256 })),
  };
}
