/**
 * PowerInfer-2's cluster pipeline: a feed-forward block whose neurons are on disk, but for those
 * that slots hold. One token goes through it in two halves, so that the experts of a layer are
 * asked for at once:
 *
 *   begin    which neurons fire, or may: by gates, where these are resident, a part of them at a
 *            time, or by a predictor; those without a slot get one, and are asked for at once
 *   finish   those that were present are computed, then the others cluster by cluster as they
 *            arrive, each from gate to product; then down of all together, whose integer sums are
 *            those of the model in memory
 *
 * No neuron waits for others of its matrix, unless streaming is to do without the pipeline. A
 * bundle that cannot be read counts as silent: the step goes on, its answer is void, and the leader
 * says so. Knows nothing of files or experts.
 */
import { check } from "../../base/check.ts";
import { CLUSTER_SLOTS, NO_SLOT, PRESENT } from "../../cache/mod.ts";
import { NO_TICKET } from "../../io/mod.ts";
import type { SharedText } from "../../memory/shared_text.ts";
import { type ArenaStream, BundleReads } from "./bundle_reads.ts";
import type { NeuronReads } from "./neuron_reads.ts";
import {
  ASKED_AHEAD,
  CACHE_HITS,
  CACHE_MISSES,
  HOT_NEURONS,
  NEEDED_AHEAD,
  SKIPPED_BYTES,
  SKIPPED_NEURONS,
} from "../plan/counts.ts";
import { countsView } from "../step/counts_view.ts";
import { GatesFirst } from "./gates_first.ts";
import type { GatePart, Streamed } from "../bound/bound_blocks.ts";
import { weighListed } from "../step/inner_norms.ts";
import { multiplyListed, multiplyUps } from "../neurons/listed.ts";
import { type Activations, project } from "../bound/matrix.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { CLUSTER_BUNDLES, type Lane, type List, type Lists, listsOf } from "./streamed_lists.ts";

export interface StreamedBlockInput {
  readonly residual: Residual;
  readonly memories: readonly WebAssembly.Memory[];
  readonly reads: NeuronReads;
  /** By arena. */
  readonly streams: readonly ArenaStream[];
  /** Where the leader finds why a step is void. */
  readonly failure: SharedText;
}

export class StreamedBlock {
  readonly #state: StepState;
  readonly #by: StreamedBlockInput;
  /** By arena. */
  readonly #lists: readonly Lists[];
  readonly #reads: BundleReads;
  readonly #counts: Float64Array;
  /** What is there is computed while the rest arrives. */
  readonly #isPipelined: boolean;
  /** Null: a neuron is one read. */
  readonly #gatesFirst: GatesFirst | null;
  /** Spare slots that blocks between `begin` and `finish` have. */
  #sparesUsed = 0;
  /** Blocks between `begin` and `finish`. */
  #begun = 0;

