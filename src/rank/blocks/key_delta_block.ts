/**
 * A layer of Kimi Delta Attention on one rank: its own heads, from what reads the residual stream
 * to their share of its update, and the states that they leave, in places as those of state spaces.
 */
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { KeyDeltas } from "../bound/key_deltas.ts";
import type { Layer } from "../bound/layer.ts";
import { LowRankProducts } from "../bound/low_rank.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

/** Parts of a row, as long as own heads are: what gates, what is convolved, what scans read. */
const GATE = 0, CONVOLVED = 1, STEPS = 4, BACK = 5, GOES = 6, RATES = 7;

export class KeyDeltaBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #lowRanks: LowRankProducts;
  readonly #taps: number;

  constructor(state: StepState, by: { residual: Residual }) {
    this.#state = state;
    this.#residual = by.residual;
    this.#lowRanks = new LowRankProducts(state);
    this.#taps = state.config.stateSpace!.taps;
  }

  /** partial += output · norm(scan(…)) ⊙ sigmoid(gate). */
  run(layer: Layer, deltas: KeyDeltas): void {
    if (deltas.headCount > 0) {
      this.#project(deltas, this.#residual.read(layer.attentionNorm, deltas.readsQ8));
      this.#convolve(deltas);
      this.#prepare(deltas);
      this.#scan(deltas);
      this.#gate(deltas);
    }
    this.#residual.add(deltas.output, this.#state.inputs.states);
  }

  /** Address of a part of the first row. */
  #part({ channelCount }: KeyDeltas, part: number): number {
    return this.#state.space.states!.input + part * channelCount * 4;
  }

  #project(deltas: KeyDeltas, x: Activations): void {
    const { kernels, n } = this.#state;
    const { inputRows: stride, convolved, rates, steps, gate } = deltas;
    for (let i = 0; i < convolved.length; i++) {
      multiply(kernels, convolved[i].matrix, x, n, this.#part(deltas, CONVOLVED + i), stride);
    }
    multiply(kernels, rates, x, n, this.#part(deltas, RATES), stride);
    this.#lowRanks.clear();
    this.#lowRanks.multiply(steps, x, "none", this.#part(deltas, STEPS), stride);
    this.#lowRanks.multiply(gate, x, "none", this.#part(deltas, GATE), stride);
  }

  /** Queries, keys and values, each of each sequence by itself. */
  #convolve(deltas: KeyDeltas): void {
    const { kernels, space, segments, segmentCount } = this.#state;
    const { inputRows, channelCount: width, convolved, places, placeBytes } = deltas;
    const keptBytes = (this.#taps - 1) * width * 4;
    for (let i = 0; i < convolved.length; i++) {
      let x = this.#part(deltas, CONVOLVED + i);
      let out = space.states!.convolved + i * width * 4;
      for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
        const n = segments[at + SEGMENT_ROWS];
        const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
        const first = places + i * keptBytes;
        kernels.state_convolution_f32(
          x,
          inputRows,
          from < 0 ? 0 : first + from * placeBytes,
          first + to * placeBytes,
          this.#taps,
          convolved[i].taps,
          0,
          out,
          3 * width,
          n,
          width,
        );
        x += n * inputRows * 4;
        out += n * 3 * width * 4;
      }
    }
  }

  #prepare(deltas: KeyDeltas): void {
    const { kernels, space, fractions: { epsilon }, n } = this.#state;
    const { inputRows: stride, channelCount: width, headCount, headDim, stateLength } = deltas;
    const { convolved: q } = space.states!;
    kernels.prepare_key_deltas_f32(
      q,
      q + width * 4,
      q + 2 * width * 4,
      3 * width,
      this.#part(deltas, STEPS),
      this.#part(deltas, BACK),
      this.#part(deltas, GOES),
      this.#part(deltas, RATES),
      stride,
      deltas.decay,
      n,
      headCount,
      headDim,
      stateLength,
      epsilon,
      deltas.decayFloor,
    );
  }

  /** What comes out takes the place of what was convolved. */
  #scan(deltas: KeyDeltas): void {
    const { kernels, space, segments, segmentCount, fractions: { epsilon }, n } = this.#state;
    const { inputRows: stride, channelCount: width, places, placeBytes } = deltas;
    const { headCount, headDim, stateLength } = deltas;
    const states = places + 3 * (this.#taps - 1) * width * 4;
    const out = this.#part(deltas, CONVOLVED);
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      const q = space.states!.convolved + row * 3 * width * 4;
      const first = row * stride * 4;
      kernels.scan_keyed_f32(
        q,
        q + width * 4,
        3 * width,
        this.#part(deltas, STEPS) + first,
        this.#part(deltas, BACK) + first,
        this.#part(deltas, GOES) + first,
        stride,
        q + 2 * width * 4,
        3 * width,
        from < 0 ? 0 : states + from * placeBytes,
        states + to * placeBytes,
        out + first,
        stride,
        count,
        headCount,
        headDim,
        stateLength,
      );
      row += count;
    }
    kernels.head_norm_f32(out, stride, n, headCount, headDim, deltas.norm, 0, epsilon, 0);
  }

  #gate(deltas: KeyDeltas): void {
    const { kernels, space, plan, n } = this.#state;
    kernels.sigmoid_mul_f32(
      this.#part(deltas, GATE),
      this.#part(deltas, CONVOLVED),
      deltas.inputRows,
      space.states!.out,
      plan.strides.states,
      n,
      deltas.channelCount,
    );
  }
}
