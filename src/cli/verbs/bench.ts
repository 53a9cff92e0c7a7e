/**
 * `bench MODEL`: how fast the engine reads a prompt and writes an answer, beside the rate at which
 * this machine can read weights at all.
 */
import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { UsageError } from "../../base/errors.ts";
import { counted, formatBytes } from "../../base/units.ts";
import type { LoadedModel, Timings } from "../../llm/mod.ts";
import type { StreamingSteps } from "../../rank/plan/stream_types.ts";
import { ALL_STEPS } from "../../rank/plan/plan_units.ts";
import { benchPrompt, hashIds } from "../bench_prompt.ts";
import { Interrupt } from "../interrupt.ts";
import { addFillOptions } from "../fill_options.ts";
import {
  addDraftOption,
  addLoadOptions,
  type LoadFlags,
  loadForVerb,
  toLoadOptions,
} from "../load.ts";
import { wholeNumber } from "../option_values.ts";
import { writeErrorLine, writeJson, writeOutLine } from "../output.ts";
import { formatSpread, spreadOf } from "../spread.ts";
import { v8Flags } from "../v8_flags.ts";
import { createDataVerb, requireModel } from "../verb.ts";

interface Options extends LoadFlags {
  readonly promptTokens: number;
  readonly genTokens: number;
  readonly repeat: number;
  readonly seed: number;
  readonly batch: number;
  readonly safe?: boolean;
  readonly without?: Partial<StreamingSteps>;
  readonly json?: boolean;
}

/** One measured prompt and answer. */
interface Round {
  /** Tokens per second. */
  readonly prefillTps: number;
  readonly decodeTps: number;
  /** Of a decoded token, on average. */
  readonly neuronsSkipped: number;
  readonly bytesSkipped: number;
  /** Of what a packed model's tokens needed: found in memory, and read from disk. */
  readonly hitRate: number | null;
  /** Of a token, on average and on all threads. */
  readonly diskReads: number;
  readonly diskBytes: number;
  readonly diskWaitMs: number;
  readonly askedAhead: number;
  readonly neededAhead: number;
  /** Of all answers: tokens that were guessed ahead, and those that were right. */
  readonly drafted: number;
  readonly accepted: number;
  readonly tokenMs: { readonly p50: number; readonly p90: number; readonly p99: number };
  readonly ids: readonly number[];
}

/** Enough for V8 to have compiled every kernel in its best form. */
const WARMUP_PROMPT_TOKENS = 128;
const WARMUP_GEN_TOKENS = 16;

export function benchVerb(): Command {
  const verb = createDataVerb("bench", "Measure the speed of reading prompts and of answering.")
    .argument("[model]", "a .gguf file")
    .option("--prompt-tokens <n>", "length of the prompt", wholeNumber({ min: 1 }), 512)
    .option("--gen-tokens <n>", "length of the answer", wholeNumber({ min: 1 }), 128)
    .option("--repeat <n>", "measured rounds, after one to warm up", wholeNumber({ min: 1 }), 5)
    .option("--seed <n>", "seed of the pseudo-random prompt", wholeNumber(), 1)
    .option("--batch <n>", "prompts at once", wholeNumber({ min: 1, max: 64 }), 1)
    .option(
      "--without <steps>",
      "of a packed model: leave out bundles, cache or pipeline (separated by commas), to see what" +
        " each is worth",
      stepsOption,
    )
    .option("--safe", "insist on V8's bounds checks (deno task ganglion:safe)")
    .action(bench);
  return addDraftOption(addFillOptions(addLoadOptions(verb)));
}

async function bench(path: string | undefined, options: Options): Promise<void> {
  const modelPath = requireModel(path);
  checkAbilities(options);
  const contextLength = options.ctxSize ??
    Math.max(options.promptTokens, WARMUP_PROMPT_TOKENS) + options.genTokens + 1;
  await using model = await loadForVerb(modelPath, {
    ...toLoadOptions(options),
    // What is measured does not depend on what was measured before.
    gpu: options.gpu ?? "off",
    streamingSteps: options.without,
    // Steps of one token are what is measured, unless guesses are to be.
    speculate: options.speculate ?? (options.draftModel === undefined ? "off" : "auto"),
    parallel: options.batch,
    contextLength,
  });
  // While it was loaded there was nothing to end in order.
  using interrupt = new Interrupt();
  await measure(model, { ...options, ...warmup(options, contextLength) }, interrupt.signal);
  const rounds: Round[] = [];
  for (let index = 0; index < options.repeat; index++) {
    const seed = options.seed + index; // a repeated prompt would be found in the cache
    const round = await measure(model, { ...options, seed }, interrupt.signal);
    rounds.push(round);
    writeErrorLine(
      `round ${index + 1}/${options.repeat}: prefill ${round.prefillTps.toFixed(1)} tok/s, ` +
        `decode ${round.decodeTps.toFixed(1)} tok/s`,
    );
  }
  const report = await createReport(model, { modelPath, rounds });
  if (options.json) writeJson(report);
  else writeOutLine(formatReport(report));
}

