/**
 * What is measured, and in which order. A shared machine's speed drifts within minutes, so what
 * will be compared stands side by side: a round measures everything once, and the engine that
 * begins changes from round to round. Knows nothing of how anything is measured.
 */
import type { Engine } from "./engine.ts";
import type { BenchOptions } from "./options.ts";

/**
 * `speed`: the prompt and answer lengths of the run. `context`: a prompt of a context's length, and
 * an answer behind it. `load`: loading.
 */
export type TaskKind = "speed" | "context" | "load";

/** One thing that is measured of every engine that can do it. */
export interface Task {
  readonly kind: TaskKind;
  readonly modelPath: string;
  readonly threads: number;
  /** 0 when `kind` is `load`. */
  readonly promptTokens: number;
  readonly genTokens: number;
}

/** One measurement. */
export interface Turn<E> {
  /** From 1. */
  readonly round: number;
  readonly task: Task;
  readonly engine: E;
}

type Lengths = Pick<
  BenchOptions,
  "threads" | "promptTokens" | "genTokens" | "context" | "load"
>;

/** What is measured of one model. */
export function tasksOf(modelPath: string, options: Lengths): Task[] {
  const { promptTokens, genTokens } = options;
  return options.threads.flatMap((threads): Task[] => [
    { kind: "speed", modelPath, threads, promptTokens, genTokens },
    ...options.context.map((context): Task => (
      { kind: "context", modelPath, threads, promptTokens: context, genTokens }
    )),
    ...options.load
      ? [{ kind: "load", modelPath, threads, promptTokens: 0, genTokens: 0 } as const]
      : [],
  ]);
}

/** All measurements of one model, in order. */
export function* turnsOf<E extends Pick<Engine, "measuresContexts" | "measureLoad">>(
  { tasks, engines, rounds }: {
    tasks: readonly Task[];
    engines: readonly E[];
    rounds: number;
  },
): Generator<Turn<E>> {
  for (let round = 1; round <= rounds; round++) {
    for (const task of tasks) {
      const able = engines.filter((engine) => canDo(engine, task));
      for (const engine of inTurn(able, round)) {
        yield { round, task, engine };
      }
    }
  }
}

/** All of them, another one first in every round. */
export function inTurn<T>(items: readonly T[], round: number): T[] {
  const first = (round - 1) % Math.max(1, items.length);
  return [...items.slice(first), ...items.slice(0, first)];
}

function canDo(
  engine: Pick<Engine, "measuresContexts" | "measureLoad">,
  { kind }: Task,
): boolean {
  if (kind === "context") return engine.measuresContexts;
  return kind === "speed" || engine.measureLoad !== undefined;
}
