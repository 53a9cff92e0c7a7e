/**
 * Binary cross-entropy of neurons' scores, with the class weights of DejaVu's training script: 1
 * for a neuron that fired, `negativeWeight` for one that did not, because missing a neuron costs
 * accuracy and computing one too many costs little.
 */
import { check } from "../base/check.ts";
import { type BlockSamples, firedBytes } from "./samples.ts";
import { sigmoid } from "./sigmoid.ts";

/** What is added to the rate of firing neurons to give the weight of silent ones. */
const NEGATIVE_WEIGHT_MIN = 0.005;

/** The weight of silent neurons where a share `firingRate` of all fires. */
export function negativeWeightOf(firingRate: number): number {
  return firingRate + NEGATIVE_WEIGHT_MIN;
}

/** Which neurons fired in the samples of a batch. */
export class BatchLabels {
  readonly #offsets: Int32Array;
  #fired = new Uint8Array(0);
  #count = 0;

  /** @param batch samples at most. */
  constructor(batch: number) {
    this.#offsets = new Int32Array(batch);
  }

  /** Samples `indices[first .. first + count - 1]` from now on. */
  select(samples: BlockSamples, indices: Int32Array, at: { first: number; count: number }): void {
    check(at.count <= this.#offsets.length, `${at.count} samples in a batch`);
    const rowBytes = firedBytes(samples.neuronCount);
    for (let i = 0; i < at.count; i++) {
      this.#offsets[i] = samples.firedRows[indices[at.first + i]] * rowBytes;
    }
    this.#fired = samples.fired as Uint8Array<ArrayBuffer & SharedArrayBuffer>;
    this.#count = at.count;
  }

  /** 1 when the neuron fired in the batch's sample t, else 0. */
  fired(neuron: number, t: number): number {
    return this.#fired[this.#offsets[t] + (neuron >> 3)] >> (neuron & 7) & 1;
  }

  /**
   * Turns scores [neurons, stride] of neurons `firstNeuron` .. into the gradient of the mean, over
   * samples, of the loss summed over neurons. Columns beyond the samples become zero.
   */
  gradientInPlace(
    scores: Float32Array,
    { neurons, stride, firstNeuron }: { neurons: number; stride: number; firstNeuron: number },
    negativeWeight: number,
  ): void {
    const count = this.#count;
    const fired = this.#fired;
    const offsets = this.#offsets;
    const positive = 1 / count;
    const negative = negativeWeight / count;
    for (let j = 0; j < neurons; j++) {
      const byte = firstNeuron + j >> 3;
      const shift = firstNeuron + j & 7;
      const line = j * stride;
      for (let t = 0; t < count; t++) {
        const probability = sigmoid(scores[line + t]);
        const isFired = fired[offsets[t] + byte] >> shift & 1;
        scores[line + t] = isFired ? (probability - 1) * positive : probability * negative;
      }
      for (let t = count; t < stride; t++) scores[line + t] = 0;
    }
  }
}