/** Steps of streaming that are left out. */
function stepsOption(text: string): Partial<StreamingSteps> {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !(name in ALL_STEPS));
  if (unknown === undefined) return Object.fromEntries(names.map((name) => [name, false]));
  throw new InvalidArgumentError(
    `"${unknown}" is none of ${Object.keys(ALL_STEPS).join(", ")}.`,
  );
}

/** @throws {UsageError} for what cannot be. */
function checkAbilities({ safe }: Options): void {
  if (safe && v8Flags().includes("--no-wasm-bounds-checks")) {
    throw new UsageError(
      "Cannot be safe with --no-wasm-bounds-checks in DENO_V8_FLAGS: V8 flags cannot be taken " +
        "back: use `deno task ganglion:safe bench …`",
    );
  }
}

/** Between the prompts of one round: rounds count on from the first one's. */
const SEED_STEP = 1_000_003;

function warmup(options: Options, contextLength: number) {
  const promptTokens = Math.min(WARMUP_PROMPT_TOKENS, contextLength - 2);
  const genTokens = Math.min(WARMUP_GEN_TOKENS, contextLength - promptTokens - 1);
  return { promptTokens, genTokens, seed: options.seed + options.repeat };
}

/** Prompts and their greedy answers, which do not end early. */
async function measure(
  model: LoadedModel,
  work: Pick<Options, "promptTokens" | "genTokens" | "seed" | "batch">,
  signal: AbortSignal,
): Promise<Round> {
  const { genTokens, promptTokens, seed, batch } = work;
  const { vocabSize } = model.config;
  const results = await Promise.all(Array.from({ length: batch }, (_, index) =>
    model.generate({
      ids: benchPrompt({ vocabSize, count: promptTokens, seed: seed + SEED_STEP * index }),
      // The first new id comes from the prompt: one more, and every id asked for is decoded.
      maxTokens: genTokens + 1,
      sampling: { temperature: 0 },
      ignoreEnd: true,
      signal,
    }).result));
  signal.throwIfAborted();
  const [{ ids, timings }] = results;
  /** Of all, while the last of them was at it. */
  const rate = (tokens: (timings: Timings) => number, ms: (timings: Timings) => number) =>
    sumOf(results, tokens) /
    Math.max(...results.map(({ timings }) => ms(timings))) * 1000;
  return {
    prefillTps: rate(
      ({ promptTokens, cachedTokens = 0 }) => promptTokens - cachedTokens,
      ({ promptMs }) => promptMs,
    ),
    decodeTps: rate(({ predictedTokens }) => predictedTokens - 1, ({ predictedMs }) => predictedMs),
    neuronsSkipped: (timings.skippedNeurons ?? 0) / genTokens,
    bytesSkipped: (timings.skippedBytes ?? 0) / genTokens,
    ...diskOf(timings, genTokens),
    drafted: sumOf(results, ({ draftedTokens = 0 }) => draftedTokens),
    accepted: sumOf(results, ({ acceptedTokens = 0 }) => acceptedTokens),
    tokenMs: timings.tokenMs ?? { p50: 0, p90: 0, p99: 0 },
    ids: ids.slice(0, genTokens),
  };
}

function sumOf(
  results: readonly { readonly timings: Timings }[],
  of: (timings: Timings) => number,
): number {
  return results.reduce((sum, { timings }) => sum + of(timings), 0);
}

function diskOf({ streamed }: Timings, genTokens: number) {
  const { hits, misses, diskReads, diskBytes, diskWaitMs, askedAhead, neededAhead } = streamed ??
    {
      ...{ hits: 0, misses: 0, diskReads: 0, diskBytes: 0 },
      diskWaitMs: 0,
      askedAhead: 0,
      neededAhead: 0,
    };
  return {
    // Where all of it is in memory, nothing is looked for in the cache.
    hitRate: streamed === undefined ? null : misses === 0 ? 1 : hits / (hits + misses),
    diskReads: diskReads / genTokens,
    diskBytes: diskBytes / genTokens,
    diskWaitMs: diskWaitMs / genTokens,
    askedAhead: askedAhead / genTokens,
    neededAhead: neededAhead / genTokens,
  };
}

/** What of it a GPU computes; null: nothing. */
function describeGpuPart({ gpu }: LoadedModel) {
  if (gpu === null) return null;
  const { isAlone, priority, share: { heads, neurons, layers, hasOutput } } = gpu;
  return { alone: isAlone, heads, neurons, layers, output: hasOutput, priority };
}

type Report = Awaited<ReturnType<typeof createReport>>;

