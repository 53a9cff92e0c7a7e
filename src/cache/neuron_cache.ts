/**
 * Which neurons of this rank are in which slots of an arena, as in PowerInfer-2. The first slots
 * are the hot region, in frames that hold a cluster each and leave as one, least recently used
 * first; in the rest each slot holds a neuron, and the same rule holds by neuron. A slot that is
 * pinned or being read is never a victim. Which use was the last is known to a step (beginStep):
 * see frame_list.ts for why.
 *
 *   claim ──► LOADING ──settle──► GATE_ONLY ──settle──► PRESENT ──victim──► ABSENT
 *                └──────drop (the read failed)──────────────────────────────►┘
 *
 * All slots of a hot frame share one record (state, pins, last use): that of the frame's first.
 * Used by one thread; nothing is allocated after the constructor. Knows nothing of bytes, reads
 * or memory: whoever claims a slot fills it.
 */
import { check } from "../base/check.ts";
import { FrameList, isEvictable, META, RECORD_WORDS, USED_AT } from "./frame_list.ts";
import { SlotOwners } from "./slot_owners.ts";
import { UnitIndex, type UnitSizes } from "./unit_index.ts";

/** States of a slot, in the order of what they allow. */
export const ABSENT = 0;
export const LOADING = 1;
export const GATE_ONLY = 2;
export const PRESENT = 3;

/** In lists of slots: the neuron has none. */
export const NO_SLOT = 0xffffffff;

/** Slots of a hot frame, neurons of a cluster: few, for small experts have small stripes. */
export const CLUSTER_SLOTS = 8;

const STATE_BITS = 3;
const ONE_PIN = 4;
/** Steps whose order is kept: who was silent for longer is a victim in any order. */
const ORDERED_STEPS = 1024;

export interface NeuronCacheOptions extends UnitSizes {
  readonly slotCount: number;
  /** Frames of the hot region at the beginning. */
  readonly hotClusters: number;
}

/** Neurons found in the state that was asked for, not found or not yet, given up for others. */
export interface CacheCounters {
  hits: number;
  misses: number;
  evictions: number;
}

export class NeuronCache {
  readonly counters: CacheCounters = { hits: 0, misses: 0, evictions: 0 };
  readonly slotCount: number;
  /** Where units and their clusters are. */
  readonly units: UnitIndex;
  readonly #owners: SlotOwners;
  /** One for each slot, then the lists' own; of a hot frame, the first slot's is the frame's. */
  readonly #records: Int32Array;
  readonly #cold: FrameList;
  readonly #hot: FrameList;
  /** What lookUp moves behind what is there. */
  readonly #restIds: Uint32Array;
  readonly #restSlots: Uint32Array;
  readonly #restValues: Float32Array;
  #hotSlots: number;
  #step = 0;

