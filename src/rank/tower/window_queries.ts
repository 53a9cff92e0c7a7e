/**
 * Learned queries that take what they want of windows of a tower's rows, block by block; of each a
 * rank has some heads and some neurons. What they give are sums over ranks, so it joins three times
 * a block. Knows nothing of what follows.
 */
import type { Control } from "../../memory/control.ts";
import {
  type LayerQueriesConfig,
  placeInWindow,
  type WindowQueriesConfig,
} from "../../model/window_queries.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import type { AskingPlan, WindowQueriesPlan } from "../plan/plan_window_queries.ts";
import type { MatrixPlan, RankPlan } from "../plan/plan_types.ts";
import type { StepState } from "../step/step_state.ts";
import { soften } from "./soften.ts";

/** What queries of windows are made of. */
export interface WindowQueriesInput {
  readonly control: Control;
  readonly config: WindowQueriesConfig;
  readonly plan: WindowQueriesPlan;
  /** Of what a layer leaves: how queries begin, and positions. Left out: they are as learned. */
  readonly begin?: Pick<LayerQueriesConfig, "taken"> & { readonly positions: MatrixPlan };
  /** Which of the sums are written next, by all that share them. */
  readonly turns: { now: number };
  readonly plans: readonly RankPlan[];
  /** [rank][arena] */
  readonly all: readonly (readonly WebAssembly.Memory[])[];
}

interface Asking {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly output: Matrix;
  readonly norm: Norm;
}

interface Block {
  readonly own: Asking;
  readonly window: Asking;
  readonly first: Matrix;
  readonly second: Matrix;
  readonly norm: Norm;
}

/** Rows of floats, as they lie. */
interface LyingRows {
  readonly floats: Float32Array;
  readonly stride: number;
}

/** What heads ask: so many rows of each window. */
interface Asked {
  readonly rows: Activations;
  /** Rows that there are. */
  readonly count: number;
  readonly ofWindow: number;
}

export class WindowQueries {
  readonly #state: StepState;
  readonly #in: WindowQueriesInput;
  readonly #blocks: readonly Block[];
  readonly #queryNorm: Norm;
  readonly #scale: number;
  /** [queryCount, E] as it lies. */
  readonly #learned: LyingRows;
  /** [rows of a window, d], in the reading order of its square; null: keys know no positions. */
  readonly #positions: LyingRows | null;
  /** What queries have become, [queries, stride]. */
  readonly #x: Activations;
  readonly #mixed: Activations;
  readonly #hidden: Activations;
  readonly #views: Readonly<
    Record<"x" | "mixed" | "hidden" | "query" | "key" | "value", Float32Array>
  >;
  readonly #at: Readonly<Record<"query" | "key" | "value", number>>;
  /** Of all ranks, [2, queries, stride]. */
  readonly #sums: readonly Float32Array[];
  /** All of the arena. */
  readonly #arena: Float32Array;
  /** Of one query's head, and what it takes, [headDim]. */
  readonly #scores: Float32Array;
  readonly #taken: Float64Array;
  /** Of a step. */
  #windows = 0;
  #count = 0;

