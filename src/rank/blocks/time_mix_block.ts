/**
 * A layer of RWKV-7 on one rank: its own heads, from what reads the residual stream to their share
 * of its update, and the states that they leave for later tokens, in places as those of state
 * spaces. Needs no other rank: what is made of low rank is made everywhere.
 */
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { floats } from "../bound/arena_views.ts";
import type { Layer } from "../bound/layer.ts";
import { type BetweenAct, type LowRank, LowRankProducts } from "../bound/low_rank.ts";
import { type Activations, type Matrix, multiply, quantize, readsQ8 } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import { shiftRows } from "../step/row_shift.ts";
import type { StepState } from "../step/step_state.ts";
import { NORM_EPSILON, type TimeMix } from "../bound/time_mix.ts";

/** What shares of `TimeMix.shifts` are for, in their order. */
const RECEPTANCE = 0, DECAY = 1, KEY = 2, VALUE = 3, RATE = 4, GATE = 5;
/** Parts of a row of `StateWorkspace.input`; the last one has what keys bring back. */
const BACK = 6;
const PARTS = 7;

export class TimeMixBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  /** First values of steps of so many tokens, [n][arena]; each [n, own inner]. */
  readonly #firstViews: Float32Array[][] = [];
  readonly #memories: readonly WebAssembly.Memory[];
  /** Where a step's first values are. */
  #firstArena = 0;
  readonly #lowRanks: LowRankProducts;
  /** By arena: where rows are mixed with those before them. */
  readonly #rows: readonly Activations[];
  /** Where the layer's values are, and floats from one token's to the next one's. */
  #values = 0;
  #valueStride = 0;
  /** Boxed once: `Fractions`. */
  readonly #fractions: { epsilon: number | null } = { epsilon: null };

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: { residual: Residual; memories: readonly WebAssembly.Memory[] },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#memories = by.memories;
    this.#lowRanks = new LowRankProducts(state);
    const { workspaces, strides: { embedding: stride } } = state.plan;
    this.#rows = workspaces.map(({ states }) => (
      { f32: states?.convolved ?? 0, stride, q8: states?.convolvedQ8 ?? 0 }
    ));
    this.#fractions.epsilon = NORM_EPSILON;
  }

  /** partial += output · gate ⊙ (norm(scan(…)) + what goes around it). */
  run(layer: Layer, mix: TimeMix): void {
    if (mix.headCount > 0) {
      const x = this.#residual.read(layer.attentionNorm, false).f32;
      this.#lowRanks.clear();
      this.#makeKeys(mix, x);
      this.#makeValues(mix, x);
      if (mix.gate !== null) {
        this.#makeLowRank(mix.gate, this.#shifted(mix, x, GATE), "sigmoid", GATE, mix);
      }
      this.#scan(mix);
    }
    this.#residual.add(mix.output, this.#state.inputs.states);
  }

  /** Floats of own heads: a part of a row. */
  #width({ headCount, headDim }: TimeMix): number {
    return headCount * headDim;
  }

  /** Address of a part of the first row. */
  #part(mix: TimeMix, part: number): number {
    return this.#state.space.states!.input + part * this.#width(mix) * 4;
  }

  /** The layer's rows mixed with those before them by one of its shares. */
  #shifted(mix: TimeMix, x: number, share: number): Activations {
    const rows = this.#rows[this.#state.arena];
    // The first one asks first: a segment may go on behind one of the same step.
    shiftRows(this.#state, mix.shifts[share], x, rows.f32, share === RECEPTANCE);
    return rows;
  }

  #makeKeys(mix: TimeMix, x: number): void {
    const { kernels, n } = this.#state;
    const width = this.#width(mix);
    this.#multiply(mix.receptance, this.#shifted(mix, x, RECEPTANCE), RECEPTANCE, mix);
    this.#makeLowRank(mix.decay, this.#shifted(mix, x, DECAY), "tanh", DECAY, mix);
    this.#multiply(mix.key, this.#shifted(mix, x, KEY), KEY, mix);
    this.#makeLowRank(mix.rate, this.#shifted(mix, x, RATE), "none", RATE, mix);
    kernels.prepare_keyed_f32(
      this.#part(mix, KEY),
      this.#part(mix, DECAY),
      this.#part(mix, RATE),
      this.#part(mix, BACK),
      PARTS * width,
      mix.keyScale,
      mix.keyRate,
      n,
      mix.headCount,
      mix.stateLength,
    );
  }

  /** Makes the layer's values: those of the first layer stay for the step. */
  #makeValues(mix: TimeMix, x: number): void {
    const { kernels, space, arena, n } = this.#state;
    const width = this.#width(mix);
    const { first, steps } = space.states!;
    const rows = this.#shifted(mix, x, VALUE);
    if (mix.firstValue === null) {
      this.#firstArena = arena;
      if (readsQ8(mix.value)) this.#quantize(rows);
      multiply(kernels, mix.value, rows, n, first, width);
      this.#values = first;
      this.#valueStride = width;
      return;
    }
    this.#carryFirst(width);
    const at = this.#part(mix, VALUE), stride = PARTS * width;
    this.#values = at;
    this.#valueStride = stride;
    this.#multiply(mix.value, rows, VALUE, mix);
    if (readsQ8(mix.firstValue.reader)) this.#quantize(rows);
    this.#lowRanks.multiply(mix.firstValue, rows, "none", steps, width);
    kernels.approach_f32(at, stride, first, width, steps, width, n, width);
  }

  /** Takes the first layer's values along where the layers change arenas. */
  #carryFirst(width: number): void {
    const { plan: { workspaces }, arena, n } = this.#state;
    if (arena === this.#firstArena) return;
    const views = this.#firstViews[n] ??= workspaces.map(({ states }, index) =>
      floats(this.#memories[index], states!.first, n * width)
    );
    views[arena].set(views[this.#firstArena]);
    this.#firstArena = arena;
  }

  #quantize(x: Activations): void {
    const { kernels, config, n } = this.#state;
    quantize(kernels, x, n, config.embeddingLength);
  }

  #multiply(matrix: Matrix, x: Activations, part: number, mix: TimeMix): void {
    const { kernels, n } = this.#state;
    if (readsQ8(matrix)) this.#quantize(x);
    multiply(kernels, matrix, x, n, this.#part(mix, part), PARTS * this.#width(mix));
  }

  #makeLowRank(low: LowRank, x: Activations, act: BetweenAct, part: number, mix: TimeMix): void {
    if (readsQ8(low.reader)) this.#quantize(x);
    this.#lowRanks.multiply(low, x, act, this.#part(mix, part), PARTS * this.#width(mix));
  }

  #scan(mix: TimeMix): void {
    const { kernels, space, segments, segmentCount, plan, n } = this.#state;
    const { headCount, headDim, stateLength, places, placeBytes, rowsBytes } = mix;
    const { out } = space.states!;
    const stride = PARTS * this.#width(mix), outStride = plan.strides.states;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      const first = row * stride * 4;
      kernels.scan_keyed_f32(
        this.#part(mix, RECEPTANCE) + first,
        this.#part(mix, KEY) + first,
        stride,
        this.#part(mix, DECAY) + first,
        this.#part(mix, BACK) + first,
        this.#part(mix, RATE) + first,
        stride,
        this.#values + row * this.#valueStride * 4,
        this.#valueStride,
        from < 0 ? 0 : places + from * placeBytes + rowsBytes,
        places + to * placeBytes + rowsBytes,
        out + row * outStride * 4,
        outStride,
        count,
        headCount,
        headDim,
        stateLength,
      );
      row += count;
    }
    if (mix.norm !== 0) this.#normalize(mix);
    kernels.add_bonus_f32(
      this.#part(mix, RECEPTANCE),
      this.#part(mix, KEY),
      stride,
      mix.bonus,
      this.#values,
      this.#valueStride,
      out,
      outStride,
      n,
      headCount,
      headDim,
      stateLength,
    );
    if (mix.gate !== null) this.#gate(mix);
  }

  #normalize({ norm, normBias, headCount, headDim }: TimeMix): void {
    const { kernels, space, plan, n } = this.#state;
    const { out } = space.states!;
    const stride = plan.strides.states;
    const epsilon = this.#fractions.epsilon!;
    kernels.head_norm_f32(out, stride, n, headCount, headDim, norm, headDim, epsilon, 1);
    kernels.add_bias_f32(out, stride, normBias, n, headCount * headDim);
  }

  /** out ⊙= gate. */
  #gate(mix: TimeMix): void {
    const { kernels, space, plan, n } = this.#state;
    const stride = plan.strides.states;
    const width = this.#width(mix);
    for (let t = 0; t < n; t++) {
      const gate = this.#part(mix, GATE) + t * PARTS * width * 4;
      kernels.mul_weight_f32(space.states!.out + t * stride * 4, stride, gate, 1, width);
    }
  }
}
