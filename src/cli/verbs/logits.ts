/**
 * `logits MODEL --tokens 1,2,3 --out FILE`: raw logits of every position, f32 little-endian,
 * [tokens, vocab]; the ids are taken as they are.
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { UsageError } from "../../base/errors.ts";
import { explainWriteError } from "../../base/write_errors.ts";
import type { GgufFile } from "../../gguf/mod.ts";
import { openForUse } from "../../llm/mod.ts";
import { describeModel } from "../../model/mod.ts";
import { ReferenceModel } from "../../reference/forward.ts";
import { addLoadOptions, type LoadFlags, loadForVerb, toLoadOptions } from "../load.ts";
import { tokenIds } from "../option_values.ts";
import { writeErrorLine, writeJson } from "../output.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends LoadFlags {
  readonly tokens?: readonly number[];
  readonly out?: string;
  readonly exact?: boolean;
  readonly json?: boolean;
}

/** Writes rows in order; the array may be overwritten afterwards. */
type RowSink = (rows: Float32Array) => void;

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
  const compute = options.exact ? computeExact : computeFast;
  const isNew = !existsSync(out);
  using file = createFile(out);
  let vocabSize: number;
  try {
    vocabSize = await compute(path, { ids, flags: options, sink: replacing(file, out) });
  } catch (error) {
    if (isNew) Deno.removeSync(out);
    throw error;
  }
  if (options.json) writeJson({ n_tokens: ids.length, n_vocab: vocabSize });
  else writeErrorLine(`${ids.length} x ${vocabSize} logits in ${out}`);
}

function createFile(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { write: true, create: true });
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

interface Job {
  readonly ids: readonly number[];
  readonly flags: LoadFlags;
  readonly sink: RowSink;
}

/** Tokens, where the model was trained for as many. */
const CONTEXT_LENGTH_MIN = 256;

/**
 * Room for the ids, unless the user wants another context. Rotary factors may depend on it: it is
 * one for the first 256 ids, so that a few more of them do not change the others' logits.
 */
function contextLengthFor(file: GgufFile, { ids, flags }: Job): number {
  if (flags.ctxSize !== undefined) return flags.ctxSize;
  const { contextLength } = describeModel(file).config;
  return Math.max(ids.length, Math.min(contextLength, CONTEXT_LENGTH_MIN));
}

/** @returns the vocabulary's size. */
async function computeFast(path: string, job: Job): Promise<number> {
  const { ids, flags, sink } = job;
  const options = toLoadOptions(flags);
  const contextLength = contextLengthFor(openForUse(path, options).file, job);
  await using model = await loadForVerb(path, { ...options, contextLength });
  await model.logits(ids, sink);
  return model.config.vocabSize;
}

/** One position at a time: a row of logits is all that is held. */
function computeExact(path: string, job: Job): Promise<number> {
  const { ids, sink } = job;
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
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown !== undefined) {
    throw new UsageError(
      `Cannot compute token ${unknown}: this model's ids end at ${vocabSize - 1}`,
    );
  }
  ids.forEach((id, position) => sink(reference.forward([id], position)));
  return Promise.resolve(vocabSize);
}

/** Takes the place of what the file had once there is something to write: ids may be refused. */
function replacing(file: Deno.FsFile, path: string): RowSink {
  let isEmpty = !file.statSync().isFile;
  return (rows) => {
    try {
      if (!isEmpty) file.truncateSync(0);
      isEmpty = true;
      write(file, rows);
    } catch (error) {
      throw explainWriteError(error, path);
    }
  };
}

/** Appends floats as little-endian bytes, whatever this machine's order is. */
function write(file: Deno.FsFile, rows: Float32Array): void {
  const bytes = new DataView(new ArrayBuffer(rows.byteLength));
  rows.forEach((value, index) => bytes.setFloat32(index * 4, value, true));
  let rest = new Uint8Array(bytes.buffer);
  while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
}
