/**
 * `train MODEL --file F -o OUT`: predictors of silent neurons for a ReLU model, dense or of experts,
 * from a text.
 */
import type { Command } from "commander";
import { basename } from "node:path";
import { loadKernelModule } from "../../../wasm/mod.ts";
import { TrainerPool } from "../../../workers/mod.ts";
import { UsageError } from "../../base/errors.ts";
import { GiB, MiB } from "../../base/units.ts";
import { checkWritable } from "../../base/write_errors.ts";
import { checkOutput, openGguf } from "../../gguf/mod.ts";
import { describeForUse, type LoadedModel } from "../../llm/mod.ts";
import {
  type LayerResult,
  PREDICTOR_TYPES,
  type PredictorType,
  RANK_STEP,
  SAMPLES_MIN,
  trainLayer,
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
/** What layers show of a step: a mixture of 47 billion weights shows 4 MiB a token. */
const OBSERVED_BYTES_MAX = 256 * MiB;
/** So many times the least are enough to learn from. */
const GOOD_FACTOR = 20;
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
    layers: results.map(({ blocks }, layer) => ({
      isMixture: trainable.layers[layer].isMixture,
      predictors: blocks.map(({ predictor }) => predictor),
    })),
    signal: interrupt.signal,
    onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
  });
  const seconds = (performance.now() - startMs) / 1000;
  const report = createReport(results, { trainable, samples, bytes, seconds });
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
    observe: ["fired", "residual", "chosen"],
    observeBytesMax: OBSERVED_BYTES_MAX,
    predictor: "off",
    contextLength: Math.min(WINDOW_TOKENS, trainable.contextLength),
  });
  // While it was loaded there was nothing to end in order.
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  const windows = windowsOf(model, trainable, { text, options });
  const samples = windows.sampleCount;
  const passes = planPasses(trainable, { samples, bytes: options.memory });
  const layerCount = trainable.layers.length;
  const results: LayerResult[] = [];
  using progress = new Progress(`Training ${model.id}`);
  let finished = 0;
  let doing = "";
  const show = () => progress.update(finished, layerCount, doing);
  const threads = options.threads ?? navigator.hardwareConcurrency;
  await using pool = new TrainerPool({
    ...{ threads, signal },
    module: await loadKernelModule(),
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
    const jobs = collected.map((blocks, i) => async () => {
      const layer = layers.first + i;
      const { gateRowBytes, usedCount } = trainable.layers[layer];
      results[layer] = await trainLayer(blocks, {
        ...{ rank: options.rank, recall: options.recall, epochs: options.epochs },
        ...{ types: options.type ? [options.type] : trainable.types },
        ...{ seed: options.seed + layer, gateRowBytes, usedCount },
      }, (samples, training) => pool.train(samples, training));
      finished++;
    });
    await runSome(jobs, layersAtOnce(trainable, layers, threads));
  }
  return { results, samples };
}

/** So many that no thread waits while the last experts of a layer are trained. */
function layersAtOnce({ layers }: TrainableModel, { first }: LayerRange, threads: number): number {
  return 1 + Math.ceil(threads / layers[first].blockCount);
}

/** Runs jobs in their order, some at a time. Rejects with the first failure once all have ended. */
async function runSome(jobs: readonly (() => Promise<void>)[], atOnce: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < jobs.length) await jobs[next++]();
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, work));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function describeLayers({ first, count }: LayerRange): string {
  return count === 1 ? `layer ${first}` : `layers ${first} to ${first + count - 1}`;
}

function windowsOf(
  model: LoadedModel,
  { layers }: TrainableModel,
  { text, options: { tokens, special } }: Pick<Work, "text" | "options">,
): Windows {
  const { addBos, bosId } = model.tokenizer;
  const windows = cutWindows(model.tokenizer.encode(text, { special }), {
    length: model.contextLength,
    samples: tokens,
    bosId: addBos ? bosId : null,
  });
  // So many that experts of a layer get enough on average, and one of them does.
  const rarest = Math.max(...layers.map(({ blockCount, usedCount }) => blockCount / usedCount));
  const least = Math.ceil(SAMPLES_MIN * rarest);
  if (windows.sampleCount >= least) return windows;
  const good = rarest === 1 ? "some ten thousand are good" : `${least * GOOD_FACTOR} are good`;
  throw new UsageError(
    `Cannot train on ${windows.sampleCount} tokens: at least ${least} are needed, and ${good}` +
      `${rarest === 1 ? "" : ", for each is seen by few experts"}: give a longer text with ` +
      "--file, or more --tokens",
  );
}
