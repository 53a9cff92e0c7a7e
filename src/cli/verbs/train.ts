/**
 * `train MODEL --file F -o OUT`: predictors of silent neurons for a ReLU model, dense or of
 * experts, from a text. What is trained is kept in OUT.part, and a run that was interrupted goes on
 * from there.
 */
import type { Command } from "commander";
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { GiB } from "../../base/units.ts";
import { checkWritable } from "../../base/write_errors.ts";
import { checkOutput, fingerprint, type GgufFile, openGguf } from "../../gguf/mod.ts";
import { describeForUse } from "../../llm/mod.ts";
import { KeptLayers, PREDICTOR_TYPES, RANK_STEP, writePredictors } from "../../train/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { byteSize, decimal, oneOf, wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { checkTrainable } from "../train/check_trainable.ts";
import { rankOption } from "../train/rank_option.ts";
import { createReport, formatReport } from "../train/report.ts";
import {
  type TrainingJob,
  type TrainingSettings,
  trainLayers,
  typesOf,
} from "../train/train_layers.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends TrainingSettings {
  readonly file?: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** Beyond, nearly everything is predicted; below, the model forgets. */
const RECALL = { min: 0.5, max: 0.9999 };

export function trainVerb(): Command {
  return createDataVerb("train", "Train predictors of silent neurons for a ReLU model.")
    .argument("[model]", "a .gguf file")
    .option("--file <file>", "a text like those the model will write; - is stdin")
    .option("-o, --out <file>", "the model and its predictors to write; OUT.part while at work")
    .option("--special", "special tokens that the text spells are such, as in chats")
    .option("--rank <r>", `hidden units, a multiple of ${RANK_STEP}, or auto`, rankOption, "auto")
    .option("--recall <share>", "of the neurons that fire, how many to find", decimal(RECALL), 0.98)
    .option("--tokens <n>", "tokens of the text to train on", wholeNumber({ min: 1 }), 20_000)
    .option("--epochs <n>", "times to go through them", wholeNumber({ min: 1, max: 1000 }), 10)
    .option(
      "--type <type>",
      "type of the predictors' matrices (default: by the model's)",
      oneOf(PREDICTOR_TYPES),
    )
    .option(
      "--memory <bytes>",
      "for what layers have seen, beside the model; less takes longer",
      byteSize,
      4 * GiB,
    )
    .option("--seed <n>", "the same seed gives the same file", wholeNumber({ max: 2 ** 32 - 1 }), 1)
    .option("--threads <n>", "threads (default: one per core)", wholeNumber({ min: 1, max: 64 }))
    .action(train);
}

async function train(path: string | undefined, options: Options): Promise<void> {
  const startMs = performance.now();
  const input = requireModel(path);
  const out = requireOption(options.out, "--out");
  const text = readTextFile(requireOption(options.file, "--file"));
  const file = openGguf(input);
  checkOutput(out, file);
  checkWritable(out);
  const trainable = checkTrainable(file, describeForUse(file));
  const { layers } = trainable;
  using kept = KeptLayers.open(out, layers, identityOf(file, { text, trainable, options }));
  if (kept.count > 0) writeErrorLine(`going on after ${kept.count} of ${layers.length} layers`);
  try {
    await trainLayers({ input, text, trainable, kept, options });
    const bytes = await write(input, out, { trainable, kept });
    const summaries = layers.map((_, layer) => kept.summary(layer));
    kept.remove();
    const seconds = (performance.now() - startMs) / 1000;
    const report = createReport(summaries, { trainable, bytes, seconds });
    if (options.json) writeJson(report);
    else writeOutLine(formatReport(report, out));
  } catch (error) {
    if (kept.count === 0) kept.remove();
    else {
      writeErrorLine(
        `${out}.part holds ${kept.count} of ${layers.length} layers: the same command goes on`,
      );
    }
    throw error;
  }
}

/** What makes it the same training when it goes on: all that decides a weight. */
function identityOf(
  file: GgufFile,
  { text, trainable, options }: Pick<TrainingJob, "text" | "trainable" | "options">,
): Record<string, string> {
  return {
    model: fingerprint(file.parts),
    text: createHash("sha256").update(text).digest("hex"),
    "--special": `${options.special ?? false}`,
    "--rank": `${options.rank}`,
    "--recall": `${options.recall}`,
    "--tokens": `${options.tokens}`,
    "--epochs": `${options.epochs}`,
    "--type": typesOf(trainable, options).join(" "),
    "--seed": `${options.seed}`,
  };
}

async function write(
  input: string,
  out: string,
  { trainable, kept }: Pick<TrainingJob, "trainable" | "kept">,
): Promise<number> {
  using interrupt = new Interrupt();
  using progress = new Progress(`Writing ${basename(out)}`);
  return await writePredictors({
    ...{ input, out, signal: interrupt.signal },
    layers: trainable.layers.map(({ isMixture, blockCount }, layer) => ({
      expertCount: isMixture ? blockCount : null,
      ...{ fc1: kept.summary(layer).fc1, fc2: kept.summary(layer).fc2 },
      pieces: (which: "fc1" | "fc2") => kept.pieces(layer, which),
    })),
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
}
