/**
 * `pack MODEL -o FILE`: a file of whole neurons, for models larger than memory; `pack --check FILE`:
 * whether all of one is as it was written. What is done is kept in FILE.part, and a run that was
 * interrupted goes on from there.
 */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import { packFile, type PackResult, partPath } from "../../pack/mod.ts";
import { readStats } from "../../stats/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { oneOf } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options {
  readonly out?: string;
  readonly stats?: string;
  readonly sectorBytes: typeof SECTORS[number];
  readonly json?: boolean;
}

const SECTORS = ["512", "4096"] as const;

export function packVerb(): Command {
  return createDataVerb("pack", "Store a model neuron by neuron, to run it from the disk.")
    .argument("[model]", "a .gguf file")
    .option("-o, --out <file>", "the file to write (default: NAME.ganglion beside the model)")
    .option("--stats <file>", "statistics of the model, by profile: frequent neurons come first")
    .option(
      "--sector-bytes <n>",
      "least bytes that the disk reads: 512 (default) or 4096",
      oneOf(SECTORS),
      "512",
    )
    .action(pack);
}

async function pack(path: string | undefined, options: Options): Promise<void> {
  const input = requireModel(path);
  const out = options.out ?? defaultOut(path);
  const stats = options.stats === undefined ? null : readStats(options.stats);
  using interrupt = new Interrupt();
  using progress = new Progress(`Packing ${basename(out)}`);
  const { signal } = interrupt;
  const sectorBytes = options.sectorBytes === "512" ? 512 : 4096;
  try {
    const result = await packFile({
      ...{ input, out, stats, sectorBytes, signal },
      onProgress: (doneBytes, totalBytes) => progress.update(doneBytes, totalBytes),
      onResume: (bytes) => writeErrorLine(`going on after ${formatBytes(bytes)}`),
    });
    report(result, { ...options, out });
  } catch (error) {
    if (signal.aborted && existsSync(partPath(out))) {
      writeErrorLine(`interrupted: ${partPath(out)} holds what is done; the same command goes on`);
    }
    throw error;
  }
}

/**
 * Beside the model, without what names its parts.
 * @throws {UsageError} for the built-in model: nobody looks for files beside it.
 */
function defaultOut(model: string | undefined): string {
  if (model === undefined) throw new UsageError("Cannot go on without --out: see --help");
  return `${model.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "")}.ganglion`;
}

function report(
  result: PackResult,
  { json, out, stats, sectorBytes }: Options & { out: string },
): void {
  const { bytes, layers, units, neurons, bundleBytes, factorsBytes, fixedBytes } = result;
  const ordered = stats !== undefined;
  if (json) {
    writeJson({
      ...{ bytes, layers, units, neurons, ordered },
      bundle_bytes: bundleBytes,
      sector_bytes: Number(sectorBytes),
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
      "note: neurons keep the model's order: with --stats (see profile) frequent ones come first, " +
        "which makes running from the disk faster",
    );
  }
}
