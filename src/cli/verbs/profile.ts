/**
 * `profile MODEL --file F -o STATS`: how often each neuron fires while the model reads a text, or
 * without one what it writes itself, alone and together with the neurons of other sequences. What
 * is done is kept in STATS.part, and a run that was interrupted goes on from there. A packed model
 * may be larger than memory: its statistics are of the model that it was packed from, which can
 * then be packed again by them.
 */
import { createHash } from "node:crypto";
import type { Command } from "commander";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import { checkWritable } from "../../base/write_errors.ts";
import { sourceFingerprint } from "../../bundle/mod.ts";
import { type LoadedModel, openForUse } from "../../llm/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import { describeModel, isSilentKind, layerNeurons } from "../../model/mod.ts";
import {
  activeFraction,
  type Bucket,
  BUCKETS,
  emptyStats,
  type FiringStats,
  GROUP_WINDOWS,
  hotColdChart,
  hotFraction,
  profileText,
  readStats,
  type StatsSubject,
  writeStats,
} from "../../stats/mod.ts";
import { type AdapterFlags, adaptersOf, addAdapterOptions } from "../adapter_options.ts";
import { Interrupt } from "../interrupt.ts";
import { fileCacheOption, type LoadFlags, loadForVerb } from "../load.ts";
import { byteSize, decimal, wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { OWN_TOKENS, writeWindows } from "../profile/own_text.ts";
import { cutWindows, planWindows, WINDOW_TOKENS_MIN, type WindowPlan } from "../profile/windows.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options extends Pick<LoadFlags, "fileCache">, AdapterFlags {
  readonly file?: string;
  readonly out?: string;
  readonly tokens?: number;
  readonly window?: number;
  readonly quiet: number;
  readonly memory?: number;
  readonly ioThreads?: number;
  readonly svg?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

/** What was counted is written down this often. */
const SAVE_INTERVAL_MS = 10_000;

export function profileVerb(): Command {
  const verb = createDataVerb("profile", "Count how often each neuron of a model fires.")
    .argument("[model]", "a .gguf or .ganglion file")
    .option("--file <file>", "the text to read; - is stdin (default: what the model writes)")
    .option("-o, --out <stats>", "the file of statistics to write; STATS.part while at work")
    .option(
      "--tokens <n>",
      `read at most so many tokens (default: the whole text, or ${OWN_TOKENS} of its own)`,
      wholeNumber({ min: 1 }),
    )
    .option(
      "--window <n>",
      "tokens that see one another, and that one pass over a packed file serves " +
        "(default: 128, of packed models 512)",
      wholeNumber({ min: WINDOW_TOKENS_MIN }),
    )
    .option(
      "--quiet <s>",
      "of SiLU or GELU models: the share of activations that counts as silent",
      decimal({ min: 0, max: 0.99 }),
      0.5,
    )
    .option("--svg <file>", "draw hot and cold neurons of every layer")
    .option("--memory <bytes>", "memory that all of it may take, such as 8GiB", byteSize)
    .option("--threads <n>", "threads that compute (default: one per core)", wholeNumber(THREADS))
    .option("--io-threads <n>", "threads that read a packed model", wholeNumber(THREADS))
    .addOption(fileCacheOption())
    .action(profile);
  return addAdapterOptions(verb);
}

const THREADS = { min: 1, max: 64 };

async function profile(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  const out = requireOption(options.out, "--out");
  for (const path of [out, options.svg]) if (path !== undefined) checkWritable(path);
  const text = options.file === undefined ? null : readTextFile(options.file);
  const file = openForUse(modelPath, adaptersOf(options));
  const { config } = describeModel(file.file);
  const byLoudness = !isSilentKind(config.feedForward.activation) && config.experts === null;
  const plane = byLoudness ? "gate" : "fired";
  const plan = planWindows({
    ...{ config, plane, isPacked: file.packed !== null },
    ...{ memoryBytes: options.memory, windowTokens: options.window },
  });
  const own = text === null ? await ownWindows(modelPath, { plan, options }) : null;
  const { stats, rate } = await (async () => {
    await using model = await loadForVerb(modelPath, {
      ...plan,
      ...adaptersOf(options),
      ...{ threads: options.threads, ioWorkers: options.ioThreads, fileCache: options.fileCache },
      predictor: "off",
      observe: [plane],
    });
    // While it was loaded there was nothing to end in order.
    using interrupt = new Interrupt();
    const windows = own ?? cutWindows(model, text!, options.tokens);
    const subject = {
      ...subjectOf(config, { modelFingerprint: sourceFingerprint(file), windows }),
      sparsity: byLoudness ? options.quiet : null,
    };
    tellPasses(model, windows);
    return await count(model, { windows, subject, out, signal: interrupt.signal });
  })();
  if (options.svg !== undefined) {
    Deno.writeTextFileSync(options.svg, draw(stats, basename(modelPath)));
  }
  report(stats, { ...options, rate });
}

/** Loaded as for answers: what is observed computes everything. */
async function ownWindows(
  path: string,
  { plan: { contextLength }, options }: { plan: WindowPlan; options: Options },
): Promise<number[][]> {
  const { threads, ioThreads: ioWorkers, fileCache, memory: memoryBytes } = options;
  await using model = await loadForVerb(path, {
    ...adaptersOf(options),
    ...{ contextLength, threads, ioWorkers, fileCache, memoryBytes },
  });
  const { tokens = OWN_TOKENS } = options;
  using interrupt = new Interrupt();
  const { signal } = interrupt;
  return await writeWindows(model, { tokens, windowTokens: contextLength, signal });
}

/** Where every window needs a pass over what is not in memory, that decides how long it takes. */
function tellPasses(
  { memory: { diskBytes }, id }: LoadedModel,
  windows: readonly (readonly number[])[],
): void {
  if (diskBytes === 0) return;
  writeErrorLine(
    `note: ${formatBytes(diskBytes)} of ${id} are read from disk for each of ${windows.length} ` +
      `windows of ${windows[0].length} tokens`,
  );
}

/** Counts, going on from STATS.part where there is one. rate: tokens a second; null: none. */
async function count(
  model: LoadedModel,
  job: {
    windows: readonly (readonly number[])[];
    subject: StatsSubject;
    out: string;
    signal: AbortSignal;
  },
): Promise<{ stats: FiringStats; rate: number | null }> {
  const { windows, subject, out, signal } = job;
  const part = `${out}.part`;
  const stats = continued(part, subject) ?? emptyStats(subject);
  const { groupCount, windowTokens } = subject;
  using progress = new Progress(`Profiling ${model.id}`);
  const tokensOf = (groups: number) => groups * GROUP_WINDOWS * windowTokens;
  const before = tokensOf(stats.groupsDone);
  const startMs = performance.now();
  const rateOf = (tokens: number) => (tokens - before) / (performance.now() - startMs) * 1000;
  let savedMs = startMs;
  let savedGroups = stats.groupsDone;
  const save = () => {
    writeStats(part, stats);
    savedMs = performance.now();
    savedGroups = stats.groupsDone;
  };
  try {
    await profileText({
      model,
      windows,
      stats,
      signal,
      onTokens: (tokens) => {
        const total = tokensOf(groupCount);
        const rate = rateOf(tokens).toFixed(1);
        progress.update(tokens, total, `${tokens} of ${total} tokens, ${rate} tok/s`);
      },
      onGroup: () => {
        if (performance.now() - savedMs > SAVE_INTERVAL_MS) save();
      },
    });
  } catch (error) {
    if (signal.aborted && stats.groupsDone > savedGroups) save();
    if (signal.aborted && savedGroups > 0) {
      writeErrorLine(`interrupted: ${part} holds what was counted; the same command goes on`);
    }
    throw error;
  }
  const done = tokensOf(stats.groupsDone);
  const rate = done > before ? rateOf(done) : null;
  save();
  Deno.renameSync(part, out);
  return { stats, rate };
}

/** What an interrupted run left, if it was of the same model and text. */
function continued(part: string, subject: StatsSubject): FiringStats | null {
  if (!existsSync(part)) return null;
  const stats = readStats(part);
  const keys = Object.keys(subject) as (keyof StatsSubject)[];
  const differing = keys.filter((key) => stats.subject[key] !== subject[key]);
  if (differing.length > 0) {
    throw new UsageError(
      `Cannot go on with "${part}": it is of another model, text or setting ` +
        `(${differing.join(", ")}): delete it, or name another --out`,
    );
  }
  writeErrorLine(`going on after ${stats.groupsDone} of ${subject.groupCount} groups`);
  return stats;
}

function subjectOf(
  config: ModelConfig,
  of: { modelFingerprint: string; windows: readonly (readonly number[])[] },
): Omit<StatsSubject, "sparsity"> {
  const { modelFingerprint, windows } = of;
  return {
    architecture: config.architecture,
    modelFingerprint,
    layerCount: config.blockCount,
    neuronCount: layerNeurons(config),
    activation: config.feedForward.activation,
    textHash: createHash("sha256").update(JSON.stringify(windows)).digest("hex"),
    windowTokens: windows[0].length,
    groupCount: windows.length / GROUP_WINDOWS,
  };
}

function draw(stats: FiringStats, name: string): string {
  const { subject: { neuronCount, activation, sparsity }, units } = stats;
  const rule = sparsity === null
    ? "not zero"
    : `louder than the quietest ${sparsity * 100} % of its layer`;
  return hotColdChart({
    title: `Hot and cold neurons of ${name}`,
    subtitle: `${neuronCount} ${activation} neurons a layer, ${units["1"]} tokens; a neuron ` +
      `fires when it is ${rule}`,
    stats,
  });
}

function report(
  stats: FiringStats,
  { json, out, rate }: Options & { rate: number | null },
): void {
  const { subject, units, thresholds } = stats;
  const layers = Array.from({ length: subject.layerCount }, (_, layer) => ({
    active_fraction: activeFraction(stats, "1", layer),
    active_fraction_by_batch: Object.fromEntries(
      BUCKETS.filter((bucket) => units[bucket] > 0)
        .map((bucket: Bucket) => [bucket, activeFraction(stats, bucket, layer)]),
    ),
    hot_fraction: hotFraction(stats, layer),
    ...thresholds === null ? {} : { threshold: thresholds[layer] },
  }));
  if (json) {
    const { neuronCount, activation, sparsity, windowTokens } = subject;
    writeJson({
      ...{ tokens: units["1"], window_tokens: windowTokens, tokens_per_second: rate },
      ...{ neurons: neuronCount, activation, quiet: sparsity, layers },
    });
    return;
  }
  const mean = layers.reduce((sum, layer) => sum + layer.active_fraction, 0) / layers.length;
  writeOutLine(
    `${out}: ${units["1"]} tokens; of ${subject.neuronCount} neurons in each of ` +
      `${layers.length} layers ${(mean * 100).toFixed(2)} % fire for a token${
        rate === null ? "" : `; ${rate.toFixed(1)} tok/s`
      }`,
  );
}
