/**
 * `pack MODEL -o FILE`: a file of whole neurons, for models larger than memory; and, with --check,
 * whether all of one is as it was written. What is done is kept in FILE.part, and a run that was
 * interrupted goes on from there.
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import { BUILT_IN_MODEL_PATH } from "../../llm/built_in_model.ts";
import type { BundleAlignment } from "../../bundle/mod.ts";
import { isDiskFull } from "../../base/write_errors.ts";
import { checkPacked, packFile, type PackResult, partPath } from "../../pack/mod.ts";
import { readStats } from "../../stats/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { oneOf } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options {
  readonly out?: string;
  readonly stats?: string;
  readonly alignBytes: typeof ALIGNMENTS[number];
  readonly check?: string;
  readonly json?: boolean;
}

const ALIGNMENTS = ["64", "512", "4096"] as const;

export function packVerb(): Command {
  return createDataVerb("pack", "Store a model neuron by neuron, to run it from the disk.")
    .argument("[model]", "a .gguf file")
    .option("-o, --out <file>", "the file to write (default: NAME.ganglion beside the model)")
    .option("--stats <file>", "statistics of the model, by profile: frequent neurons come first")
    .option(
      "--align-bytes <n>",
      "neurons begin at multiples of it: 64 (default) takes least memory, 512 or 4096 spare a copy",
      oneOf(ALIGNMENTS),
      "64",
    )
    .option("--check <file>", "make nothing: tell whether every byte of a packed file is right")
    .action(pack);
}

async function pack(path: string | undefined, options: Options): Promise<void> {
  if (options.check !== undefined) return await check(options.check, path, options);
  const input = requireModel(path);
  const out = options.out ?? defaultOut(input);
  const stats = options.stats === undefined ? null : readStats(options.stats);
  using interrupt = new Interrupt();
  using progress = new Progress(`Packing ${basename(out)}`);
  const { signal } = interrupt;
  const alignBytes = Number(options.alignBytes) as BundleAlignment;
  try {
    const result = await packFile({
      ...{ input, out, stats, alignBytes, signal },
      onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
      onResume: (bytes) => writeErrorLine(`going on after ${formatBytes(bytes)}`),
    });
    report(result, { ...options, out });
  } catch (error) {
    if ((signal.aborted || isDiskFull(error)) && existsSync(partPath(out))) {
      writeErrorLine(`${partPath(out)} holds what is done: the same command goes on from there`);
    }
    throw error;
  }
}

async function check(path: string, model: string | undefined, { json }: Options): Promise<void> {
  if (model !== undefined) {
    throw new UsageError("Cannot check a file and pack a model at once: leave one of them out");
  }
  using interrupt = new Interrupt();
  const { bytes, damage } = await (async () => {
    using progress = new Progress(`Checking ${basename(path)}`);
    return await checkPacked(path, {
      signal: interrupt.signal,
      onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
    });
  })();
  if (json) {
    const pieces = damage.map(({ beginBytes, endBytes, holds }) => (
      { begin_bytes: beginBytes, end_bytes: endBytes, holds }
    ));
    writeJson({ bytes, damage: pieces });
  } else if (damage.length === 0) {
    writeOutLine(`${path}: ${formatBytes(bytes)}, every byte as it was written`);
  } else {
    for (const { beginBytes, endBytes, holds } of damage) {
      writeOutLine(`bytes ${beginBytes} to ${endBytes - 1} were changed: ${holds.join("; ")}`);
    }
  }
  if (damage.length === 0) return;
  throw new Error(
    `Cannot trust "${path}": ${damage.length} of its pieces of 1 MiB were changed: pack the ` +
      "model again",
  );
}

/**
 * Beside the model, without what names its parts.
 * @throws {UsageError} for the built-in model: nobody looks for files beside it.
 */
function defaultOut(model: string): string {
  if (model === BUILT_IN_MODEL_PATH) throw new UsageError("Cannot go on without --out: see --help");
  return `${model.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "")}.ganglion`;
}

function report(
  result: PackResult,
  { json, out, stats, alignBytes }: Options & { out: string },
): void {
  const { bytes, layers, units, neurons, bundleBytes, factorsBytes, fixedBytes } = result;
  const ordered = stats !== undefined;
  if (json) {
    writeJson({
      ...{ bytes, layers, units, neurons, ordered },
      bundle_bytes: bundleBytes,
      align_bytes: Number(alignBytes),
      factors_bytes: factorsBytes,
      fixed_bytes: fixedBytes,
    });
    return;
  }
  writeOutLine(
    `${out}: ${formatBytes(bytes)}, ${neurons} neurons of ${bundleBytes} bytes in ${layers} layers`,
  );
  if (!ordered) {
    writeErrorLine(
      "note: neurons keep the model's order; with --stats (see profile) frequent ones come " +
        "first, which saves reads",
    );
  }
}
