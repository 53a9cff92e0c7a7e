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
  /** Between two matrices. Left out: gelu by tanh. */
  readonly activation?: "geluErf";
}

/**
 * The same of what a layer leaves, normalised as the tower's norms are: rows of a window are those
 * of a square, block by block, as many blocks as there are queries. A query begins as what is
 * learned + what is taken of its block; what keys and values are made of has learned positions
 * added. What comes of the queries, by one matrix, is a part of rows that come out.
 */
export interface LayerQueriesConfig extends WindowQueriesConfig {
  /** Whose outcome is asked. */
  readonly layer: number;
  /** Which row of a block is taken; null: the mean of all. */
  readonly taken: number | null;
}

/** What makes these beside queries and blocks. */
export interface LayerQueriesTensors extends WindowQueriesTensors {
  readonly norm: NormTensors;
  /** [rows of a window, d], in the reading order of its square. */
  readonly positions: MatrixTensor;
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

/** What makes a part of a row of queries: first · x, and that is all. */
export interface PartTensors {
  readonly norm: null;
  readonly first: MatrixTensor;
  readonly second: null;
}

/** Which row of a window, in reading order, is its row `row`, block by block. */
export function placeInWindow(
  row: number,
  { rows, queryCount }: Pick<WindowQueriesConfig, "rows" | "queryCount">,
): number {
  const side = Math.sqrt(rows), blocks = Math.sqrt(queryCount);
  const own = side / blocks;
  const block = Math.floor(row / own ** 2), within = row % own ** 2;
  const y = Math.floor(block / blocks) * own + Math.floor(within / own);
  return y * side + block % blocks * own + within % own;
}

/** Rows that come out of so many. */
export function windowedRows(
  { rows, queryCount }: Pick<WindowQueriesConfig, "rows" | "queryCount">,
  count: number,
): number {
  return Math.ceil(count / rows) * queryCount;
}
