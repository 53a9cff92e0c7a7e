/**
 * What src/cache promises, in plain objects: follows a NeuronCache operation by operation, lets it
 * choose among what is allowed, and checks that it did. Slow and obvious.
 */
import { assert, assertEquals } from "@std/assert";
import {
  ABSENT,
  CLUSTER_SLOTS,
  GATE_ONLY,
  LOADING,
  type NeuronCache,
  PRESENT,
} from "../../src/cache/neuron_cache.ts";

/** A neuron of the model, by its unit and number. */
export type Neuron = `${number}:${number}`;

/** A slot of the cold region or a frame of the hot one. */
export interface Frame {
  first: number;
  isHot: boolean;
  /** By place in the frame. */
  neurons: (Neuron | null)[];
  state: number;
  pins: number;
  usedAt: number;
}

export class SlowCache {
  readonly cache: NeuronCache;
  readonly unitNeurons: number[];
  readonly clusters: (unit: number, cluster: number) => number[];
  frames: Frame[] = [];
  step = 0;
  hits = 0;
  misses = 0;
  /** Neurons that resize() moved. */
  moved = 0;

  constructor(
    cache: NeuronCache,
    unitNeurons: number[],
    clusters: (unit: number, cluster: number) => number[],
  ) {
    this.cache = cache;
    this.unitNeurons = unitNeurons;
    this.clusters = clusters;
    const hotSlots = cache.hotClusters * CLUSTER_SLOTS;
    for (let slot = 0; slot < hotSlots; slot += CLUSTER_SLOTS) {
      this.frames.push(emptyFrame(slot, true));
    }
    for (let slot = hotSlots; slot < cache.slotCount; slot++) {
      this.frames.push(emptyFrame(slot, false));
    }
  }

  beginStep(): void {
    this.step++;
    this.cache.beginStep();
  }

  frameOf(slot: number): Frame {
    return this.frames.findLast((frame) => frame.first <= slot)!;
  }

  slotOf(unit: number, neuron: number): number {
    for (const frame of this.frames) {
      const at = frame.neurons.indexOf(`${unit}:${neuron}`);
      if (at >= 0) return frame.first + at;
    }
    return -1;
  }

  find(unit: number, neuron: number): void {
    const slot = this.slotOf(unit, neuron);
    assertEquals(this.cache.find(unit, neuron), slot);
    if (slot >= 0) {
      this.frameOf(slot).usedAt = this.step;
      this.hits++;
    } else this.misses++;
  }

  lookUp(unit: number, neurons: number[], least: typeof GATE_ONLY | typeof PRESENT): void {
    const slots = neurons.map((neuron) => this.slotOf(unit, neuron));
    const isThere = slots.map((slot) => slot >= 0 && this.frameOf(slot).state >= least);
    const order = [...neurons.keys()].sort((a, b) =>
      Number(isThere[b]) - Number(isThere[a]) || a - b
    );
    const list = {
      ids: Uint32Array.from(neurons),
      slots: new Uint32Array(neurons.length),
      values: Float32Array.from(neurons, (neuron) => neuron + 0.5),
    };
    const kept = this.cache.lookUp(unit, list, neurons.length, least);
    assertEquals(kept, isThere.filter(Boolean).length);
    assertEquals([...list.ids], order.map((i) => neurons[i]));
    assertEquals([...list.slots].map((slot) => slot | 0), order.map((i) => slots[i]));
    assertEquals([...list.values], order.map((i) => neurons[i] + 0.5));
    for (const slot of slots.filter((slot) => slot >= 0)) {
      this.frameOf(slot).pins++;
      this.frameOf(slot).usedAt = this.step;
    }
    this.hits += kept;
    this.misses += neurons.length - kept;
  }

  claim(unit: number, neuron: number): void {
    const slot = this.cache.claim(unit, neuron);
    this.#took(slot, false, [`${unit}:${neuron}`]);
  }

