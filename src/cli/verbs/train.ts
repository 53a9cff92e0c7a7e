/** `train MODEL --file F -o OUT`: predictors of silent neurons for a ReLU model, from a text. */
import type { Command } from "commander";
import { basename } from "node:path";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { TrainerPool } from "../../../workers/mod.ts";
import { UsageError } from "../../base/errors.ts";
import { GiB } from "../../base/units.ts";
import { checkWritable } from "../../base/write_errors.ts";
import { checkOutput, openGguf } from "../../gguf/mod.ts";
import { describeForUse, type LoadedModel } from "../../llm/mod.ts";
import {
  type LayerResult,
  PREDICTOR_TYPES,
  type PredictorType,
  RANK_STEP,
  SAMPLES_MIN,
  writePredictors,
} from "../../train/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { loadForVerb } from "../load.ts";
import { byteSize, decimal, oneOf, wholeNumber } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { checkTrainable, type TrainableModel } from "../train/check_trainable.ts";
import {
  collectSamples,
  cutWindows,
  type LayerRange,
  planPasses,
  type Windows,
} from "../train/collect_samples.ts";
import { rankOption } from "../train/rank_option.ts";
import { createReport, formatReport } from "../train/report.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options {
  readonly file?: string;
  readonly out?: string;
  readonly rank: number | "auto";
  readonly recall: number;
  readonly tokens: number;
  readonly epochs: number;
  readonly type?: PredictorType;
  readonly memory: number;
  readonly seed: number;
  readonly threads?: number;
  readonly special?: boolean;
  readonly json?: boolean;
}

/** Tokens of a text that see one another. */
const WINDOW_TOKENS = 512;
/** Beyond, nearly everything is predicted; below, the model forgets. */
const RECALL = { min: 0.5, max: 0.9999 };

export function trainVerb(): Command {
  return createDataVerb("train", "Train predictors of silent neurons for a ReLU model.")
    .argument("[model]", "a .gguf file")
    .option("--file <file>", "a text like those the model will write; - is stdin")
    .option("-o, --out <file>", "the file to write: the model and its predictors")
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
  const { results, samples } = await trainAll(input, { text, trainable, options });
  using interrupt = new Interrupt();
  using progress = new Progress(`Writing ${basename(out)}`);
  const bytes = await writePredictors({
    input,
    out,
    predictors: results.map(({ predictor }) => predictor),
    signal: interrupt.signal,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
  const seconds = (performance.now() - startMs) / 1000;
  const report = createReport(results, { samples, bytes, seconds });
  if (options.json) writeJson(report);
  else writeOutLine(formatReport(report, out));
}

/** What a training works with. */
interface Work {
  readonly text: string;
  readonly trainable: TrainableModel;
  readonly options: Options;
}

async function trainAll(
  input: string,
  { text, trainable, options }: Work,
): Promise<{ results: LayerResult[]; samples: number }> {
  await using model = await loadForVerb(input, {
    threads: options.threads,
    observe: ["fired", "residual"],
    predictor: "off",
    contextLength: Math.min(WINDOW_TOKENS, trainable.contextLength),
  });
  // While it was loaded there was nothing to end in order.
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const windows = windowsOf(model, text, options);
  const samples = windows.sampleCount;
  const passes = planPasses(trainable, { samples, bytes: options.memory });
  const { layerCount } = trainable;
  const results: LayerResult[] = [];
  using progress = new Progress(`Training ${model.id}`);
  let finished = 0;
  let doing = "";
  const show = () => progress.update(finished, layerCount, doing);
  await using pool = new TrainerPool({
    threads: options.threads ?? navigator.hardwareConcurrency,
    module: await loadKernelModule(),
    signal,
    onTrained(_samples, rank) {
      doing = `${finished} of ${layerCount} layers, now rank ${rank}`;
      show();
    },
  });
  for (const layers of passes) {
    const collected = await collectSamples(model, windows, {
      ...{ layers, trainable, signal },
      onProgress(tokens) {
        doing = `${describeLayers(layers)} have seen ${tokens} tokens`;
        show();
      },
    });
    const jobs = collected.map((samples, i) => ({
      samples,
      training: {
        ...{ rank: options.rank, recall: options.recall, epochs: options.epochs },
        ...{ types: options.type ? [options.type] : trainable.types },
        seed: options.seed + layers.first + i,
        gateRowBytes: trainable.gateRowBytes[layers.first + i],
      },
    }));
    results.push(...await pool.train(jobs, () => finished++));
  }
  return { results, samples };
}

function describeLayers({ first, count }: LayerRange): string {
  return count === 1 ? `layer ${first}` : `layers ${first} to ${first + count - 1}`;
}

function windowsOf(model: LoadedModel, text: string, { tokens, special }: Options): Windows {
  const { addBos, bosId } = model.tokenizer;
  const windows = cutWindows(model.tokenizer.encode(text, { special }), {
    length: model.contextLength,
    samples: tokens,
    bosId: addBos ? bosId : null,
  });
  if (windows.sampleCount >= SAMPLES_MIN) return windows;
  throw new UsageError(
    `Cannot train on ${windows.sampleCount} tokens: at least ${SAMPLES_MIN} are needed, and some ` +
      "ten thousand are good: give a longer text with --file, or more --tokens",
  );
}
