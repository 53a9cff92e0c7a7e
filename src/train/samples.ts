/**
 * What a layer saw and what fired, token by token: the material a predictor is trained on. Knows
 * bits and floats; knows nothing of engines and networks.
 */
import { check } from "../base/check.ts";

/** Samples of one layer, in shared memory, so that a thread gets them without a copy. */
export interface LayerSamples {
  /** Width of the residual stream, d. */
  readonly inputLength: number;
  /** Neurons of the layer's feed-forward block. */
  readonly neuronCount: number;
  readonly count: number;
  /** f16 [count, d]: the residual stream before the block's norm, over its root mean square. */
  readonly inputs: Uint16Array<SharedArrayBuffer>;
  /** Bits [count, firedBytes(neuronCount)]: neuron j is bit j & 7 of byte j >> 3. */
  readonly fired: Uint8Array<SharedArrayBuffer>;
}

/** Bytes of one sample's bits. */
export function firedBytes(neuronCount: number): number {
  return Math.ceil(neuronCount / 8);
}

/** Bytes that one sample of one layer takes. */
export function sampleBytes(inputLength: number, neuronCount: number): number {
  return 2 * inputLength + firedBytes(neuronCount);
}

/** Takes samples of one layer, as many as it has room for. */
export class SampleRecorder {
  readonly #inputs: Float16Array<SharedArrayBuffer>;
  readonly #fired: Uint8Array<SharedArrayBuffer>;
  readonly #row: Float32Array;
  readonly #inputLength: number;
  readonly #neuronCount: number;
  readonly #room: number;
  #count = 0;

  /** @param room samples at most. */
  constructor(size: { inputLength: number; neuronCount: number; room: number }) {
    const { inputLength, neuronCount, room } = size;
    this.#inputLength = inputLength;
    this.#neuronCount = neuronCount;
    this.#room = room;
    this.#inputs = new Float16Array(new SharedArrayBuffer(2 * room * inputLength));
    this.#fired = new Uint8Array(new SharedArrayBuffer(room * firedBytes(neuronCount)));
    this.#row = new Float32Array(inputLength);
  }

  /** True when no more samples are taken. */
  get isFull(): boolean {
    return this.#count === this.#room;
  }

  /**
   * Adds a sample; what there is no room for is dropped.
   *
   * A predictor has no bias and ReLU lets factors through: whether a score is at least 0 does not
   * depend on the input's size. So training may divide by it, and layers become alike.
   * @param residual f32 [d].
   * @param fired a byte a neuron, not 0 where it fired.
   */
  add(residual: Float32Array, fired: Uint8Array): void {
    if (this.isFull) return;
    check(residual.length === this.#inputLength, `${residual.length} numbers of a sample`);
    check(fired.length === this.#neuronCount, `${fired.length} neurons of a sample`);
    let squares = 0;
    for (let i = 0; i < residual.length; i++) squares += residual[i] * residual[i];
    // A row of zeros, and one that is not finite, teaches nothing and becomes zeros.
    const factor = squares > 0 && squares < Infinity ? Math.sqrt(residual.length / squares) : 0;
    for (let i = 0; i < residual.length; i++) {
      this.#row[i] = factor === 0 ? 0 : residual[i] * factor;
    }
    this.#inputs.set(this.#row, this.#count * this.#inputLength);
    const row = this.#count * firedBytes(this.#neuronCount);
    for (let j = 0; j < fired.length; j++) {
      if (fired[j] !== 0) this.#fired[row + (j >> 3)] |= 1 << (j & 7);
    }
    this.#count++;
  }

  /** What was added so far. */
  samples(): LayerSamples {
    return {
      inputLength: this.#inputLength,
      neuronCount: this.#neuronCount,
      count: this.#count,
      inputs: new Uint16Array(this.#inputs.buffer),
      fired: this.#fired,
    };
  }
}

/** Which samples are trained on, and which judge the result. */
export interface SampleSplit {
  /** Indices, ascending. */
  readonly training: Int32Array;
  readonly validation: Int32Array;
}

/** Neighbours are alike, so whole stretches are held back: the last of every 20. */
const STRETCHES = 20;
const STRETCH_SAMPLES_MAX = 128;

/** Holds back about 5 % of the samples. */
export function splitSamples(count: number): SampleSplit {
  const stretch = Math.max(1, Math.min(STRETCH_SAMPLES_MAX, Math.floor(count / STRETCHES)));
  const training: number[] = [];
  const validation: number[] = [];
  for (let i = 0; i < count; i++) {
    const isHeldBack = Math.floor(i / stretch) % STRETCHES === STRETCHES - 1;
    (isHeldBack ? validation : training).push(i);
  }
  return { training: Int32Array.from(training), validation: Int32Array.from(validation) };
}

/** How often each neuron fires, in 0..1, over some samples; f32 [neuronCount]. */
export function firingRates(samples: LayerSamples, indices: Int32Array): Float32Array {
  const { neuronCount, fired } = samples;
  const rates = new Float32Array(neuronCount);
  const rowBytes = firedBytes(neuronCount);
  for (const index of indices) {
    const row = index * rowBytes;
    for (let j = 0; j < neuronCount; j++) rates[j] += fired[row + (j >> 3)] >> (j & 7) & 1;
  }
  for (let j = 0; j < neuronCount; j++) rates[j] /= Math.max(1, indices.length);
  return rates;
}
