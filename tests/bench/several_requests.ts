/**
 * Several requests at once on a real model: tokens a second of 1, 2, 4 … streams together, and how
 * long a short prompt waits for its first token while a long one is read.
 *
 *   DENO_V8_FLAGS=--no-wasm-bounds-checks,--experimental-wasm-revectorize \
 *     deno run -A tests/bench/several_requests.ts MODEL [--threads=2] [--streams=1,2,4,8]
 *     [--tokens=32] [--rounds=2] [--prompt=4000] [--begin=4] [--memory=MIB] [--predictor=auto]
 *
 * begin: ids of the prompts that decode side by side; memory: of a packed model.
 */
import { MiB } from "../../src/base/units.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import type { StreamTimings } from "../../src/llm/types.ts";

const SHORT_PROMPTS = [8, 20, 40, 56, 100];

async function main(): Promise<void> {
  const [path, ...rest] = Deno.args;
  const options = new Map(
    rest.map((arg) => arg.replace(/^--/, "").split("=") as [string, string]),
  );
  const number = (name: string, absent: number) => Number(options.get(name) ?? absent);
  const streams = (options.get("streams") ?? "1,2,4,8").split(",").map(Number);
  const promptTokens = number("prompt", 4000);
  const model = await loadModel(path, {
    speculate: "off",
    threads: number("threads", 2),
    parallel: Math.max(2, ...streams),
    contextLength: promptTokens + 200,
    ...options.has("memory") ? { memoryBytes: number("memory", 0) * MiB } : {},
    predictor: (options.get("predictor") ?? "auto") as LoadOptions["predictor"],
  });
  const begin = number("begin", 4);
  try {
    await decode(model, { streams: streams[0], tokens: 8, begin });
    for (let round = 0; round < number("rounds", 2); round++) {
      for (const count of streams) {
        const tps = await decode(model, { streams: count, tokens: number("tokens", 32), begin });
        console.log(`${count} streams: ${tps.toFixed(1)} tok/s`);
      }
    }
    if (promptTokens > 0) await firstTokens(model, promptTokens);
  } finally {
    await model.close();
  }
}

/** Ids that no other prompt begins with. */
function promptOf(model: LoadedModel, tokens: number, seed: number): number[] {
  const { vocabSize } = model.config;
  return Array.from({ length: tokens }, (_, i) => 5 + (seed * 9973 + i * 7) % (vocabSize - 5));
}

/** Tokens a second of so many answers together. */
async function decode(
  model: LoadedModel,
  { streams, tokens, begin }: { streams: number; tokens: number; begin: number },
): Promise<number> {
  const results = await Promise.all(Array.from({ length: streams }, (_, i) =>
    model.generate({
      ids: promptOf(model, begin, i + 1),
      maxTokens: tokens + 1,
      sampling: { temperature: 0 },
      ignoreEnd: true,
    }).result));
  const { predictedMs, streamed } = results.map(({ timings }) => timings)
    .reduce((longest, each) => each.predictedMs > longest.predictedMs ? each : longest);
  if (streamed !== undefined) printStreamed(streamed, streams * tokens);
  return streams * tokens / predictedMs * 1000;
}

/** What ranks had from disk, for each token that they decoded. */
function printStreamed(streamed: StreamTimings, tokens: number): void {
  const { hits, misses, diskBytes, diskReads, diskWaitMs } = streamed;
  const found = (100 * hits / (hits + misses)).toFixed(1);
  const [reads, waitMs] = [diskReads, diskWaitMs].map((sum) => (sum / tokens).toFixed(0));
  const mib = (diskBytes / MiB / tokens).toFixed(0);
  console.log(`${found} % found, ${mib} MiB in ${reads} reads, waiting ${waitMs} ms a token`);
}

/** Short prompts, one after the other, while a long one is read. */
async function firstTokens(model: LoadedModel, promptTokens: number): Promise<void> {
  const ids = promptOf(model, promptTokens, 99);
  const long = model.generate({ ids, maxTokens: 1, ignoreEnd: true });
  for (const [index, tokens] of SHORT_PROMPTS.entries()) {
    await new Promise((resolve) => setTimeout(resolve, 900 + 350 * index));
    const startMs = performance.now();
    const short = { ids: promptOf(model, tokens, 200 + index), maxTokens: 1, ignoreEnd: true };
    await model.generate(short).result;
    const ms = performance.now() - startMs;
    console.log(`a prompt of ${tokens} beside one of ${promptTokens}: ${ms.toFixed(0)} ms`);
  }
  const { timings: { promptMs } } = await long.result;
  console.log(`the long one: ${(promptTokens / promptMs * 1000).toFixed(1)} tok/s`);
}

await main();