async function createReport(
  model: LoadedModel,
  { modelPath, rounds }: { modelPath: string; rounds: readonly Round[] },
) {
  const decode = spreadOf(rounds.map((round) => round.decodeTps));
  const meanOf = (values: readonly number[]) =>
    Math.round(values.reduce((sum, value) => sum + value, 0) / values.length);
  const bytesPerToken = model.bytesPerToken - meanOf(rounds.map((round) => round.bytesSkipped));
  return {
    model: modelPath,
    threads: model.threads,
    gpu: describeGpuPart(model),
    prefill_tps: spreadOf(rounds.map((round) => round.prefillTps)),
    decode_tps: decode,
    expected_decode_tps: model.expectedDecodeTps,
    bytes_per_token: bytesPerToken,
    weights_gbps: bytesPerToken * decode.median / 1e9,
    peak_read_gbps: await model.measureReadGbps(),
    neurons_skipped: meanOf(rounds.map((round) => round.neuronsSkipped)),
    cache_hit_rate: rounds[0].hitRate === null
      ? null
      : rounds.reduce((sum, { hitRate }) => sum + hitRate!, 0) / rounds.length,
    disk_reads_per_token: meanOf(rounds.map((round) => round.diskReads)),
    disk_bytes_per_token: meanOf(rounds.map((round) => round.diskBytes)),
    disk_wait_ms: meanOf(rounds.map((round) => round.diskWaitMs)),
    neurons_asked_ahead: meanOf(rounds.map((round) => round.askedAhead)),
    neurons_needed_ahead: meanOf(rounds.map((round) => round.neededAhead)),
    token_ms: {
      p50: spreadOf(rounds.map(({ tokenMs }) => tokenMs.p50)).median,
      p90: spreadOf(rounds.map(({ tokenMs }) => tokenMs.p90)).median,
      p99: spreadOf(rounds.map(({ tokenMs }) => tokenMs.p99)).median,
    },
    memory_bytes: {
      weights: model.memory.weightsBytes,
      slots: model.memory.slotBytes,
      kv: model.memory.kvBytes,
      activations: model.memory.activationBytes,
      intermediates: model.memory.intermediateBytes,
      intermediates_apart: model.memory.intermediateApartBytes,
      total: model.memory.totalBytes,
      resident: Deno.memoryUsage().rss,
    },
    draft_n: rounds.reduce((sum, { drafted }) => sum + drafted, 0),
    draft_n_accepted: rounds.reduce((sum, { accepted }) => sum + accepted, 0),
    ids_hash: await hashIds(rounds[0].ids),
    flags: v8Flags(),
  };
}

function formatReport(report: Report): string {
  const share = (report.weights_gbps / report.peak_read_gbps * 100).toFixed(0);
  return [
    `model    ${report.model}, ${counted(report.threads, "thread")}`,
    `prefill  ${formatSpread(report.prefill_tps)} tok/s`,
    `decode   ${formatSpread(report.decode_tps)} tok/s${
      report.expected_decode_tps === null
        ? ""
        : `; the planner expected ${report.expected_decode_tps.toFixed(1)}`
    }`,
    `weights  ${formatBytes(report.bytes_per_token)} a token, ${
      report.weights_gbps.toFixed(1)
    } GB/s: ${share} % of the ${report.peak_read_gbps.toFixed(1)} GB/s that a kernel can read`,
    `skipped  ${report.neurons_skipped} neurons a token`,
    ...report.draft_n === 0
      ? []
      : [`guessed  ${report.draft_n} tokens ahead, ${report.draft_n_accepted} of them right`],
    ...report.cache_hit_rate === null ? [] : [
      `disk     ${formatBytes(report.disk_bytes_per_token)} in ${report.disk_reads_per_token} ` +
      `reads a token, ${
        (report.cache_hit_rate * 100).toFixed(1)
      } % of neurons were in memory; threads waited ${report.disk_wait_ms} ms a token; ` +
      `${report.neurons_asked_ahead} neurons were asked for ahead, ` +
      `${report.neurons_needed_ahead} of them needed`,
    ],
    `latency  p50 ${report.token_ms.p50.toFixed(1)} ms, p90 ${
      report.token_ms.p90.toFixed(1)
    }, p99 ${report.token_ms.p99.toFixed(1)}`,
    `memory   ${formatBytes(report.memory_bytes.total)} planned, ${
      formatBytes(report.memory_bytes.resident)
    } resident; intermediates ${formatBytes(report.memory_bytes.intermediates)}, without reuse ${
      formatBytes(report.memory_bytes.intermediates_apart)
    }`,
    `flags    ${report.flags.join(" ") || "none: `deno task ganglion` sets those for speed"}`,
    `ids      ${report.ids_hash}`,
  ].join("\n");
}
