/**
 * Gates that are cut off: what is above the mean of a token's gates and some standard deviations
 * more counts as what it is above it, all else as zero. So most neurons are silent, and they are
 * left out as those of ReLU are. The mean is over all ranks' neurons: a small join.
 */
import type { Control } from "../../memory/control.ts";
import { floats, floats64 } from "../bound/arena_views.ts";
import type { Dense } from "../bound/bound_blocks.ts";
import { type Activations, project } from "../bound/matrix.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import type { StepState } from "../step/step_state.ts";

export class GateCutoff {
  readonly #state: StepState;
  readonly #control: Control;
  /** By rank: how many neurons of a layer each has, by layer, and what it made of their gates. */
  readonly #counts: readonly (readonly number[])[];
  /** [arena][rank], each [tokens, 2]: the mean, and Σ (gate − mean)². */
  readonly #moments: readonly (readonly Float64Array[])[];
  /** By arena, [tokens · own neurons]. */
  readonly #gates: readonly Float32Array[];

  /** memories: of this rank; all: [rank][arena]. */
  constructor(
    state: StepState,
    by: {
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly WebAssembly.Memory[];
      all: readonly (readonly WebAssembly.Memory[])[];
    },
  ) {
    const { plan } = state;
    this.#state = state;
    this.#control = by.control;
    this.#counts = by.plans.map(({ layers }) =>
      layers.map(({ feedForward }) =>
        feedForward?.kind === "dense" ? lengthOf(feedForward.up.rows) : 0
      )
    );
    this.#moments = plan.workspaces.map((_, arena) =>
      by.plans.map(({ workspaces, chunkTokens }, rank) =>
        floats64(by.all[rank][arena], workspaces[arena].gateMoments, 2 * chunkTokens)
      )
    );
    const widest = Math.max(...this.#counts[plan.rankIndex]);
    this.#gates = plan.workspaces.map(({ gate }, arena) =>
      floats(by.memories[arena], gate, plan.chunkTokens * widest)
    );
  }

  /**
   * gate = max(0, gate − (mean + deviations · standard deviation)) of the step's tokens, at
   * `space.gate`; x is what gates read.
   * @returns false when the leader aborted the step.
   */
  run(block: Dense, x: Activations, layer: number): boolean {
    const { kernels, space, arena, n, plan: { rankIndex } } = this.#state;
    const { gate, gateCutoff, up: { rowCount: width } } = block;
    const gates = this.#gates[arena];
    if (width > 0) project(kernels, gate!, x, n, space.gate, width);
    const own = this.#moments[arena][rankIndex];
    for (let t = 0; t < n; t++) takeMoments(gates, t * width, width, own, 2 * t);
    // Nobody writes moments again before the join behind the neurons, which waits for all readers.
    if (!this.#control.join()) return false;
    for (let t = 0; t < n; t++) {
      cutOff(gates, t * width, width, this.#cutoff(t, layer, gateCutoff!));
    }
    return true;
  }

  /** Where a token's gates are cut off, of all ranks' moments. */
  #cutoff(t: number, layer: number, deviations: number): number {
    const moments = this.#moments[this.#state.arena];
    let count = 0, mean = 0, squares = 0;
    for (let rank = 0; rank < moments.length; rank++) {
      const more = this.#counts[rank][layer];
      if (more === 0) continue;
      const apart = moments[rank][2 * t] - mean;
      squares += moments[rank][2 * t + 1] + apart * apart * count * more / (count + more);
      count += more;
      mean += apart * more / count;
    }
    return mean + deviations * Math.sqrt(squares / Math.max(1, count - 1));
  }
}

function takeMoments(
  gates: Float32Array,
  start: number,
  width: number,
  to: Float64Array,
  at: number,
): void {
  const end = start + width;
  let sum = 0;
  for (let i = start; i < end; i++) sum += gates[i];
  const mean = width === 0 ? 0 : sum / width;
  let squares = 0;
  for (let i = start; i < end; i++) {
    const apart = gates[i] - mean;
    squares += apart * apart;
  }
  to[at] = mean;
  to[at + 1] = squares;
}

/** What is no number stays none: it must be seen. */
function cutOff(gates: Float32Array, start: number, width: number, cutoff: number): void {
  const end = start + width;
  for (let i = start; i < end; i++) gates[i] = gates[i] <= cutoff ? 0 : gates[i] - cutoff;
}
