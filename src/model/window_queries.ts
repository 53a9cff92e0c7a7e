/**
 * Learned queries that take what they want of windows of a tower's rows, layer by layer: what
 * llama.cpp calls a Q-Former. Data only.
 */
import type { MatrixTensor, NormTensors } from "./types.ts";

/**
 * Rows come in windows of `rows`, what the last one lacks being zeros, and of each come as many as
 * there are queries, which are normalised first. Each block adds to them what they take of one
 * another, then what they take of their window, then second · gelu(first · x), and normalises all
 * numbers behind each of the three.
 */
export interface WindowQueriesConfig {
  /** Of a window, and queries of it. */
  readonly rows: number;
  readonly queryCount: number;
  /** Numbers of a query, E. */
  readonly width: number;
  readonly headDim: number;
  /** Of its norms, which are of layers. */
  readonly epsilon: number;
}

/** Heads that ask: [E, E] each, but what makes keys and values of a tower's rows: [E, d]. */
export interface AskingTensors {
  readonly query: MatrixTensor;
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  readonly output: MatrixTensor;
  readonly norm: NormTensors;
}

export interface WindowQueriesTensors {
  /** [queryCount, E] */
  readonly queries: MatrixTensor;
  readonly queryNorm: NormTensors;
  readonly blocks: readonly WindowQueriesBlock[];
}

export interface WindowQueriesBlock {
  /** Of one another, and of a window. */
  readonly own: AskingTensors;
  readonly window: AskingTensors;
  /** [neurons, E], [E, neurons]. */
  readonly first: MatrixTensor;
  readonly second: MatrixTensor;
  readonly norm: NormTensors;
}

/** Rows that come out of so many. */
export function windowedRows(
  { rows, queryCount }: Pick<WindowQueriesConfig, "rows" | "queryCount">,
  count: number,
): number {
  return Math.ceil(count / rows) * queryCount;
}
