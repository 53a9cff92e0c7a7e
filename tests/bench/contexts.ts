/** How speed depends on the length of the context. */
import { type Spread, spreadOf } from "../../src/cli/spread.ts";
import type { Sample } from "./engine.ts";
import { type Measurement, ratioOf } from "./results.ts";

/** One engine at one context. */
export interface ContextSummary {
  readonly modelPath: string;
  readonly threads: number;
  readonly engine: string;
  readonly contextTokens: number;
  /** Of a whole prompt of this length. */
  readonly promptMsPerToken: Spread;
  /** Against the prompt of `promptBaseTokens`, round by round. */
  readonly promptRatio: Spread | null;
  /** The measured context that is nearest to `PROMPT_BASE_TOKENS`. */
  readonly promptBaseTokens: number;
  /** Of the tokens between the next shorter context and this one; null for the shortest. */
  readonly addedMsPerToken: Spread | null;
  /** Tokens per second behind the context. */
  readonly decodeTps: Spread;
  /** Against the shortest context, round by round. */
  readonly decodeRatio: Spread | null;
}

/** The prompt whose cost per token longer ones are best held against. */
const PROMPT_BASE_TOKENS = 500;

/** Summaries of the tasks of kind `context`, by model, threads and engine, contexts ascending. */
export function summariseContexts(
  measurements: readonly Measurement<Sample>[],
): ContextSummary[] {
  const contexts = measurements.filter(({ task }) => task.kind === "context");
  const groups = Map.groupBy(
    contexts,
    ({ task, engine }) => JSON.stringify([task.modelPath, task.threads, engine]),
  );
  return groups.values().toArray().flatMap(summariseEngine);
}

/** All contexts of one engine, one model and one number of threads. */
function summariseEngine(ofEngine: readonly Measurement<Sample>[]): ContextSummary[] {
  const byContext = Map.groupBy(ofEngine, ({ task }) => task.promptTokens);
  const lengths = [...byContext.keys()].sort((a, b) => a - b);
  const distance = (length: number) => Math.abs(length - PROMPT_BASE_TOKENS);
  const base = lengths.reduce((best, each) => distance(each) < distance(best) ? each : best);
  return lengths.map((contextTokens, index) => {
    const rounds = byContext.get(contextTokens)!;
    const shorter = index === 0 ? null : byContext.get(lengths[index - 1])!;
    return {
      modelPath: rounds[0].task.modelPath,
      threads: rounds[0].task.threads,
      engine: rounds[0].engine,
      contextTokens,
      promptMsPerToken: spreadOf(rounds.map(({ sample }) => 1000 / sample.prefillTps)),
      promptRatio: ratioOf(rounds, byContext.get(base)!, (sample) => 1 / sample.prefillTps),
      promptBaseTokens: base,
      addedMsPerToken: shorter && addedMs(rounds, shorter),
      decodeTps: spreadOf(rounds.map(({ sample }) => sample.decodeTps)),
      decodeRatio: ratioOf(rounds, byContext.get(lengths[0])!, (sample) => sample.decodeTps),
    };
  });
}

/** What each token costs that the longer prompt has more, round by round. */
function addedMs(
  longer: readonly Measurement<Sample>[],
  shorter: readonly Measurement<Sample>[],
): Spread | null {
  const costs = longer.flatMap((long) => {
    const short = shorter.find(({ round }) => round === long.round);
    if (!short) return [];
    return [(totalMs(long) - totalMs(short)) / (long.task.promptTokens - short.task.promptTokens)];
  });
  return costs.length === 0 ? null : spreadOf(costs);
}

function totalMs({ task, sample }: Measurement<Sample>): number {
  return task.promptTokens / sample.prefillTps * 1000;
}