  constructor(options: NeuronCacheOptions) {
    const { slotCount, hotClusters, unitNeurons } = options;
    check(hotClusters * CLUSTER_SLOTS <= slotCount, "the hot region fits into the slots");
    this.slotCount = slotCount;
    this.units = new UnitIndex(options, CLUSTER_SLOTS);
    this.#owners = new SlotOwners(this.units.starts, slotCount);
    const sentinels = FrameList.sentinels(ORDERED_STEPS);
    this.#records = new Int32Array((slotCount + 2 * sentinels) * RECORD_WORDS);
    this.#cold = new FrameList(this.#records, slotCount, ORDERED_STEPS);
    this.#hot = new FrameList(this.#records, slotCount + sentinels, ORDERED_STEPS);
    const longest = unitNeurons.reduce((most, neurons) => Math.max(most, neurons), 0);
    this.#restIds = new Uint32Array(longest);
    this.#restSlots = new Uint32Array(longest);
    this.#restValues = new Float32Array(longest);
    this.#hotSlots = hotClusters * CLUSTER_SLOTS;
    for (let slot = 0; slot < this.#hotSlots; slot += CLUSTER_SLOTS) this.#hot.addFree(slot);
    for (let slot = this.#hotSlots; slot < slotCount; slot++) this.#cold.addFree(slot);
  }

  /** Frames of the hot region now. */
  get hotClusters(): number {
    return this.#hotSlots / CLUSTER_SLOTS;
  }

  /** A frame of the hot region has no cluster. */
  get hasFreeFrame(): boolean {
    return this.#hot.hasFree;
  }

  /** Begins a step (a token): what is used from now on was used later than all before. */
  beginStep(): void {
    this.#step++;
    this.#cold.beginStep(this.#step);
    this.#hot.beginStep(this.#step);
  }

  /** Slot or -1 of each neuron of a unit, i32 [neurons]: a view that stays true. */
  slotsOf(unit: number): Int32Array {
    return this.#owners.ofUnit[unit];
  }

  /** The slot of a neuron, in whatever state, which is used with that; -1: it has none. */
  find(unit: number, neuron: number): number {
    const slot = this.#owners.slotOf[this.units.starts[unit] + neuron];
    if (slot < 0) {
      this.counters.misses++;
      return -1;
    }
    this.#region(slot).touch(this.#frame(slot));
    this.counters.hits++;
    return slot;
  }

  /**
   * Splits a list of a unit's neurons: first those in state `least` or above, then the others, both
   * in the order that they had; `values` move with them. Every neuron that has a slot, in whatever
   * state, is used and pinned with that; `slots` becomes the slot of each, or NO_SLOT.
   * ids, slots: u32, values: f32; the list is what they hold from place `first` on.
   * @returns how many are in the first part
   */
  lookUp(
    unit: number,
    list: { ids: Uint32Array; slots: Uint32Array; values?: Float32Array },
    count: number,
    least: typeof GATE_ONLY | typeof PRESENT = PRESENT,
    first = 0,
  ): number {
    const { ids, slots, values } = list;
    const slotOf = this.#owners.slotOf;
    const start = this.units.starts[unit];
    const neurons = this.units.starts[unit + 1] - start;
    const end = first + count;
    let kept = first;
    for (let i = first; i < end; i++) {
      const id = ids[i];
      if (id >= neurons) throw new RangeError(`unit ${unit} has no neuron ${id}`);
      const slot = slotOf[start + id];
      if (slot >= 0 && this.#hold(slot) >= least) {
        ids[kept] = id;
        slots[kept] = slot;
        if (values) values[kept] = values[i];
        kept++;
      } else {
        this.#restIds[i - kept] = id;
        this.#restSlots[i - kept] = slot;
        if (values) this.#restValues[i - kept] = values[i];
      }
    }
    for (let i = kept; i < end; i++) {
      ids[i] = this.#restIds[i - kept];
      slots[i] = this.#restSlots[i - kept];
      if (values) values[i] = this.#restValues[i - kept];
    }
    const present = kept - first;
    this.counters.hits += present;
    this.counters.misses += count - present;
    return present;
  }

  state(slot: number): number {
    return this.#region(slot).meta(this.#frame(slot)) & STATE_BITS;
  }

  /** The neuron in a slot, counted in its unit; -1: none. */
  neuronIn(slot: number): number {
    const place = this.#owners.placeIn[slot];
    return place < 0 ? -1 : place - this.units.starts[this.units.unitOf(place)];
  }

  /**
   * Takes a slot of the cold region for a neuron that has none: LOADING, with one pin.
   * @returns the slot, or -1: all are held
   */
  claim(unit: number, neuron: number): number {
    const place = this.units.starts[unit] + neuron;
    check(this.#owners.slotOf[place] < 0, "a neuron that is claimed has no slot");
    const slot = this.#takeFrame(this.#cold, 1);
    if (slot < 0) return -1;
    this.#owners.put(place, slot);
    this.#beginLoading(this.#cold, slot);
    return slot;
  }

  /** First slot of a cluster's frame; -1: it has none. */
  findCluster(unit: number, cluster: number): number {
    const slot = this.#owners.slotOf[this.units.member(unit, cluster, 0)];
    return slot >= 0 && slot < this.#hotSlots ? slot : -1;
  }

  /**
   * Takes a frame of the hot region for a cluster that has none: LOADING, with one pin. The i-th
   * slot is for its i-th position. Neurons leave the slots that they have in the cold region.
   * @returns the first of the frame's slots, or -1: all frames are held, or a neuron is
   */
  claimCluster(unit: number, cluster: number): number {
    check(this.findCluster(unit, cluster) < 0, "a cluster that is claimed has no frame");
    const { slotOf } = this.#owners;
    const size = this.units.clusterSize(unit, cluster);
    for (let i = 0; i < size; i++) {
      const slot = slotOf[this.units.member(unit, cluster, i)];
      if (slot >= 0 && !isEvictable(this.#cold.meta(slot))) return -1;
    }
    const frame = this.#takeFrame(this.#hot, CLUSTER_SLOTS);
    if (frame < 0) return -1;
    for (let i = 0; i < size; i++) {
      const place = this.units.member(unit, cluster, i);
      const cold = slotOf[place];
      if (cold >= 0) {
        this.#cold.remove(cold);
        this.#owners.clear(cold, 1);
        this.#cold.setMeta(cold, ABSENT);
        this.#cold.addFree(cold);
      }
      this.#owners.put(place, frame + i);
    }
    this.#beginLoading(this.#hot, frame);
    return frame;
  }

  /** Says what of a slot's bundle, or of all bundles of its frame, is there now; pins stay. */
  settle(slot: number, state: typeof GATE_ONLY | typeof PRESENT): void {
    const region = this.#region(slot);
    const frame = this.#frame(slot);
    const meta = region.meta(frame);
    check((meta & STATE_BITS) !== ABSENT, "a slot that is settled has a neuron");
    region.setMeta(frame, meta & ~STATE_BITS | state);
    region.touch(frame);
  }

  pin(slot: number): void {
    this.#hold(slot);
  }

  unpin(slot: number): void {
    const isHot = slot < this.#hotSlots;
    const frame = isHot ? slot & -CLUSTER_SLOTS : slot;
    const at = frame * RECORD_WORDS;
    const meta = this.#records[at + META] - ONE_PIN;
    check(meta >= 0, "a slot is unpinned as often as it was pinned");
    this.#records[at + META] = meta;
    this.#records[at + USED_AT] = this.#step;
    if (meta >= ONE_PIN || meta === LOADING) return;
    const region = isHot ? this.#hot : this.#cold;
    if (meta === ABSENT) region.addFree(frame);
    else region.evictable++;
  }

  /** Takes a pin from each slot of a list, but for entries that are none of the cache's. */
  unpinAll(slots: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) if (slots[i] < this.slotCount) this.unpin(slots[i]);
  }

  /** Gives up what a failed read would have brought, and one pin; then the room is free. */
  drop(slot: number): void {
    const region = this.#region(slot);
    const frame = this.#frame(slot);
    const meta = region.meta(frame);
    check(meta > ONE_PIN && (meta & STATE_BITS) !== ABSENT, "a slot that is dropped is held");
    this.#owners.clear(frame, region === this.#hot ? CLUSTER_SLOTS : 1);
    region.remove(frame);
    region.setMeta(frame, (meta & ~STATE_BITS) - ONE_PIN);
    if (region.meta(frame) === ABSENT) region.addFree(frame);
  }

  /**
   * Moves the border between the regions towards `hotClusters` frames, by one frame at most. That
   * costs the least recently used neurons, or cluster; what was to stay but lies in the way gets
   * other slots, and its bytes must be copied at once, in this order: moves becomes pairs of slots
   * (from, to). Nothing happens while slots at the border are held.
   * moves: i32 [2 · CLUSTER_SLOTS]
   * @returns how many pairs there are
   */
  resize(hotClusters: number, moves: Int32Array): number {
    const slots = hotClusters * CLUSTER_SLOTS;
    check(slots >= 0 && slots <= this.slotCount, "the hot region fits into the slots");
    if (hotClusters > this.hotClusters) return this.#growHot(moves);
    return hotClusters < this.hotClusters ? this.#shrinkHot(moves) : 0;
  }

  #growHot(moves: Int32Array): number {
    const cold = this.#cold;
    const frame = this.#hotSlots;
    const end = frame + CLUSTER_SLOTS;
    for (let slot = frame; slot < end; slot++) if (isHeld(cold.meta(slot))) return 0;
    for (let slot = frame; slot < end; slot++) if (cold.meta(slot) === ABSENT) cold.remove(slot);
    let done = 0;
    for (let slot = frame; slot < end; slot++) {
      const meta = cold.meta(slot);
      if (meta === ABSENT) continue;
      cold.remove(slot);
      cold.setMeta(slot, ABSENT);
      const to = this.#roomFor(slot, end);
      if (to >= 0) {
        done = this.#owners.move(slot, to, 1, moves, done);
        this.#moveFrame(cold, slot, to, meta);
      } else this.counters.evictions += this.#owners.clear(slot, 1);
    }
    this.#hotSlots = end;
    this.#hot.addFree(frame);
    return done;
  }

  /** An empty slot behind `end` for what is in `slot`; -1: others are held, or were used later. */
  #roomFor(slot: number, end: number): number {
    const cold = this.#cold;
    const free = cold.takeFree();
    if (free >= 0) return free;
    while (true) {
      const victim = cold.takeVictim();
      if (victim < 0) return -1;
      if (cold.usedAt(victim) > cold.usedAt(slot)) {
        cold.add(victim);
        return -1;
      }
      this.#evict(cold, victim, 1);
      // The room of one before the end is no room, but what was in it needs none any more.
      if (victim >= end) return victim;
    }
  }

  #shrinkHot(moves: Int32Array): number {
    const hot = this.#hot;
    const last = this.#hotSlots - CLUSTER_SLOTS;
    const meta = hot.meta(last);
    if (isHeld(meta)) return 0;
    let done = 0;
    if (meta === ABSENT) hot.remove(last);
    else {
      const to = this.#takeFrame(hot, CLUSTER_SLOTS);
      if (to !== last) {
        hot.remove(last);
        hot.setMeta(last, ABSENT);
        done = this.#owners.move(last, to, CLUSTER_SLOTS, moves, 0);
        this.#moveFrame(hot, last, to, meta);
      }
    }
    this.#hotSlots = last;
    for (let slot = last; slot < last + CLUSTER_SLOTS; slot++) this.#cold.addFree(slot);
    return done;
  }

  /** Gives a frame that is in no list the state and the last use of another. */
  #moveFrame(region: FrameList, from: number, to: number, meta: number): void {
    this.#records[to * RECORD_WORDS + USED_AT] = region.usedAt(from);
    region.setMeta(to, meta);
    region.add(to);
  }

