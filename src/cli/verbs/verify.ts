/**
 * `verify MODEL [--file F]`: what leaving neurons out changes. The text is read one token at a time
 * by the model as it would run, and by itself with every neuron computed.
 *
 * The two are loaded one after the other, which takes the memory of one; the logits of the first
 * are kept meanwhile. Loading twice is no waste: what could be wrong with weights that lie by
 * neurons shows only beside weights that do not. A packed model that does not fit is read densely
 * some tokens at a time: each time, all of it comes from the disk.
 */
import type { Command } from "commander";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { formatBytes, GiB } from "../../base/units.ts";
import type { LoadedModel, LoadOptions } from "../../llm/mod.ts";
import { requireGoingOn } from "../../llm/read_pooling.ts";
import { LogitsComparer, type LogitsComparison, readStats, writeStats } from "../../stats/mod.ts";
import { addLoadOptions, type LoadFlags, loadForVerb, toLoadOptions } from "../load.ts";
import { wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel } from "../verb.ts";
import { VERIFY_TEXT } from "../verify_text.ts";

interface Options extends LoadFlags {
  readonly file?: string;
  readonly tokens: number;
  readonly ctx: number;
  readonly record?: boolean;
  readonly json?: boolean;
}

/** Logits that are kept while the other model is loaded. */
const KEPT_BYTES_MAX = 2 * GiB;
/** Of a dense step that reads all neurons from disk: as many as a step gives logits of. */
const STEP_TOKENS_FROM_DISK = 16;

export function verifyVerb(): Command {
  const verb = createDataVerb("verify", "Compare a model with itself with no neuron left out.")
    .argument("[model]", "a .gguf or .ganglion file")
    .option("--file <file>", "the text to read; - is stdin (default: a short one of our own)")
    .option("--tokens <n>", "read at most so many tokens", wholeNumber({ min: 2 }), 512)
    .option("--ctx <n>", "tokens in a window, each a text of its own", wholeNumber({ min: 2 }), 256)
    .option("--record", "write what --sparsity costs into --stats, which then says it at loading")
    .action(verify);
  return addLoadOptions(verb);
}

async function verify(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  const { sparsity, stats } = options;
  if (options.dense) throw new UsageError("Cannot verify --dense: it leaves no neuron out");
  if (options.record && (sparsity === undefined || stats === undefined)) {
    throw new UsageError(
      "Cannot --record without --sparsity and --stats: there is nothing to note",
    );
  }
  const text = options.file === undefined ? VERIFY_TEXT : readTextFile(options.file);
  const loading = {
    ...toLoadOptions(options),
    contextLength: options.ctxSize ?? options.ctx,
  };
  const dense = await readDense(modelPath, text, { options, loading });
  const { comparison, recall } = await readSparse(modelPath, dense, loading);
  if (options.record && sparsity !== undefined && stats !== undefined) {
    record(stats, sparsity, comparison);
  }
  report(comparison, { recall, json: options.json });
}

/** A window's ids and the logits of all its positions, [ids, vocab]. */
interface ReadWindow {
  readonly ids: readonly number[];
  readonly logits: Float32Array;
}

/** With every neuron computed. */
async function readDense(
  path: string,
  text: string,
  { options, loading }: { options: Options; loading: LoadOptions },
): Promise<ReadWindow[]> {
  const everything = { sparse: false, quiet: undefined, predictor: "off" } as const;
  await using model = await loadForVerb(path, { ...loading, ...everything });
  requireGoingOn(model.config, "predict every token of a text");
  const windows = cutWindows(model, text, options);
  const { vocabSize } = model.config;
  const ids = windows.reduce((sum, window) => sum + window.length, 0);
  if (ids * vocabSize * 4 > KEPT_BYTES_MAX) {
    const most = Math.floor(KEPT_BYTES_MAX / 4 / vocabSize);
    throw new UsageError(
      `Cannot keep the logits of ${ids} tokens of a vocabulary of ${vocabSize} within ` +
        `${formatBytes(KEPT_BYTES_MAX)}: --tokens ${most} is the most`,
    );
  }
  const read: ReadWindow[] = windows.map((window) => ({
    ids: window,
    logits: new Float32Array(window.length * vocabSize),
  }));
  await readAll(`Reading densely with ${basename(path)}`, model, {
    windows,
    stepTokens: model.memory.diskBytes === 0 ? 1 : STEP_TOKENS_FROM_DISK,
    onRow: ({ window, position, row }) => {
      read[window].logits.set(row, position * vocabSize);
    },
  });
  return read;
}

