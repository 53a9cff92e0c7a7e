/**
 * `imatrix MODEL --file F -o OUT`: what each weight of a model counts while it reads a text, in
 * llama.cpp's form (GGUF): for each matrix and column the sum of squares of what the column is
 * multiplied by. `quantize --imatrix` rounds by it, ours and llama.cpp's.
 *
 * The text is cut as llama.cpp's tool cuts it: ids in windows, each a text of its own, whose first
 * id becomes BOS where the model adds one; a last window that is not full is left out. What is done
 * is kept in OUT.part, and a run that was interrupted goes on from there. OUT.part.journal is held
 * meanwhile: a second run with the same OUT is refused.
 */
import type { Command } from "commander";
import { rmSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { LineJournal } from "../../base/line_journal.ts";
import { formatBytes } from "../../base/units.ts";
import { checkWritable, explainWriteError } from "../../base/write_errors.ts";
import { sourceFingerprint } from "../../bundle/mod.ts";
import { checkOutput } from "../../gguf/mod.ts";
import type { GgufTensor } from "../../gguf/types.ts";
import { type LoadedModel, openForUse } from "../../llm/mod.ts";
import { type MatrixSums, type MeasuredText, writeImportance } from "../../quantize/mod.ts";
import { type AdapterFlags, adaptersOf, addAdapterOptions } from "../adapter_options.ts";
import { addSums, type BegunSums, begunSums, subjectOf } from "../imatrix/begun_sums.ts";
import { Interrupt } from "../interrupt.ts";
import { loadForVerb, threadCount } from "../load.ts";
import { wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends AdapterFlags {
  readonly file?: string;
  readonly out?: string;
  readonly ctx: number;
  readonly windows?: number;
  readonly processOutput?: boolean;
  readonly threads?: number;
  readonly json?: boolean;
}

/** A text that is measured, and where to. */
interface Job {
  readonly windows: readonly (readonly number[])[];
  readonly readsOutput: boolean;
  readonly out: string;
  readonly text: Omit<MeasuredText, "chunkCount"> & { readonly subject: string };
}

interface Measured {
  readonly sums: readonly MatrixSums[];
  readonly bytes: number;
  /** Tokens a second; null: nothing was left to do. */
  readonly rate: number | null;
}

/** What was summed up is written down this often. */
const SAVE_INTERVAL_MS = 60_000;
const CTX_DEFAULT = 512;

export function imatrixVerb(): Command {
  const verb = createDataVerb("imatrix", "Measure what each weight of a model counts in a text.")
    .argument("[model]", "a .gguf file, best of F32, F16 or BF16")
    .option("--file <file>", "the text to read; - is stdin")
    .option("-o, --out <file>", "the importance matrix to write (.gguf); FILE.part while at work")
    .option("--ctx <n>", "tokens in a window", wholeNumber({ min: 1 }), CTX_DEFAULT)
    .option("--windows <n>", "windows at most (default: all)", wholeNumber({ min: 1 }))
    .option("--process-output", "measure what the output projection reads, too")
    .option("--threads <n>", "threads that compute (default: one per core)", threadCount);
  return addAdapterOptions(verb.action(imatrix));
}

async function imatrix(path: string | undefined, options: Options): Promise<void> {
  const { ctx, processOutput: readsOutput = false, json } = options;
  const modelPath = requireModel(path);
  const out = requireOption(options.out, "--out");
  const name = requireOption(options.file, "--file");
  checkWritable(out);
  const text = readTextFile(name);
  const file = openForUse(modelPath, adaptersOf(options));
  const read = { parts: [...file.file.parts, ...name === "-" ? [] : [{ path: name }]] };
  for (const written of [out, partOf(out), journalOf(out)]) checkOutput(written, read);
  if (file.packed !== null) {
    throw new UsageError(
      `Cannot measure "${basename(modelPath)}": its neurons may be on disk: name the .gguf file ` +
        "that it was packed from",
    );
  }
  const { sums, bytes, rate } = await (async () => {
    using _held = holdOutput(out);
    await using model = await loadForVerb(modelPath, {
      ...{ ...adaptersOf(options), threads: options.threads, contextLength: ctx },
      // As much as can be is computed as it is: keys and values in f32, every neuron.
      ...{ measureInputs: true, gpu: "off", kvType: "f32", sparse: false, predictor: "off" },
      speculate: "off",
    });
    using interrupt = new Interrupt();
    const windows = cutWindows(model, text, options);
    const subject = subjectOf([sourceFingerprint(file), windows, readsOutput]);
    const datasets = [name === "-" ? "stdin" : basename(name)];
    const job = { windows, readsOutput, out, text: { datasets, chunkSize: ctx, subject } };
    return await measure(model, job, interrupt.signal);
  })();
  const unseen = [...file.file.tensors.values()].filter((tensor) => isUnseen(tensor, sums))
    .map((tensor) => tensor.name);
  const [matrices, idle] = [sums.reduce(matricesOf, 0), sums.reduce(idleOf, 0)];
  if (json) {
    writeJson({ bytes, matrices, unseen, idle_experts: idle, tokens_per_second: rate });
    return;
  }
  tellUnseen(unseen, idle);
  const speed = rate === null ? "" : `; ${rate.toFixed(1)} tok/s`;
  writeOutLine(`${out}: ${formatBytes(bytes)}, of ${matrices} matrices${speed}`);
}

/** @throws {UsageError} when the text is shorter than a window. */
function cutWindows(
  model: LoadedModel,
  text: string,
  { ctx, windows = Infinity }: Options,
): number[][] {
  const { addBos, bosId } = model.tokenizer;
  const ids = model.encodePrompt(text);
  const count = Math.min(windows, Math.floor(ids.length / ctx));
  if (count === 0) {
    throw new UsageError(
      `Cannot fill a window of ${ctx} tokens: the text has ${ids.length}: give a longer text or ` +
        "a smaller --ctx",
    );
  }
  return Array.from({ length: count }, (_, index) => {
    const window = ids.slice(index * ctx, (index + 1) * ctx);
    if (addBos && bosId !== null) window[0] = bosId;
    return window;
  });
}

/** Measures, going on from OUT.part where there is one. */
async function measure(model: LoadedModel, job: Job, signal: AbortSignal): Promise<Measured> {
  const { windows, readsOutput, out, text } = job;
  const part = partOf(out);
  const begun = begunSums(part, text.subject);
  if (begun.windows > 0) {
    writeErrorLine(`going on after ${begun.windows} of ${windows.length} windows`);
  }
  using progress = new Progress(`Measuring ${model.id}`);
  const startMs = performance.now();
  const rateOf = (done: number) =>
    (done - begun.windows) * text.chunkSize / (performance.now() - startMs) * 1000;
  let savedMs = startMs;
  let savedWindows = begun.windows;
  try {
    for (let done = begun.windows; done < windows.length;) {
      await model.measureInputs(windows[done++], { readsOutput, signal });
      const total = windows.length;
      progress.update(done, total, `${done} of ${total} windows, ${rateOf(done).toFixed(1)} tok/s`);
      if (done === windows.length || performance.now() - savedMs < SAVE_INTERVAL_MS) continue;
      await writeImportance(part, await sumsOf(model, begun), { ...text, chunkCount: done });
      savedMs = performance.now();
      savedWindows = done;
    }
  } catch (error) {
    if (signal.aborted && savedWindows > 0) {
      const what = `the first ${savedWindows} of ${windows.length} windows`;
      writeErrorLine(`interrupted: ${part} holds ${what}; the same command goes on`);
    }
    throw error;
  }
  const rate = begun.windows < windows.length ? rateOf(windows.length) : null;
  const sums = await sumsOf(model, begun);
  const of = { ...text, subject: undefined, chunkCount: windows.length };
  const bytes = await writeImportance(out, sums, of, { signal });
  rmSync(part, { force: true });
  return { sums, bytes, rate };
}

/** Where a run keeps what is done. */
function partOf(out: string): string {
  return `${out}.part`;
}

/** What a run holds while it works with OUT.part; nothing is written there. */
function journalOf(out: string): string {
  return `${partOf(out)}.journal`;
}

/** @throws {Error} when another run has the same OUT, or the system refuses. */
function holdOutput(out: string): Disposable {
  let journal: LineJournal | null;
  try {
    journal = LineJournal.open(journalOf(out));
  } catch (error) {
    throw explainWriteError(error, journalOf(out));
  }
  if (journal === null) {
    throw new Error(
      `Cannot write "${out}": another program is writing it: wait for its end, or name another ` +
        "--out",
    );
  }
  const held = journal;
  return {
    [Symbol.dispose]: () => {
      try {
        held.remove();
      } catch (error) {
        // Somebody took it away by hand: nothing is left to do.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      } finally {
        held.close();
      }
    },
  };
}

/** @throws {Error} when some are no numbers, or too large for the file: nobody could use it. */
async function sumsOf(model: LoadedModel, begun: BegunSums): Promise<MatrixSums[]> {
  const sums = addSums(begun.sums, await model.inputSums());
  const wrong = sums.find(({ squares }) =>
    Array.from(squares).some((sum) => !Number.isFinite(Math.fround(sum)))
  );
  if (wrong === undefined) return sums;
  throw new Error(
    `Cannot measure "${model.id}": what "${wrong.name}" is multiplied by is no number, or its ` +
      "squares are too large for F32: check the model, and adapters if there are any",
  );
}

/** A tensor that has columns which something may be multiplied by. */
function isUnseen({ name, dims }: GgufTensor, sums: readonly MatrixSums[]): boolean {
  const isMatrix = dims.length > 1 && dims[0] > 1 && dims[1] > 1;
  return isMatrix && !sums.some((each) => each.name === name);
}

function matricesOf(sum: number, { counts }: MatrixSums): number {
  return sum + counts.length;
}

function idleOf(sum: number, { counts }: MatrixSums): number {
  return sum + Array.from(counts).filter((count) => count === 0).length;
}

/** What the file lacks: `quantize` lets all their weights count the same. */
function tellUnseen(unseen: readonly string[], idle: number): void {
  const [first, ...others] = unseen;
  if (first !== undefined) {
    const which = others.length === 0 ? first : `${first} and ${others.length} more`;
    writeErrorLine(`note: ${which}: no product with it was seen, all its weights count alike`);
  }
  if (idle > 0) {
    writeErrorLine(
      `note: no token of the text chose ${idle} matrices of experts: a longer text shows more`,
    );
  }
}
