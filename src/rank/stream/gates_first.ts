/**
 * Neurons that are not in memory, in two reads each (PowerInfer-2): their gates first, and of those
 * that fire the rest. While a cluster's rest is under way, the gates of the next one are computed:
 *
 *   gates of cluster c arrive ─► gates computed ─► rest of what fires is asked for
 *                                                  rest of cluster c - 1 arrives ─► up computed
 *
 * What does not fire stays in its slot with its gate alone (GATE_ONLY): the next time it costs no
 * read to see that. Used where a predictor names many neurons in vain and bytes are dear; elsewhere
 * one read is better than two, see decode_time.ts of src/planner. Knows nothing of files.
 */
import { GATE_ONLY, NO_SLOT, PRESENT } from "../../cache/mod.ts";
import type { BundleReads } from "./bundle_reads.ts";
import type { Streamed } from "../bound/bound_blocks.ts";
import { multiplyListed, multiplyUps } from "../neurons/listed.ts";
import type { Activations } from "../bound/matrix.ts";
import type { StepState } from "../step/step_state.ts";
import { CLUSTER_BUNDLES, type Lane, type List } from "./streamed_lists.ts";

/** Places of the lane, and how many neurons fire so far. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export class GatesFirst {
  readonly #state: StepState;
  readonly #reads: BundleReads;
  /** Of neurons that fire, by place in their list: the rest's read, and the place in the lane. */
  readonly #tickets: Int32Array;
  readonly #places: Int32Array;

  constructor(
    state: StepState,
    reads: BundleReads,
  ) {
    const most = Math.max(...state.plan.workspaces.map(({ stream }) => stream!.neuronCount));
    this.#state = state;
    this.#reads = reads;
    this.#tickets = new Int32Array(most);
    this.#places = new Int32Array(most);
  }

  /**
   * Adds to the `count` neurons that fire those at places from .. to-1 of the lane that do, and
   * what they give.
   * @returns how many fire now.
   */
  finish(block: Streamed, x: Activations, to: { lane: Lane; fired: List }, span: Span): number {
    let { from, count } = span;
    let begun = count;
    for (; from < span.to; from += CLUSTER_BUNDLES) {
      const end = Math.min(from + CLUSTER_BUNDLES, span.to);
      const next = this.#begin(block, x, to, { from, to: end, count: begun });
      this.#complete(block, x, to, count, begun);
      [count, begun] = [begun, next];
    }
    this.#complete(block, x, to, count, begun);
    return begun;
  }

  /** Waits for gates, and asks for the rest of the neurons that fire: they are listed. */
  #begin(
    { gateSlots, unit }: Streamed,
    x: Activations,
    { lane, fired }: { lane: Lane; fired: List },
    { from, to, count }: Span,
  ): number {
    const { kernels, fractions: { belowFiring } } = this.#state;
    const { at, ids, slots, values } = lane;
    this.#reads.arrive(lane, from, to, GATE_ONLY);
    multiplyListed(kernels, gateSlots!, x, at.slots + 4 * from, to - from, at.values + 4 * from);
    let end = count;
    for (let i = from; i < to; i++) {
      // What is no number fires: it must be seen.
      if (slots[i] === NO_SLOT || values[i] <= belowFiring) continue;
      fired.ids[end] = ids[i];
      fired.slots[end] = slots[i];
      fired.values[end] = values[i];
      this.#places[end] = i;
      this.#tickets[end] = this.#reads.askRest(unit, ids[i], slots[i]);
      end++;
    }
    this.#reads.flush();
    return end;
  }

  /** Waits for the rest of the neurons that fire, at places from .. to-1 of their list. */
  #complete(
    block: Streamed,
    x: Activations,
    { lane, fired }: { lane: Lane; fired: List },
    from: number,
    to: number,
  ): void {
    if (from === to) return;
    const { slots, values } = fired;
    this.#reads.arrive({ slots, tickets: this.#tickets }, from, to, PRESENT);
    for (let i = from; i < to; i++) {
      if (slots[i] !== NO_SLOT) continue;
      // The step is void; until it ends, what is in the slot that it had counts for nothing.
      const place = this.#places[i];
      [slots[i], lane.slots[place], values[i]] = [lane.slots[place], NO_SLOT, 0];
    }
    multiplyUps(this.#state, block.upSlots, x, fired.at, from, to);
  }
}
