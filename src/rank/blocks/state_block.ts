/**
 * State spaces on one rank: its own heads, from what reads the residual stream to their share of
 * its update, and the states that they leave for later tokens. A step names a place that each
 * segment's states are read from, and another that they are written to, so that a step that does
 * not count has changed nothing. Where channels or groups need a sum over ranks, it joins by
 * itself.
 */
import type { Control } from "../../memory/control.ts";
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { StateSpaceConfig } from "../../model/types.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, multiply, quantize, readsQ8 } from "../bound/matrix.ts";
import { cutsGroups, rankStride } from "../plan/plan_state.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import type { Residual } from "../step/residual.ts";
import type { StateSpace } from "../bound/state_space.ts";
import type { StepState } from "../step/step_state.ts";

export class StateBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #control: Control;
  readonly #shape: StateSpaceConfig;
  /** By layer: some group is shared out among ranks. */
  readonly #cutsGroups: readonly boolean[];
  /** What products of `#share` read, written for each: nothing is made per token. */
  readonly #convolved = { f32: 0, stride: 0, q8: 0 };
  readonly #steps = { f32: 0, stride: 0, q8: 0 };

  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      plans: readonly RankPlan[];
      shape: StateSpaceConfig;
    },
  ) {
    this.#state = state;
    this.#residual = by.residual;
    this.#control = by.control;
    this.#shape = by.shape;
    this.#steps.stride = rankStride(by.shape);
    this.#cutsGroups = state.plan.layers.map((_, index) => cutsGroups(by.plans, index, by.shape));
  }

  /**
   * partial += output · norm(scan(convolution(input · norm(residual))) ⊙ silu(gate)).
   * @returns false when the leader aborted the step.
   */
  run(layer: Layer, states: StateSpace): boolean {
    if (states.headCount > 0) {
      const { kernels, space, n } = this.#state;
      const x = this.#residual.read(layer.attentionNorm, states.readsQ8);
      const { input } = space.states!;
      if (states.deltas === null) multiply(kernels, states.input, x, n, input, states.inputRows);
      else this.#makeDeltas(states, states.deltas, x);
      this.#convolve(states);
    }
    if (states.shared === null) this.#takeSteps(states);
    else if (!this.#share(states, states.shared)) return false;
    if (states.headCount > 0) {
      if (states.deltas === null) this.#scan(states);
      else this.#correct(states);
      this.#gate(states);
    }
    if (
      states.deltas === null && states.norm !== 0 &&
      !this.#normalize(states, this.#cutsGroups[layer.index])
    ) return false;
    this.#residual.add(states.output, this.#state.inputs.states);
    return true;
  }

  /** The input's rows: what gates, what is convolved, rates, steps. */
  #makeDeltas(
    { input, inputRows, convolvedRow, convolvedRows, headCount }: StateSpace,
    { gate, rates, steps }: NonNullable<StateSpace["deltas"]>,
    x: Activations,
  ): void {
    const { kernels, space, n } = this.#state;
    const out = space.states!.input;
    const ratesRow = convolvedRow + convolvedRows;
    multiply(kernels, gate, x, n, out, inputRows);
    multiply(kernels, input, x, n, out + convolvedRow * 4, inputRows);
    multiply(kernels, rates, x, n, out + ratesRow * 4, inputRows);
    multiply(kernels, steps, x, n, out + (ratesRow + headCount) * 4, inputRows);
  }

  /**
   * What comes out takes the place of what was convolved; each head of it is normalised. Queries
   * and keys come first in what is convolved, then values.
   */
  #correct(states: StateSpace): void {
    const { kernels, space, segments, segmentCount, fractions: { epsilon }, n } = this.#state;
    const { taps, stateLength, headsTakeTurns } = this.#shape;
    const { inputRows, convolvedRows: width, convolvedRow, headCount, channelCount } = states;
    const { steps, convolved, input } = space.states!;
    const keys = (width - channelCount) / 2;
    const headDim = channelCount / headCount;
    const stateAt = states.places + (taps - 1) * width * 4;
    const out = input + convolvedRow * 4;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      const q = convolved + row * width * 4;
      const first = input + row * inputRows * 4;
      kernels.scan_deltas_f32(
        q,
        q + keys * 4,
        q + 2 * keys * 4,
        width,
        steps + row * headCount * 4,
        headCount,
        states.decay,
        first + (convolvedRow + width) * 4,
        inputRows,
        from < 0 ? 0 : stateAt + from * states.placeBytes,
        stateAt + to * states.placeBytes,
        first + convolvedRow * 4,
        inputRows,
        count,
        headCount,
        headDim,
        stateLength,
        keys / stateLength,
        headsTakeTurns ? 1 : 0,
        epsilon,
      );
      row += count;
    }
    kernels.head_norm_f32(out, inputRows, n, headCount, headDim, states.norm, 0, epsilon, 0);
  }

  /** convolved = silu(convolution of the input's rows, of each sequence by itself). */
  #convolve(states: StateSpace): void {
    const { kernels, space, segments, segmentCount } = this.#state;
    const { inputRows, convolvedRows: width, convolution, convolutionBias } = states;
    let x = space.states!.input + states.convolvedRow * 4;
    let out = space.states!.convolved;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      kernels.state_convolution_f32(
        x,
        inputRows,
        from < 0 ? 0 : states.places + from * states.placeBytes,
        states.places + to * states.placeBytes,
        this.#shape.taps,
        convolution,
        convolutionBias,
        out,
        width,
        n,
        width,
      );
      x += n * inputRows * 4;
      out += n * width * 4;
    }
  }

  /** steps = softplus(the input's last rows + bias): of heads. */
  #takeSteps({ headCount, inputRows, stepBias }: StateSpace): void {
    if (headCount === 0) return;
    const { kernels, space, n } = this.#state;
    const own = space.states!.input + (inputRows - headCount) * 4;
    kernels.add_bias_f32(own, inputRows, stepBias, n, headCount);
    kernels.softplus_f32(own, inputRows, space.states!.steps, headCount, n, headCount);
  }

  /**
   * What all channels make together: a sum over ranks, a small join more. steps =
   * softplus(matrix · (their part of it) + bias): of channels, or of heads.
   */
  #share(states: StateSpace, shared: NonNullable<StateSpace["shared"]>): boolean {
    const { kernels, space, arenaViews, arena, plan: { rankIndex }, n } = this.#state;
    const { stepRank, stateLength } = this.#shape;
    const { convolved, convolvedQ8, exchange, rank, rankQ8, steps } = space.states!;
    const { headCount, channelCount: width } = states;
    if (width === 0) arenaViews.states[arena][rankIndex].fill(0);
    else {
      const x = this.#convolved;
      x.f32 = convolved;
      x.stride = width;
      x.q8 = convolvedQ8;
      if (readsQ8(shared.matrix)) quantize(kernels, x, n, width);
      multiply(kernels, shared.matrix, x, n, exchange, stepRank + 2 * stateLength);
    }
    if (!this.#control.join()) return false;
    if (width === 0) return true;
    this.#addShared(shared);
    const x = this.#steps;
    x.f32 = rank;
    x.q8 = rankQ8;
    if (readsQ8(shared.steps)) quantize(kernels, x, n, stepRank);
    multiply(kernels, shared.steps, x, n, steps, headCount);
    kernels.add_bias_f32(steps, headCount, states.stepBias, n, headCount);
    kernels.softplus_f32(steps, headCount, steps, headCount, n, headCount);
    return true;
  }

  /** Σ over ranks, in their order, part by part, which some models normalise. */
  #addShared({ norms, rows }: NonNullable<StateSpace["shared"]>): void {
    const { arenaViews, arena, n } = this.#state;
    const { stepRank, stateLength } = this.#shape;
    const { rank, made } = arenaViews.stateParts[arena];
    const stride = rankStride(this.#shape);
    rank.fill(0, 0, n * stride);
    for (let t = 0; t < n; t++) {
      const row = t * (stepRank + 2 * stateLength);
      const at = t * 2 * stateLength;
      this.#addPart(rank, t * stride, row + rows[0], stepRank, norms?.[0]);
      this.#addPart(made, at, row + rows[1], stateLength, norms?.[1]);
      this.#addPart(made, at + stateLength, row + rows[2], stateLength, norms?.[2]);
    }
  }

  #addPart(to: Float32Array, at: number, from: number, count: number, weight?: Float32Array): void {
    const { arenaViews, arena, config } = this.#state;
    const all = arenaViews.states[arena];
    let squares = 0;
    for (let i = 0; i < count; i++) {
      let sum = 0;
      for (let rank = 0; rank < all.length; rank++) sum += all[rank][from + i];
      to[at + i] = sum;
      squares += sum * sum;
    }
    if (weight === undefined && !this.#shape.normalizesInputs) return;
    const factor = 1 / Math.sqrt(squares / count + config.norm.epsilon);
    for (let i = 0; i < count; i++) to[at + i] *= weight ? factor * weight[i] : factor;
  }

  /** What comes out takes the place of what was convolved. */
  #scan(states: StateSpace): void {
    const { kernels, space, segments, segmentCount } = this.#state;
    const { kind, stateLength, innerLength, headCount: allHeads, groupCount } = this.#shape;
    const { inputRows, convolvedRows: width, headCount, channelCount, decay, skip } = states;
    const areHeads = kind !== "channels", isHeads = kind === "heads";
    const { steps, convolved, made, input } = space.states!;
    const stateAt = states.places + (this.#shape.taps - 1) * width * 4;
    const bcStride = isHeads ? width : 2 * stateLength;
    const groups = isHeads ? (width - channelCount) / 2 : stateLength;
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS];
      const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
      const x = convolved + row * width * 4;
      const dt = steps + row * headCount * 4;
      const b = isHeads ? x + channelCount * 4 : made + row * bcStride * 4;
      const c = b + groups * 4;
      const before = from < 0 ? 0 : stateAt + from * states.placeBytes;
      const behind = stateAt + to * states.placeBytes;
      const out = input + (row * inputRows + states.convolvedRow) * 4;
      if (areHeads) {
        kernels.scan_heads_f32(
          x,
          width,
          dt,
          headCount,
          decay,
          b,
          c,
          bcStride,
          skip,
          before,
          behind,
          out,
          inputRows,
          n,
          headCount,
          innerLength / allHeads,
          stateLength,
          states.headOffset,
          allHeads / groupCount,
        );
      } else {
        kernels.scan_channels_f32(
          x,
          width,
          dt,
          headCount,
          decay,
          b,
          c,
          bcStride,
          skip,
          before,
          behind,
          out,
          inputRows,
          n,
          channelCount,
          stateLength,
        );
      }
      row += n;
    }
  }

  /** out = silu(gate) ⊙ what comes out; in some models sigmoid(gate). */
  #gate({ inputRows, gateRow, convolvedRow, channelCount }: StateSpace): void {
    const { kernels, space, plan, n } = this.#state;
    const { input, out } = space.states!;
    const act = this.#shape.gatesBySigmoid ? kernels.sigmoid_mul_f32 : kernels.silu_mul_f32;
    act(
      input + gateRow * 4,
      input + convolvedRow * 4,
      inputRows,
      out,
      plan.strides.states,
      n,
      channelCount,
    );
  }

  /** Group by group; the squares of one that ranks share are added up: a small join more. */
  #normalize(states: StateSpace, cutsGroups: boolean): boolean {
    const { kernels, space, plan, fractions: { epsilon }, n } = this.#state;
    const { groupLength: length, channelCount, norm } = states;
    const { out } = space.states!;
    const stride = plan.strides.states;
    if (!cutsGroups) {
      const groups = channelCount / length;
      if (groups > 0) {
        kernels.head_norm_f32(out, stride, n, groups, length, norm, length, epsilon, 0);
      }
      return true;
    }
    const { arenaViews, arena } = this.#state;
    const own = arenaViews.states[arena][plan.rankIndex];
    own.fill(0, 0, this.#shape.groupCount * plan.chunkTokens);
    this.#eachGroup(states, (group, at, width) => {
      const squares = space.states!.exchange + group * plan.chunkTokens * 4;
      kernels.row_squares_f32(out + at * 4, stride, n, width, squares);
    });
    if (!this.#control.join()) return false;
    this.#eachGroup(states, (group, at, width) => {
      kernels.scale_rows_f32(out + at * 4, stride, this.#factors(group, length), n, width);
    });
    if (channelCount > 0) kernels.mul_weight_f32(out, stride, norm, n, channelCount);
    return true;
  }

  /** Calls `visit` for the own part of each group: number, first own channel, own channels. */
  #eachGroup(
    { groupLength: length, firstChannel, channelCount }: StateSpace,
    visit: (group: number, at: number, width: number) => void,
  ): void {
    const end = firstChannel + channelCount;
    for (let at = firstChannel; at < end;) {
      const group = Math.floor(at / length);
      const width = Math.min(end, (group + 1) * length) - at;
      visit(group, at - firstChannel, width);
      at += width;
    }
  }

  /** Address of 1 / rms of a group over all ranks, f32 [n]. */
  #factors(group: number, length: number): number {
    const { arenaViews, arena, plan: { rankIndex, chunkTokens }, config, space, n } = this.#state;
    const all = arenaViews.states[arena];
    const from = group * chunkTokens;
    const to = (this.#shape.groupCount + group) * chunkTokens;
    for (let t = 0; t < n; t++) {
      let sum = 0;
      for (let rank = 0; rank < all.length; rank++) sum += all[rank][from + t];
      all[rankIndex][to + t] = 1 / Math.sqrt(sum / length + config.norm.epsilon);
    }
    return space.states!.exchange + to * 4;
  }
}
