/**
 * `profile MODEL --file F -o STATS`: how often each neuron fires while the model reads a text, by
 * itself and together with the neurons of other sequences. What is done is kept in STATS.part, and
 * a run that was interrupted goes on from there.
 */
import { createHash } from "node:crypto";
import type { Command } from "commander";
import { basename } from "node:path";
import { UsageError } from "../../base/errors.ts";
import { fingerprint, openGguf } from "../../gguf/mod.ts";
import type { LoadedModel } from "../../llm/mod.ts";
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
  PREFILL_TOKENS,
  profileText,
  readStats,
  type StatsSubject,
  writeStats,
} from "../../stats/mod.ts";
import { Interrupt } from "../interrupt.ts";
import { loadForVerb } from "../load.ts";
import { decimal, wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { readTextFile } from "../text_file.ts";
import { createDataVerb, requireModel, requireOption } from "../verb.ts";

interface Options {
  readonly file?: string;
  readonly out?: string;
  readonly tokens?: number;
  readonly quiet: number;
  readonly svg?: string;
  readonly threads?: number;
  readonly json?: boolean;
}

/** Tokens of a window, a multiple of a prompt's pieces; fewer where the model or the text is. */
const WINDOW_TOKENS = 2 * PREFILL_TOKENS;
const WINDOW_TOKENS_MIN = 4;
/** Marks of a group of windows: a byte for each layer, token and neuron. */
const MARKS_BYTES_MAX = 256 << 20;
/** What was counted is written down this often. */
const SAVE_INTERVAL_MS = 10_000;

export function profileVerb(): Command {
  return createDataVerb("profile", "Count how often each neuron of a model fires.")
    .argument("[model]", "a .gguf file")
    .option("--file <file>", "the text to read; - is stdin")
    .option("-o, --out <stats>", "the file of statistics to write; STATS.part while at work")
    .option("--tokens <n>", "read at most so many tokens of the text", wholeNumber({ min: 1 }))
    .option(
      "--quiet <s>",
      "of SiLU or GELU models: the share of activations that counts as silent",
      decimal({ min: 0, max: 0.99 }),
      0.5,
    )
    .option("--svg <file>", "draw hot and cold neurons of every layer")
    .option("--threads <n>", "threads that compute (default: one per core)", wholeNumber(THREADS))
    .action(profile);
}

const THREADS = { min: 1, max: 64 };

async function profile(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  const out = requireOption(options.out, "--out");
  const text = readTextFile(requireOption(options.file, "--file"));
  const { config } = describeModel(openGguf(modelPath));
  const byLoudness = !isSilentKind(config.feedForward.activation) && config.experts === null;
  using interrupt = new Interrupt();
  const stats = await (async () => {
    await using model = await loadForVerb(modelPath, {
      threads: options.threads,
      contextLength: Math.min(WINDOW_TOKENS, config.contextLength),
      predictor: "off",
      observe: [byLoudness ? "gate" : "fired"],
    });
    const windows = cutWindows(model, text, options.tokens);
    const subject: StatsSubject = {
      ...subjectOf(model, windows),
      sparsity: byLoudness ? options.quiet : null,
    };
    return await count(model, { windows, subject, out, signal: interrupt.signal });
  })();
  if (options.svg !== undefined) {
    Deno.writeTextFileSync(options.svg, draw(stats, basename(modelPath)));
  }
  report(stats, options);
}

/** Counts, going on from STATS.part where there is one. */
async function count(
  model: LoadedModel,
  job: {
    windows: readonly (readonly number[])[];
    subject: StatsSubject;
    out: string;
    signal: AbortSignal;
  },
): Promise<FiringStats> {
  const { windows, subject, out, signal } = job;
  const part = `${out}.part`;
  const stats = continued(part, subject) ?? emptyStats(subject);
  const { groupCount, windowTokens } = subject;
  using progress = new Progress(`Profiling ${model.id}`);
  let savedMs = performance.now();
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
      onGroup: ({ groupsDone }) => {
        const tokens = (groups: number) => groups * GROUP_WINDOWS * windowTokens;
        const detail = `${tokens(groupsDone)} of ${tokens(groupCount)} tokens`;
        progress.update(groupsDone, groupCount, detail);
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
  save();
  Deno.renameSync(part, out);
  return stats;
}

/** What an interrupted run left, if it was of the same model and text. */
function continued(part: string, subject: StatsSubject): FiringStats | null {
  let stats: FiringStats;
  try {
    stats = readStats(part);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
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

/**
 * The text's ids in windows, each a text of its own: BOS in front where the model wants it. Whole
 * groups of windows; what is left at the end is left out.
 * @throws {UsageError} when the text is too short for one group.
 */
function cutWindows(model: LoadedModel, text: string, tokensMax = Infinity): number[][] {
  const { addBos, bosId } = model.tokenizer;
  const opening = addBos && bosId !== null ? [bosId] : [];
  const ids = model.tokenizer.encode(text).slice(0, tokensMax);
  const perToken = model.config.blockCount * layerNeurons(model.config);
  const fitting = Math.max(WINDOW_TOKENS_MIN, Math.floor(MARKS_BYTES_MAX / perToken));
  const length = Math.min(model.contextLength, Math.floor(ids.length / GROUP_WINDOWS), fitting);
  if (length < WINDOW_TOKENS_MIN) {
    throw new UsageError(
      `Cannot profile with ${ids.length} tokens of text: at least ` +
        `${GROUP_WINDOWS * WINDOW_TOKENS_MIN} are needed, some thousands make good statistics`,
    );
  }
  const groups = Math.floor(ids.length / (GROUP_WINDOWS * length));
  return Array.from({ length: groups * GROUP_WINDOWS }, (_, index) => {
    const window = ids.slice(index * length, (index + 1) * length);
    return [...opening, ...window].slice(0, length);
  });
}

function subjectOf(
  { file, config }: LoadedModel,
  windows: readonly (readonly number[])[],
): Omit<StatsSubject, "sparsity"> {
  return {
    architecture: config.architecture,
    modelFingerprint: fingerprint(file.parts),
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

function report(stats: FiringStats, { json, out }: Options): void {
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
    const { neuronCount, activation, sparsity } = subject;
    writeJson({ tokens: units["1"], neurons: neuronCount, activation, quiet: sparsity, layers });
    return;
  }
  const mean = layers.reduce((sum, layer) => sum + layer.active_fraction, 0) / layers.length;
  writeOutLine(
    `${out}: ${units["1"]} tokens; of ${subject.neuronCount} neurons in each of ` +
      `${layers.length} layers ${(mean * 100).toFixed(2)} % fire for a token`,
  );
}