  constructor(state: StepState, by: StreamedBlockInput) {
    this.#state = state;
    this.#by = by;
    this.#counts = countsView(state.plan, by.memories[0]);
    this.#reads = new BundleReads(state, { ...by, counts: this.#counts });
    this.#isPipelined = state.plan.stream!.steps.pipeline;
    this.#lists = by.memories.map((memory, arena) => listsOf(state, memory, arena));
    this.#gatesFirst = state.plan.stream!.readsGatesFirst
      ? new GatesFirst(state, this.#reads)
      : null;
  }

  /**
   * Finds out what one token of the step needs of a block, and asks for what is not there.
   * x: what the block reads. listed: how many neurons a predictor has put at `listAt(laneIndex)`;
   * null: the block's gates are in memory.
   */
  begin(block: Streamed, x: Activations, laneIndex: number, listed: number | null): void {
    const lane = this.#lists[this.#state.arena].lanes[laneIndex];
    lane.parts = 0;
    this.#begun++;
    if (listed !== null) {
      this.#addPart(lane, block.unit, 0, listed);
    } else this.#beginByGates(block, x, lane);
    if (!this.#isPipelined) this.#reads.arrive(lane, lane.presentEnds[0], lane.ends[0], PRESENT);
  }

  /** Where a predictor lists neurons that `begin` is to take for that lane. */
  listAt(laneIndex: number): number {
    return this.#lists[this.#state.arena].lanes[laneIndex].at.ids;
  }

  #beginByGates({ gateParts, unit }: Streamed, x: Activations, lane: Lane): void {
    check(gateParts.length > 0, "neurons whose gates are on disk are predicted");
    let start = 0;
    // What the first gates ask for arrives while the others are computed.
    for (const part of gateParts) {
      const count = this.#listFired(lane, part, x, start);
      if (this.#isPipelined) this.#addPart(lane, unit, start, count);
      start += count;
    }
    if (!this.#isPipelined) this.#addPart(lane, unit, 0, start);
  }

  /** False where guesses are of no use: all of the unit's neurons have slots. */
  lacks(unit: number): boolean {
    return this.#reads.lacks(unit);
  }

  /**
   * Asks for neurons that a guess has put at `space.fired` and that layer `layer`, in the same
   * arena, will probably need; `beginAhead` lets all of them begin. They arrive while others are
   * computed.
   */
  readAhead(layer: number, unit: number, listed: number): void {
    const { predicted } = this.#lists[this.#state.arena];
    this.#counts[ASKED_AHEAD] += this.#reads.askAhead(layer, unit, predicted, listed);
  }

  /** Begins with what was asked for ahead: one batch costs less than one for each block. */
  beginAhead(): void {
    this.#reads.flush();
  }

  /** All blocks of a layer are finished. */
  endLayer(layer: number): void {
    this.#reads.settleAhead(layer);
  }

  /** partial[rows[0]] += weights[0], or 1, · what the neurons of the lane give. */
  finish(
    block: Streamed,
    x: Activations,
    laneIndex: number,
    { rows, weights }: { rows: number; weights: number },
  ): void {
    const { lanes, fired } = this.#lists[this.#state.arena];
    const lane = lanes[laneIndex];
    const { parts, presentEnds, ends } = lane;
    let [count, isWhole] = [0, true];
    for (let part = 0; part < parts; part++) {
      if (presentEnds[part] < ends[part]) isWhole = false;
      const start = part === 0 ? 0 : ends[part - 1];
      count = this.#compute(block, x, lane, { from: start, to: presentEnds[part], count });
    }
    for (let part = 0; part < parts; part++) {
      const from = presentEnds[part];
      const to = ends[part];
      count = this.#gatesFirst === null
        ? this.#finishAbsent(block, x, lane, { from, to, count })
        : this.#gatesFirst.finish(block, x, { lane, fired }, { from, to, count });
    }
    const listed = parts === 0 ? 0 : ends[parts - 1];
    this.#by.streams[this.#state.arena].cache.unpinAll(lane.slots, listed);
    const { kernels } = this.#state;
    const { values } = fired.at;
    const { innerNorm } = block.staged;
    if (innerNorm !== 0) {
      weighListed(this.#state, innerNorm, {
        ...{ list: fired.at.ids, values, count, rows, neurons: block.count },
      });
    }
    if (weights !== 0) kernels.scale_rows_f32(values, count, weights, 1, count);
    // What was all present is in order, as it was listed.
    if (isWhole && block.downSlots.layout === "neurons") {
      this.#by.residual.addFired(block.downSlots, fired.at.slots, values, count, rows);
    } else this.#addDown(block, fired, count, rows);
    this.#countSkipped(block, listed, count);
    if (--this.#begun === 0) this.#sparesUsed = 0;
  }

  /** As `#compute`, cluster by cluster as they arrive. */
  #finishAbsent(
    block: Streamed,
    x: Activations,
    lane: Lane,
    { from, to, count }: { from: number; to: number; count: number },
  ): number {
    for (let start = from; start < to; start += CLUSTER_BUNDLES) {
      const end = Math.min(start + CLUSTER_BUNDLES, to);
      if (this.#isPipelined) this.#reads.arrive(lane, start, end, PRESENT);
      count = this.#compute(block, x, lane, { from: start, to: end, count });
    }
    return count;
  }

  /** Lists neurons of a part of the gates that fire, from place `start` on; how many they are. */
  #listFired(lane: Lane, { rows, first }: GatePart, x: Activations, start: number): number {
    const { kernels, space, fractions: { belowFiring } } = this.#state;
    const { at, ids } = lane;
    project(kernels, rows, x, 1, space.gate, rows.rowCount);
    const list = at.ids + 4 * start;
    const values = at.values + 4 * start;
    const count = kernels.fired_f32(space.gate, rows.rowCount, belowFiring, list, values);
    for (let i = start; i < start + count; i++) ids[i] += first;
    return count;
  }

  /** Looks up `count` neurons from place `start` on, and asks for those that are not there. */
  #addPart(lane: Lane, unit: number, start: number, count: number): void {
    const { cache } = this.#by.streams[this.#state.arena];
    const present = cache.lookUp(unit, lane, count, PRESENT, start);
    lane.presentEnds[lane.parts] = start + present;
    lane.ends[lane.parts] = start + count;
    lane.parts++;
    this.#ask(lane, unit, start + present, start + count);
    const hotEnd = cache.hotClusters * CLUSTER_SLOTS;
    for (let i = start; i < start + present; i++) {
      if (lane.slots[i] < hotEnd) this.#counts[HOT_NEURONS]++;
    }
    this.#counts[CACHE_HITS] += present;
    this.#counts[CACHE_MISSES] += count - present;
  }

  /**
   * Asks for the bundles of neurons that have no slot, into slots that they get, in the order of
   * the file: what is near is one read. The lane's neurons change places for that.
   */
  #ask(lane: Lane, unit: number, from: number, to: number): void {
    if (from === to) return;
    const { arena, space } = this.#state;
    const { cache } = this.#by.streams[arena];
    const { ids, slots, tickets } = lane;
    const { spareFirst, spareCount } = space.stream!;
    this.#inFileOrder(lane, unit, from, to);
    for (let i = from; i < to; i++) {
      if (slots[i] !== NO_SLOT) {
        tickets[i] = this.#reads.ticketOf(slots[i]);
        if (tickets[i] !== NO_TICKET) this.#counts[NEEDED_AHEAD]++; // it is under way
        continue;
      }
      let slot = cache.claim(unit, ids[i]);
      if (slot < 0 && this.#sparesUsed === spareCount) {
        this.#reads.yieldAhead();
        slot = cache.claim(unit, ids[i]);
      }
      if (slot < 0) {
        check(this.#sparesUsed < spareCount, "the plan has a slot for every neuron of a token");
        slot = spareFirst + this.#sparesUsed++;
      }
      slots[i] = slot;
      tickets[i] = this.#reads.ask(unit, ids[i], slot);
    }
    this.#reads.flush();
  }

  #inFileOrder({ ids, slots, values }: Lane, unit: number, from: number, to: number): void {
    const { arena } = this.#state;
    const { cache } = this.#by.streams[arena];
    const { valueOf } = this.#lists[arena];
    for (let i = from; i < to; i++) valueOf[ids[i]] = values[i];
    this.#reads.note(unit, ids, from, to);
    this.#reads.takeNoted(unit, ids, from);
    const slotOf = cache.slotsOf(unit);
    for (let i = from; i < to; i++) {
      values[i] = valueOf[ids[i]];
      slots[i] = slotOf[ids[i]] < 0 ? NO_SLOT : slotOf[ids[i]];
    }
  }