  claimCluster(unit: number, cluster: number): void {
    const members = this.clusters(unit, cluster);
    const cold = members.map((neuron) => this.slotOf(unit, neuron)).filter((slot) => slot >= 0)
      .map((slot) => this.frameOf(slot));
    const slot = this.cache.claimCluster(unit, cluster);
    if (cold.some((frame) => !isEvictable(frame))) return assertEquals(slot, -1);
    if (slot >= 0) {
      for (const frame of cold) {
        Object.assign(frame, emptyFrame(frame.first, false));
      }
    }
    this.#took(slot, true, members.map((neuron): Neuron => `${unit}:${neuron}`));
  }

  settle(frame: Frame, state: typeof GATE_ONLY | typeof PRESENT): void {
    this.cache.settle(frame.first, state);
    Object.assign(frame, { state, usedAt: this.step });
  }

  pin(frame: Frame): void {
    this.cache.pin(frame.first);
    Object.assign(frame, { pins: frame.pins + 1, usedAt: this.step });
  }

  unpin(frame: Frame): void {
    this.cache.unpin(frame.first);
    Object.assign(frame, { pins: frame.pins - 1, usedAt: this.step });
  }

  drop(frame: Frame): void {
    this.cache.drop(frame.first);
    const empty = emptyFrame(frame.first, frame.isHot);
    Object.assign(frame, { ...empty, pins: frame.pins - 1 });
  }

  /** Ends all reads and takes all pins. */
  release(): void {
    for (const frame of this.frames) {
      if (frame.state === LOADING) this.settle(frame, PRESENT);
      while (frame.pins > 0) this.unpin(frame);
    }
  }

  resize(hotClusters: number): void {
    const before = this.cache.hotClusters;
    const moves = new Int32Array(128);
    const count = this.cache.resize(hotClusters, moves);
    const pairs = [...Array(count).keys()].map((i) => [moves[2 * i], moves[2 * i + 1]]);
    const after = this.cache.hotClusters;
    this.moved += count;
    if (after === before) {
      assertEquals(count, 0);
      const border = hotClusters > before
        ? before * CLUSTER_SLOTS
        : before * CLUSTER_SLOTS - CLUSTER_SLOTS;
      const held = this.frames.some((frame) =>
        frame.first >= border && frame.first < border + CLUSTER_SLOTS && isHeld(frame)
      );
      return assert(hotClusters === before || held, "the border stays only where slots are held");
    }
    assertEquals(after, before + Math.sign(hotClusters - before));
    if (after > before) this.#grew(before * CLUSTER_SLOTS, pairs);
    else this.#shrank(after * CLUSTER_SLOTS, pairs);
  }

  /** The cache says the same of everything that can be asked. */
  verify(): void {
    const owners = new Map<Neuron, number>();
    for (const frame of this.frames) {
      frame.neurons.forEach((neuron, i) => {
        assertEquals(this.cache.state(frame.first + i), frame.state);
        const own = neuron === null ? -1 : Number(neuron.split(":")[1]);
        assertEquals(this.cache.neuronIn(frame.first + i), own);
        if (neuron === null) return;
        assert(!owners.has(neuron), `${neuron} is in one slot only`);
        owners.set(neuron, frame.first + i);
      });
      assert(frame.pins >= 0);
      if (frame.neurons.every((neuron) => neuron === null)) assertEquals(frame.state, ABSENT);
    }
    assert(owners.size <= this.cache.slotCount);
    this.unitNeurons.forEach((neurons, unit) => {
      const slots = this.cache.slotsOf(unit);
      assertEquals(slots.length, neurons);
      slots.forEach((slot, neuron) => assertEquals(slot, owners.get(`${unit}:${neuron}`) ?? -1));
    });
    assertEquals(this.cache.counters.hits, this.hits);
    assertEquals(this.cache.counters.misses, this.misses);
  }

