/**
 * A layer of lightning attention on one rank: its own heads, from what reads the residual stream to
 * their share of its update, and the states that they leave, in places as those of state spaces.
 * What all heads give together is normalised as inner_norms.ts says: the join's factor is all that
 * ranks need of one another.
 */
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { Layer } from "../bound/layer.ts";
import type { Lightning } from "../bound/lightning.ts";
import { type Activations, multiply } from "../bound/matrix.ts";
import { HEADS, weigh } from "../step/inner_norms.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";

export class LightningBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  /** What is normalised, and how long it is: nothing is made per token. */
  readonly #outcome = { f32: 0, stride: 0, q8: 0 };
  readonly #span = { row: HEADS, width: 0 };

  constructor(state: StepState, by: { residual: Residual }) {
    this.#state = state;
    this.#residual = by.residual;
  }

  /** partial += output · (weights ⊙ scan(silu(input · residual)) ⊙ sigmoid(gate · residual)). */
  run(layer: Layer, own: Lightning): void {
    if (own.headCount > 0) {
      this.#project(own, this.#residual.read(layer.attentionNorm, own.readsQ8));
      this.#scan(own);
      this.#weighAndGate(own);
    }
    this.#residual.add(own.output, this.#state.inputs.states);
  }

  /** Rows of gates, and behind them of queries, keys and values, which go through SiLU. */
  #project({ input, gate, inputRows: stride, channelCount: width }: Lightning, x: Activations) {
    const { kernels, space, n } = this.#state;
    const { input: rows, convolved } = space.states!;
    multiply(kernels, gate, x, n, rows, stride);
    multiply(kernels, input, x, n, rows + width * 4, stride);
    kernels.silu_f32(rows + width * 4, stride, convolved, 3 * width, n, 3 * width);
  }

  /** What comes out takes the place of the first rows that went through SiLU. */
  #scan(own: Lightning): void {
    const { kernels, space, segments, segmentCount } = this.#state;
    const { inputRows: stride, channelCount: width, headCount, headDim } = own;
    const { input, convolved } = space.states!;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      const queries = convolved + row * 3 * width * 4;
      const keys = queries + width * 4;
      kernels.scan_heads_f32(
        keys + width * 4,
        3 * width,
        own.steps,
        0,
        own.decay,
        keys,
        queries,
        3 * width,
        own.skip,
        from < 0 ? 0 : own.places + from * own.placeBytes,
        own.places + to * own.placeBytes,
        input + (row * stride + width) * 4,
        stride,
        n,
        headCount,
        headDim,
        headDim,
        0,
        1,
      );
      row += n;
    }
  }

  #weighAndGate({ inputRows: stride, channelCount: width, norm }: Lightning): void {
    const { kernels, space, plan, n } = this.#state;
    const { input, out } = space.states!;
    const outcome = this.#outcome;
    outcome.f32 = input + width * 4;
    outcome.stride = stride;
    this.#span.width = width;
    weigh(this.#state, norm, outcome, this.#span);
    kernels.sigmoid_mul_f32(input, outcome.f32, stride, out, plan.strides.states, n, width);
  }
}