  /**
   * Adds what the neurons at places from .. to-1 give, if they fire, to the `count` that do.
   * @returns how many do now.
   */
  #compute(
    block: Streamed,
    x: Activations,
    lane: Lane,
    { from, to, count }: { from: number; to: number; count: number },
  ): number {
    if (from === to) return count;
    const { kernels, arena, fractions: { belowFiring } } = this.#state;
    const { fired } = this.#lists[arena];
    const { at, ids, slots, values } = lane;
    const { gateSlots } = block;
    if (gateSlots !== null) {
      const list = at.slots + 4 * from;
      const out = at.values + 4 * from;
      multiplyListed(kernels, gateSlots, x, list, to - from, out);
    }
    let end = count;
    for (let i = from; i < to; i++) {
      // What is no number fires: it must be seen.
      if (slots[i] === NO_SLOT || gateSlots !== null && values[i] <= belowFiring) continue;
      fired.ids[end] = ids[i];
      fired.slots[end] = slots[i];
      fired.values[end] = values[i];
      end++;
    }
    if (end === count) return end;
    multiplyUps(this.#state, block.upSlots, x, fired.at, count, end);
    return end;
  }

  /** partial[rows[0]] += down · the values of the `count` neurons, whose list is overwritten. */
  #addDown(block: Streamed, { ids, slots, at }: List, count: number, rows: number): void {
    const { kernels, space, arena, plan, inputs: { hidden } } = this.#state;
    const { residual } = this.#by;
    const { slotBytes } = plan.stream!;
    const { places } = this.#lists[arena];
    const columns = space.stream!.places;
    // Down goes over all neurons in their order, whatever order they came in: sums keep their bits.
    for (let i = 0; i < count; i++) ids[i] = block.columns[ids[i]];
    kernels.scatter_f32(at.values, at.ids, count, hidden.f32, hidden.stride);
    if (block.downSlots.layout === "neurons") {
      for (let i = 0; i < count; i++) places[ids[i]] = slots[i];
      residual.addFired(block.downSlots, columns, hidden.f32, block.columnCount, rows);
    } else {
      for (let i = 0; i < count; i++) places[ids[i]] = block.downInSlot + slots[i] * slotBytes;
      residual.addColumnsAt(block.downSlots, hidden, { factors: block.factors, columns, rows });
    }
  }

  /** listed: neurons that were looked at; fired: those that were computed to the end. */
  #countSkipped({ count, gateSlots, staged }: Streamed, listed: number, fired: number): void {
    const { gate, up, down } = staged;
    this.#counts[SKIPPED_NEURONS] += count - fired;
    this.#counts[SKIPPED_BYTES] += (count - fired) * (up.rowStrideBytes + down.columnStrideBytes);
    if (gate !== null && gateSlots !== null) {
      this.#counts[SKIPPED_BYTES] += (count - listed) * gate.rowStrideBytes;
    }
  }
}