  /** A claim was answered with `slot`: it must be a free frame, or the right victim. */
  #took(slot: number, isHot: boolean, neurons: Neuron[]): void {
    const frames = this.frames.filter((frame) => frame.isHot === isHot);
    const isFree = (frame: Frame) => frame.state === ABSENT && frame.pins === 0;
    if (slot < 0) {
      assert(!frames.some((frame) => isFree(frame) || isEvictable(frame)), "there was room");
      return;
    }
    const frame = frames.find((each) => each.first === slot)!;
    if (frames.some(isFree)) assert(isFree(frame), "what is free comes first");
    else {
      assert(isEvictable(frame), "what is held is no victim");
      assertEquals(frame.usedAt, oldest(frames), "the victim is the least recently used");
    }
    frame.neurons.fill(null);
    neurons.forEach((neuron, i) => frame.neurons[i] = neuron);
    Object.assign(frame, { state: LOADING, pins: 1, usedAt: this.step });
  }

  #grew(first: number, pairs: number[][]): void {
    const cold = this.frames.filter((frame) => !frame.isHot);
    const before = cold.filter(isEvictable);
    const usedAt = new Map(before.map((frame) => [frame.neurons[0]!, frame.usedAt]));
    for (const [from, to] of pairs) {
      assert(from >= first && from < first + CLUSTER_SLOTS && to >= first + CLUSTER_SLOTS);
      const target = this.frameOf(to);
      assert(!isHeld(target));
      const { neurons, state, usedAt } = this.frameOf(from);
      Object.assign(target, { neurons: [...neurons], state, usedAt });
      Object.assign(this.frameOf(from), emptyFrame(from, false));
    }
    this.frames = this.frames.filter((each) =>
      each.first < first || each.first >= first + CLUSTER_SLOTS
    );
    this.frames.push(emptyFrame(first, true));
    this.frames.sort((a, b) => a.first - b.first);
    // Who is gone was used no later than who is left, and nobody went while there was room.
    const left = this.frames.filter((frame) => !frame.isHot && isEvictable(frame));
    const gone = [...usedAt.keys()].filter((neuron) =>
      !left.some((frame) => frame.neurons[0] === neuron)
    );
    const latestGone = Math.max(-1, ...gone.map((neuron) => usedAt.get(neuron)!));
    assert(latestGone <= oldest(left));
    const room = this.frames.filter((frame) => !frame.isHot && !isHeld(frame)).length;
    assertEquals(gone.length, Math.max(0, before.length - room));
  }

  #shrank(first: number, pairs: number[][]): void {
    const hot = this.frames.filter((frame) => frame.isHot);
    const last = this.frameOf(first);
    const isFree = (frame: Frame) => frame.state === ABSENT && frame.pins === 0;
    if (pairs.length > 0) {
      assertEquals(
        pairs.map(([from]) => last.neurons[from - first] !== null).includes(false),
        false,
      );
      assertEquals(pairs.length, last.neurons.filter((neuron) => neuron !== null).length);
      const target = this.frameOf(pairs[0][1]);
      for (const [from, to] of pairs) assertEquals(from - first, to - target.first);
      if (hot.some(isFree)) assert(isFree(target));
      else assert(isEvictable(target) && target.usedAt === oldest(hot));
      const { neurons, state, usedAt } = last;
      Object.assign(target, { neurons, state, usedAt });
    } else {
      assert(isFree(last) || !hot.some(isFree) && last.usedAt === oldest(hot));
    }
    this.frames = this.frames.filter((frame) => frame !== last);
    for (let i = 0; i < CLUSTER_SLOTS; i++) this.frames.push(emptyFrame(first + i, false));
    this.frames.sort((a, b) => a.first - b.first);
  }
}

export function isEvictable(frame: Frame): boolean {
  return frame.pins === 0 && frame.state >= GATE_ONLY;
}

function isHeld(frame: Frame): boolean {
  return frame.pins > 0 || frame.state === LOADING;
}

function oldest(frames: readonly Frame[]): number {
  return Math.min(Infinity, ...frames.filter(isEvictable).map((frame) => frame.usedAt));
}

function emptyFrame(first: number, isHot: boolean): Frame {
  const neurons = Array<Neuron | null>(isHot ? CLUSTER_SLOTS : 1).fill(null);
  return { first, isHot, neurons, state: ABSENT, pins: 0, usedAt: 0 };
}
