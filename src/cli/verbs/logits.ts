/**
 * `logits MODEL --tokens 1,2,3 --out FILE`: raw logits of every position, f32 little-endian,
 * [tokens, vocab]; the ids are taken as they are.
 */
import type { Command } from "commander";
import { basename } from "node:path";
import { setImmediate } from "node:timers/promises";
import { UsageError } from "../../base/errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import { checkIds } from "../../llm/check_ids.ts";
import { openForUse } from "../../llm/mod.ts";
import { describeModel } from "../../model/mod.ts";
import { ReferenceModel } from "../../reference/forward.ts";
import { Interrupt } from "../interrupt.ts";
import { addLoadOptions, type LoadFlags, loadForVerb, toLoadOptions } from "../load.ts";
import { LogitsFile } from "../logits_file.ts";
import { tokenIds } from "../option_values.ts";
import { writeErrorLine, writeJson } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireKnownIds, requireModel, requireOption } from "../verb.ts";

interface Options extends LoadFlags {
  readonly tokens?: readonly number[];
  readonly out?: string;
  readonly exact?: boolean;
  readonly json?: boolean;
}

export function logitsVerb(): Command {
  const verb = createDataVerb("logits", "Write the logits of every position of a token sequence.")
    .argument("[model]", "a .gguf file")
    .option("--tokens <ids>", "token ids, such as 1,15043; nothing is added to them", tokenIds)
    .option("--out <file>", "where to write f32 little-endian logits, [tokens, vocab]")
    .option("--exact", "compute with the slow reference instead of the engine")
    .action(logits);
  return addLoadOptions(verb);
}

async function logits(model: string | undefined, options: Options): Promise<void> {
  const path = requireModel(model);
  const ids = requireOption(options.tokens, "--tokens");
  const out = requireOption(options.out, "--out");
  if (ids.length === 0) throw new UsageError("Cannot compute logits of no tokens: see --tokens");
  using file = new LogitsFile(out);
  const compute = options.exact ? computeExact : computeFast;
  let vocabSize: number;
  try {
    vocabSize = await compute(path, { ids, flags: options, file });
  } catch (error) {
    file.discard();
    throw error;
  }
  if (options.json) writeJson({ n_tokens: ids.length, n_vocab: vocabSize });
  else writeErrorLine(`${ids.length} x ${vocabSize} logits in ${out}`);
}

interface Job {
  readonly ids: readonly number[];
  readonly flags: LoadFlags;
  readonly file: LogitsFile;
}

/** Tokens, where the model was trained for as many. */
const CONTEXT_LENGTH_MIN = 256;

/**
 * Room for the ids, unless the user wants another context. Rotary factors may depend on it: it is
 * one for the first 256 ids, so that a few more of them do not change the others' logits.
 * @throws {UsageError} when the model does not have an id.
 */
function contextLengthFor(file: GgufFile, { ids, flags }: Job): number {
  const { contextLength, vocabSize } = describeModel(file).config;
  requireKnownIds(ids, vocabSize);
  if (flags.ctxSize !== undefined) return flags.ctxSize;
  return Math.max(ids.length, Math.min(contextLength, CONTEXT_LENGTH_MIN));
}

/** @returns the vocabulary's size. */
async function computeFast(path: string, job: Job): Promise<number> {
  const { ids, flags } = job;
  const options = toLoadOptions(flags);
  const contextLength = contextLengthFor(openForUse(path, options).file, job);
  await using model = await loadForVerb(path, { ...options, contextLength });
  const { vocabSize } = model.config;
  // While it was loaded there was nothing to end in order.
  using interrupt = new Interrupt();
  using rows = new RowSink(path, { job, vocabSize, signal: interrupt.signal });
  await model.logits(ids, (some) => rows.add(some));
  return vocabSize;
}

/** One position at a time: a row of logits is all that is held, unless the model fills in. */
async function computeExact(path: string, job: Job): Promise<number> {
  const { ids } = job;
  const options = toLoadOptions(job.flags);
  const { predictor, predictorThreshold, quiet } = options;
  const { file, packed } = openForUse(path, options);
  if (packed !== null) {
    throw new UsageError("Cannot compute exactly with a packed file: give its .gguf file");
  }
  const contextLength = contextLengthFor(file, job);
  const reference = new ReferenceModel(file, {
    description: describeModel(file, { contextLength, predictorThreshold }),
    usesPredictors: predictor === "on",
    thresholds: quiet?.thresholds,
  });
  const { vocabSize } = reference.config;
  checkIds(ids, { contextLength, vocabSize, mayFill: true });
  using interrupt = new Interrupt();
  using rows = new RowSink(path, { job, vocabSize, signal: interrupt.signal });
  // Where all rows depend on all there is no token by token.
  const count = reference.config.fill ? ids.length : 1;
  for (let position = 0; position < ids.length; position += count) {
    rows.add(reference.forward(ids.slice(position, position + count), position));
    await setImmediate(); // lets a Ctrl-C come in
  }
  return vocabSize;
}

/** Writes rows in order, shows how far they are, and ends when it is interrupted. */
class RowSink implements Disposable {
  readonly #progress: Progress;
  readonly #of: { readonly job: Job; readonly vocabSize: number; readonly signal: AbortSignal };
  #rows = 0;

  constructor(
    path: string,
    of: { readonly job: Job; readonly vocabSize: number; readonly signal: AbortSignal },
  ) {
    this.#progress = new Progress(`Computing logits with ${basename(path)}`);
    this.#of = of;
  }

  /** @param rows [rows, vocab]; may be overwritten afterwards. */
  add(rows: Float32Array): void {
    const { job: { file, ids }, vocabSize, signal } = this.#of;
    signal.throwIfAborted();
    file.append(rows);
    this.#rows += rows.length / vocabSize;
    this.#progress.update(this.#rows, ids.length, `${this.#rows} of ${ids.length} tokens`);
  }

  [Symbol.dispose](): void {
    this.#progress[Symbol.dispose]();
  }
}