/** As the model runs with the user's settings. */
async function readSparse(
  path: string,
  dense: readonly ReadWindow[],
  loading: LoadOptions,
): Promise<{ comparison: LogitsComparison; recall: number | null }> {
  await using model = await loadForVerb(path, loading);
  const { vocabSize } = model.config;
  const comparer = new LogitsComparer();
  await readAll(`Reading sparsely with ${basename(path)}`, model, {
    windows: dense.map(({ ids }) => ids),
    stepTokens: 1,
    onRow: ({ window, position, row }) => {
      const { ids, logits } = dense[window];
      const other = logits.subarray(position * vocabSize, (position + 1) * vocabSize);
      comparer.add(other, row, ids[position + 1] ?? null);
    },
  });
  return { comparison: comparer.result(), recall: await measureRecall(model, dense) };
}

/** Share of the neurons that fire in the text which predictors find; null without predictors. */
async function measureRecall(
  model: LoadedModel,
  windows: readonly ReadWindow[],
): Promise<number | null> {
  let [fired, found] = [0, 0];
  for (const { ids } of windows) {
    const choices = await model.rehearsePredictors(ids);
    if (choices === null) return null;
    for (const choice of choices) {
      fired += choice.fired;
      found += choice.found;
    }
  }
  return fired === 0 ? 1 : found / fired;
}

async function readAll(
  label: string,
  model: LoadedModel,
  job: {
    windows: readonly (readonly number[])[];
    stepTokens: number;
    onRow: (read: { window: number; position: number; row: Float32Array }) => void;
  },
): Promise<void> {
  using progress = new Progress(label);
  const { windows, stepTokens, onRow } = job;
  const total = windows.reduce((sum, ids) => sum + ids.length, 0);
  const { vocabSize } = model.config;
  let done = 0;
  for (let window = 0; window < windows.length; window++) {
    await model.logits(windows[window], (rows, firstPosition) => {
      for (let at = 0, position = firstPosition; at < rows.length; at += vocabSize, position++) {
        onRow({ window, position, row: rows.subarray(at, at + vocabSize) });
        done++;
      }
      progress.update(done, total, `${done} of ${total} tokens`);
    }, { stepTokens });
  }
}

/** The text's ids in windows that begin with BOS where the model wants it; the last is shorter. */
function cutWindows(model: LoadedModel, text: string, { tokens, ctx }: Options): number[][] {
  const { addBos, bosId } = model.tokenizer;
  const opening = addBos && bosId !== null ? [bosId] : [];
  const length = Math.min(ctx, model.contextLength);
  const ids = model.tokenizer.encode(text).slice(0, tokens);
  const step = length - opening.length;
  const windows: number[][] = [];
  for (let at = 0; at < ids.length; at += step) {
    windows.push([...opening, ...ids.slice(at, at + step)]);
  }
  const whole = windows.filter((window) => window.length >= 2);
  if (whole.length > 0) return whole;
  throw new UsageError(
    `Cannot compare predictions in ${ids.length} tokens of text: at least 2 are needed`,
  );
}

/** Notes in the statistics what leaving out that many neurons costs. */
function record(path: string, sparsity: number, comparison: LogitsComparison): void {
  const stats = readStats(path);
  const { pplFirst: pplDense, pplSecond: pplSparse, tokens } = comparison;
  const others = stats.measured.filter((each) => each.sparsity !== sparsity);
  stats.measured = [...others, { sparsity, pplDense, pplSparse, tokens }];
  writeStats(path, stats);
  writeErrorLine(`noted in ${path}`);
}

function report(
  comparison: LogitsComparison,
  { recall, json }: { recall: number | null; json?: boolean },
): void {
  const { klMean, klMax, top1Agreement, pplFirst, pplSecond, positions, tokens } = comparison;
  if (json) {
    writeJson({
      kl_mean: klMean,
      kl_max: klMax,
      top1_agreement: top1Agreement,
      ppl_dense: pplFirst,
      ppl_sparse: pplSecond,
      recall,
      tokens,
    });
    return;
  }
  const change = (pplSecond / pplFirst - 1) * 100;
  writeOutLine([
    `perplexity  ${pplSecond.toFixed(4)}, dense ${pplFirst.toFixed(4)} ` +
    `(${change >= 0 ? "+" : ""}${change.toFixed(2)} %), over ${tokens} tokens`,
    `KL          mean ${klMean.toExponential(2)}, most ${klMax.toExponential(2)} nats`,
    `best token  the same in ${(top1Agreement * 100).toFixed(2)} % of ${positions} positions`,
    `recall      ${recall === null ? "no predictors" : `${(recall * 100).toFixed(2)} %`}`,
  ].join("\n"));
}