  constructor(state: StepState, input: WindowQueriesInput) {
    const { plan: { outputArena: arena, workspaces: own, rankIndex } } = state;
    const { plan, config, plans, all } = input;
    const memory = all[rankIndex][arena];
    const { windows: region } = own[arena].projector!;
    const { strides, ...at } = plan.places;
    const { queriesMax: most } = plan;
    this.#state = state;
    this.#in = input;
    this.#blocks = plan.blocks.map(({ own, window, first, second, norm }) => ({
      ...{ own: bindAsking(own), window: bindAsking(window) },
      ...{ first: matrixOf(first), second: matrixOf(second), norm: bindNorm(norm) },
    }));
    this.#queryNorm = bindNorm(plan.queryNorm);
    this.#scale = 1 / Math.sqrt(config.headDim);
    this.#learned = lyingRows(memory, plan.queries, config.queryCount);
    const { begin } = input;
    this.#positions = begin ? lyingRows(memory, begin.positions, config.rows) : null;
    const rowsAt = (f32: number, q8: number, stride: number): Activations => (
      { f32: region + f32, q8: region + q8, stride }
    );
    this.#x = rowsAt(at.queries, at.queriesQ8, strides.queries);
    this.#mixed = rowsAt(at.mixed, at.mixedQ8, strides.mixed);
    this.#hidden = rowsAt(at.hidden, at.hiddenQ8, strides.hidden);
    this.#at = { query: region + at.query, key: region + at.key, value: region + at.value };
    const view = (place: number, end: number) => floats(memory, region + place, (end - place) / 4);
    const rowsOf = (place: number, stride: number) => view(place, place + 4 * most * stride);
    this.#views = {
      ...{ x: rowsOf(at.queries, strides.queries), mixed: rowsOf(at.mixed, strides.mixed) },
      hidden: rowsOf(at.hidden, strides.hidden),
      ...{ query: view(at.query, at.key), key: view(at.key, at.value) },
      value: view(at.value, at.value + at.value - at.key),
    };
    this.#sums = plans.map(({ workspaces }, rank) => {
      const { windowSums } = workspaces[arena].projector!;
      return floats(all[rank][arena], windowSums, 2 * most * strides.queries);
    });
    this.#arena = floats(memory, 0, memory.buffer.byteLength / 4);
    this.#scores = new Float32Array(Math.max(config.rows, config.queryCount));
    this.#taken = new Float64Array(config.headDim);
  }

  /**
   * What queries take of the first n rows of `normed`, as long as the step lasts, or until others
   * run; null: the leader aborted it. Positions are added to these rows.
   */
  run(n: number): Activations | null {
    const { space, plan: { strides: { embedding: stride } } } = this.#state;
    const { rows, queryCount } = this.#in.config;
    this.#windows = Math.ceil(n / rows);
    this.#count = this.#windows * queryCount;
    this.#begin();
    this.#place(n);
    const tower = { f32: space.normed, stride, q8: space.normedQ8 };
    for (const { own, window, first, second, norm } of this.#blocks) {
      const themselves = { rows: this.#x, count: this.#count, ofWindow: queryCount };
      if (!this.#ask(own, themselves)) return null;
      if (!this.#ask(window, { rows: tower, count: n, ofWindow: rows })) return null;
      this.#feed(first, second);
      if (!this.#join(norm)) return null;
    }
    return this.#x;
  }

  /** x = norm(queries), of each window. */
  #begin(): void {
    const { config: { queryCount, width } } = this.#in;
    const { x } = this.#views, { stride } = this.#x;
    const { floats: learned, stride: step } = this.#learned;
    x.fill(0, 0, this.#count * stride);
    for (let i = 0; i < queryCount; i++) {
      x.set(learned.subarray(i * step, i * step + width), i * stride);
    }
    const { begin } = this.#in;
    if (begin === undefined) this.#normalize(this.#queryNorm, queryCount);
    const window = queryCount * stride;
    for (let i = 1; i < this.#windows; i++) x.copyWithin(i * window, 0, window);
    if (begin === undefined) return;
    this.#takeOfBlocks(begin.taken);
    this.#normalize(this.#queryNorm, this.#count);
  }

  /** x += of each query's block the row `taken`, or the mean of all. */
  #takeOfBlocks(taken: number | null): void {
    const { config: { rows, queryCount, width } } = this.#in;
    const { space, plan: { strides: { embedding } } } = this.#state;
    const { x } = this.#views, { stride } = this.#x;
    const own = rows / queryCount;
    const [first, end] = taken === null ? [0, own] : [taken, taken + 1];
    const share = 1 / (end - first);
    for (let query = 0; query < this.#count; query++) {
      for (let row = first; row < end; row++) {
        const from = space.normed / 4 + (query * own + row) * embedding;
        for (let i = 0, to = query * stride; i < width; i++, to++) {
          x[to] += share * this.#arena[from + i];
        }
      }
    }
  }

  /** normed [n] += positions within windows. */
  #place(n: number): void {
    if (this.#positions === null) return;
    const { config } = this.#in;
    const { space, plan: { strides: { embedding } } } = this.#state;
    const { floats: learned, stride } = this.#positions;
    for (let row = 0; row < n; row++) {
      const from = placeInWindow(row % config.rows, config) * stride;
      const to = space.normed / 4 + row * embedding;
      for (let i = 0; i < config.width; i++) this.#arena[to + i] += learned[from + i];
    }
  }

  #normalize(norm: Norm, count: number): void {
    const { kernels, space: { ones } } = this.#state;
    const { config: { width, epsilon } } = this.#in;
    const { f32: x, stride } = this.#x;
    normalizeRows(kernels, "layer", norm, ones, x, stride, x, stride, count, width, epsilon);
  }

  /**
   * x = norm(x + output · what heads take of their window's rows).
   * @returns false when the leader aborted the step.
   */
  #ask(asking: Asking, asked: Asked): boolean {
    const { plan: { headCount }, config: { headDim } } = this.#in;
    const { query, key, value, output } = asking;
    if (headCount > 0) {
      const own = headCount * headDim;
      this.#project(query, this.#x, this.#count, this.#at.query);
      this.#project(key, asked.rows, asked.count, this.#at.key);
      this.#project(value, asked.rows, asked.count, this.#at.value);
      // Rows that a window lacks are zeros, of which biases are left.
      const lacks = this.#windows * asked.ofWindow - asked.count;
      this.#lay(key, this.#views.key, asked.count * own, lacks);
      this.#lay(value, this.#views.value, asked.count * own, lacks);
      this.#mix(asked.ofWindow, own);
    }
    this.#sum(output, this.#mixed, headCount > 0);
    return this.#join(asking.norm);
  }

  /** to [count, own numbers] = matrix · x */
  #project(matrix: Matrix, x: Activations, count: number, to: number): void {
    const { kernels } = this.#state;
    if (readsQ8(matrix)) quantize(kernels, x, count, matrix.columnCount);
    project(kernels, matrix, x, count, to, matrix.rowCount);
  }

  #lay({ bias, rowCount }: Matrix, rows: Float32Array, from: number, count: number): void {
    const of = this.#arena.subarray(bias / 4, bias / 4 + rowCount);
    for (let i = 0, at = from; i < count; i++, at += rowCount) {
      if (bias === 0) rows.fill(0, at, at + rowCount);
      else rows.set(of, at);
    }
  }

  /** mixed = what own heads of each query take of so many rows of its window. */
  #mix(ofWindow: number, own: number): void {
    const { config: { queryCount, headDim } } = this.#in;
    const { mixed } = this.#views, { stride } = this.#mixed;
    mixed.fill(0, 0, this.#count * stride);
    for (let row = 0; row < this.#count; row++) {
      const first = Math.floor(row / queryCount) * ofWindow * own;
      for (let head = 0; head < own; head += headDim) {
        this.#score(row * own + head, first + head, ofWindow, own);
        this.#take(first + head, ofWindow, own, row * stride + head);
      }
    }
  }

  #score(query: number, key: number, count: number, own: number): void {
    const { query: queries, key: keys } = this.#views;
    const scores = this.#scores, { headDim } = this.#in.config;
    for (let row = 0; row < count; row++) {
      let sum = 0;
      for (let i = 0; i < headDim; i++) sum += queries[query + i] * keys[key + row * own + i];
      scores[row] = this.#scale * sum;
    }
    soften(scores, count, 1, count);
  }

  #take(value: number, count: number, own: number, to: number): void {
    const { value: values, mixed } = this.#views;
    const scores = this.#scores, taken = this.#taken;
    const { length } = taken.fill(0);
    for (let row = 0, from = value; row < count; row++, from += own) {
      const share = scores[row];
      for (let i = 0; i < length; i++) taken[i] += share * values[from + i];
    }
    for (let i = 0; i < length; i++) mixed[to + i] = taken[i];
  }

  /** Own share of second · act(first · x). */
  #feed(first: Matrix, second: Matrix): void {
    const { kernels } = this.#state;
    const { f32, stride } = this.#hidden;
    const { rowCount } = first;
    if (rowCount > 0) {
      this.#views.hidden.fill(0, 0, this.#count * stride);
      if (readsQ8(first)) quantize(kernels, this.#x, this.#count, first.columnCount);
      project(kernels, first, this.#x, this.#count, f32, stride);
      const { activation = "gelu" } = this.#in.config;
      aloneKernel(kernels, activation)(f32, stride, f32, stride, this.#count, rowCount);
    }
    this.#sum(second, this.#hidden, rowCount > 0);
  }

  /** sums = matrix · x, own columns of both; of none, its bias where it is this rank's to add. */
  #sum(matrix: Matrix, x: Activations, isThere: boolean): void {
    const { kernels, plan: { rankIndex, workspaces, outputArena } } = this.#state;
    const { stride } = this.#x;
    const from = this.#in.turns.now * this.#in.plan.queriesMax * stride;
    this.#sums[rankIndex].fill(0, from, from + this.#count * stride);
    const to = workspaces[outputArena].projector!.windowSums + 4 * from;
    if (isThere) {
      if (readsQ8(matrix)) quantize(kernels, x, this.#count, matrix.columnCount);
      project(kernels, matrix, x, this.#count, to, stride);
    } else if (matrix.bias !== 0) {
      kernels.add_bias_f32(to, stride, matrix.bias, this.#count, matrix.rowCount);
    }
  }

  /**
   * x = norm(x + sums of all ranks), in their order: the same bits on all of them.
   * @returns false when the leader aborted the step.
   */
  #join(norm: Norm): boolean {
    if (!this.#in.control.join()) return false;
    const { config: { width }, plan: { queriesMax }, turns } = this.#in;
    const { x } = this.#views, { stride } = this.#x;
    const from = turns.now * queriesMax * stride;
    for (const sums of this.#sums) {
      for (let row = 0; row < this.#count; row++) {
        const at = row * stride;
        for (let i = 0; i < width; i++) x[at + i] += sums[from + at + i];
      }
    }
    this.#normalize(norm, this.#count);
    // Others may read these sums until they come to the next join.
    turns.now = 1 - turns.now;
    return true;
  }
}

function lyingRows(
  memory: WebAssembly.Memory,
  { offsetBytes, rowStrideBytes }: MatrixPlan,
  count: number,
): LyingRows {
  const stride = rowStrideBytes / 4;
  return { floats: floats(memory, offsetBytes, count * stride), stride };
}

function bindAsking({ query, key, value, output, norm }: AskingPlan): Asking {
  return {
    ...{ query: matrixOf(query), key: matrixOf(key), value: matrixOf(value) },
    ...{ output: matrixOf(output), norm: bindNorm(norm) },
  };
}
