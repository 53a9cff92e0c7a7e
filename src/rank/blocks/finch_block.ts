/**
 * A layer of RWKV-6 on one rank: its own heads, from what reads the residual stream to their share
 * of its update, and the states that they leave, in places as those of state spaces. Needs no other
 * rank: what moves shares of rows is computed everywhere.
 */
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { Finch } from "../bound/finch.ts";
import type { Layer } from "../bound/layer.ts";
import { LowRankProducts } from "../bound/low_rank.ts";
import {
  type Activations,
  type Matrix,
  multiply,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { rankStride } from "../plan/plan_state.ts";
import type { Residual } from "../step/residual.ts";
import { shiftRows } from "../step/row_shift.ts";
import type { StepState } from "../step/step_state.ts";
import { NORM_EPSILON } from "../bound/time_mix.ts";

/** Shares, in their order. */
const OF_DECAYS = 0, OF_KEYS = 1, OF_VALUES = 2, OF_RECEPTANCES = 3, OF_GATES = 4;
/** Parts of a row, as long as own heads are; the last one takes what comes out. */
const RECEPTANCE = 0, DECAY = 1, KEY = 2, VALUE = 3, GATE = 4, OUTCOME = 5;
const PARTS = 6;

export class FinchBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #lowRanks: LowRankProducts;
  readonly #rankStride: number;
  /** By arena: where rows are mixed with those before them. */
  readonly #rows: readonly Activations[];
  /** Written for each product and each shift, for nothing is made per token. */
  readonly #between = { f32: 0, stride: 0, q8: 0 };
  readonly #shift = { weights: 0, weightsStride: 0, places: 0, placeBytes: 0 };
  /** Boxed once: `Fractions`. */
  readonly #fractions: { epsilon: number | null; scale: number | null } = {
    ...{ epsilon: null, scale: null },
  };

  constructor(state: StepState, by: { residual: Residual }) {
    this.#state = state;
    this.#residual = by.residual;
    this.#lowRanks = new LowRankProducts(state);
    const shape = state.config.stateSpace!;
    this.#rankStride = rankStride(shape);
    this.#between.stride = this.#rankStride;
    const { workspaces, strides: { embedding: stride } } = state.plan;
    this.#rows = workspaces.map(({ states }) => (
      { f32: states?.convolved ?? 0, stride, q8: states?.convolvedQ8 ?? 0 }
    ));
    this.#fractions.epsilon = NORM_EPSILON;
    this.#fractions.scale = 1 / Math.sqrt(shape.stateLength);
  }

  /** partial += output · act(gate) ⊙ norm(scan(…)). */
  run(layer: Layer, finch: Finch): void {
    if (finch.headCount > 0) {
      const x = this.#residual.read(layer.attentionNorm, false).f32;
      this.#makeMoves(finch, x);
      this.#project(finch, finch.key, this.#shifted(finch, x, OF_KEYS), KEY);
      this.#project(finch, finch.value, this.#shifted(finch, x, OF_VALUES), VALUE);
      this.#project(finch, finch.receptance, this.#shifted(finch, x, OF_RECEPTANCES), RECEPTANCE);
      this.#project(finch, finch.gate, this.#shifted(finch, x, OF_GATES), GATE);
      // Last: what lies between its matrices takes the place of what moves shares.
      this.#makeDecays(finch, this.#shifted(finch, x, OF_DECAYS));
      this.#scan(finch);
      this.#finish(finch);
    }
    this.#residual.add(finch.output, this.#state.inputs.states);
  }

  /** Address of a part of the first row. */
  #part({ channelCount }: Finch, part: number): number {
    return this.#state.space.states!.input + part * channelCount * 4;
  }

  /** What moves all five shares, tanh(W · row), in the place between two matrices. */
  #makeMoves(finch: Finch, x: number): void {
    const { kernels, space, n } = this.#state;
    const { rank } = space.states!;
    const { moves } = finch;
    this.#shift.weights = finch.first;
    this.#shift.weightsStride = 0;
    const rows = this.#mixed(finch, x, true);
    this.#lowRanks.clear();
    if (readsQ8(moves)) this.#quantize(rows);
    multiply(kernels, moves, rows, n, rank, this.#rankStride);
    kernels.soft_cap_f32(rank, n * this.#rankStride, 1);
  }

  /** The layer's rows mixed with those before them by a share that each has for itself. */
  #shifted(finch: Finch, x: number, part: number): Activations {
    const { kernels, space, config: { embeddingLength: d }, plan, n } = this.#state;
    const { rank, rankQ8, steps } = space.states!;
    const { weights, moves } = finch.shares[part];
    const between = this.#between;
    between.f32 = rank + part * moves.columnCount * 4;
    between.q8 = rankQ8;
    const stride = plan.strides.embedding;
    if (readsQ8(moves)) quantize(kernels, between, n, moves.columnCount);
    multiply(kernels, moves, between, n, steps, stride);
    kernels.add_bias_f32(steps, stride, weights, n, d);
    this.#shift.weights = steps;
    this.#shift.weightsStride = stride;
    return this.#mixed(finch, x, false);
  }

  /** Rows mixed by the weights of `#shift`. */
  #mixed({ places, placeBytes }: Finch, x: number, keeps: boolean): Activations {
    const rows = this.#rows[this.#state.arena];
    this.#shift.places = places;
    this.#shift.placeBytes = placeBytes;
    shiftRows(this.#state, this.#shift, x, rows.f32, keeps);
    return rows;
  }

  #quantize(x: Activations): void {
    const { kernels, config, n } = this.#state;
    quantize(kernels, x, n, config.embeddingLength);
  }

  #project(finch: Finch, matrix: Matrix, x: Activations, part: number): void {
    const { kernels, n } = this.#state;
    if (readsQ8(matrix)) this.#quantize(x);
    project(kernels, matrix, x, n, this.#part(finch, part), PARTS * finch.channelCount);
  }

  #makeDecays(finch: Finch, x: Activations): void {
    const { kernels, n } = this.#state;
    const { decay, channelCount, readsBefore } = finch;
    const stride = PARTS * channelCount;
    const out = this.#part(finch, DECAY);
    if (readsQ8(decay.reader)) this.#quantize(x);
    this.#lowRanks.multiply(decay, x, "tanh", out, stride);
    const key = this.#part(finch, KEY);
    kernels.prepare_added_f32(out, key, stride, readsBefore ? 0 : 1, n, channelCount);
  }

  #scan(finch: Finch): void {
    const { kernels, segments, segmentCount } = this.#state;
    const { channelCount, headCount, headDim, stateLength, readsBefore } = finch;
    const { places, placeBytes, rowsBytes } = finch;
    const stride = PARTS * channelCount;
    let first = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      kernels.scan_added_f32(
        this.#part(finch, RECEPTANCE) + first,
        this.#part(finch, DECAY) + first,
        this.#part(finch, KEY) + first,
        this.#part(finch, VALUE) + first,
        stride,
        readsBefore ? 1 : 0,
        from < 0 ? 0 : places + from * placeBytes + rowsBytes,
        places + to * placeBytes + rowsBytes,
        this.#part(finch, OUTCOME) + first,
        stride,
        count,
        headCount,
        headDim,
        stateLength,
      );
      first += count * stride * 4;
    }
  }

  /** What goes around the state, the norm, and the gate. */
  #finish(finch: Finch): void {
    const { kernels, space, plan, n } = this.#state;
    const { channelCount: width, headCount, headDim, stateLength, bonus, norm } = finch;
    const stride = PARTS * width;
    const out = this.#part(finch, OUTCOME), value = this.#part(finch, VALUE);
    const gate = this.#part(finch, GATE);
    const { epsilon, scale } = this.#fractions;
    if (bonus === 0) kernels.scale_f32(out, stride, n, width, scale!);
    else {
      kernels.add_bonus_f32(
        this.#part(finch, RECEPTANCE),
        this.#part(finch, KEY),
        stride,
        bonus,
        value,
        stride,
        out,
        stride,
        n,
        headCount,
        headDim,
        stateLength,
      );
    }
    if (norm !== 0) {
      kernels.head_norm_f32(out, stride, n, headCount, headDim, norm, headDim, epsilon!, 1);
      kernels.add_bias_f32(out, stride, finch.normBias, n, width);
    }
    const act = finch.readsBefore ? kernels.silu_mul_f32 : kernels.sigmoid_mul_f32;
    act(gate, out, stride, space.states!.out, plan.strides.states, n, width);
  }
}