  /** A frame that is in no list and has no neurons; -1: all are held. */
  #takeFrame(region: FrameList, slots: number): number {
    const free = region.takeFree();
    if (free >= 0) return free;
    const victim = region.takeVictim();
    if (victim >= 0) this.#evict(region, victim, slots);
    return victim;
  }

  #evict(region: FrameList, frame: number, slots: number): void {
    this.counters.evictions += this.#owners.clear(frame, slots);
    region.setMeta(frame, ABSENT);
  }

  #beginLoading(region: FrameList, frame: number): void {
    region.setMeta(frame, LOADING + ONE_PIN);
    region.touch(frame);
    region.add(frame);
  }

  /** Pins a slot's frame, which is used with that. @returns its state */
  #hold(slot: number): number {
    const isHot = slot < this.#hotSlots;
    const at = (isHot ? slot & -CLUSTER_SLOTS : slot) * RECORD_WORDS;
    const meta = this.#records[at + META];
    this.#records[at + USED_AT] = this.#step;
    this.#records[at + META] = meta + ONE_PIN;
    if (isEvictable(meta)) {
      if (isHot) this.#hot.evictable--;
      else this.#cold.evictable--;
    }
    return meta & STATE_BITS;
  }

  #region(slot: number): FrameList {
    return slot < this.#hotSlots ? this.#hot : this.#cold;
  }

  #frame(slot: number): number {
    return slot < this.#hotSlots ? slot & -CLUSTER_SLOTS : slot;
  }
}

function isHeld(meta: number): boolean {
  return meta !== ABSENT && !isEvictable(meta);
}
