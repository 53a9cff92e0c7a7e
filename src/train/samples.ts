/**
 * What a layer saw and what fired, token by token: the material predictors are trained on. Knows
 * bits and floats; knows nothing of engines and networks.
 */
import { check } from "../base/check.ts";

/**
 * Samples of the neurons that one predictor is for: those of a dense layer, or of one expert, which
 * has only the tokens that chose it. In shared memory, so that a thread gets them without a copy;
 * experts of a layer share the rows, and each knows which are its own.
 */
export interface BlockSamples {
  /** Width of the residual stream, d. */
  readonly inputLength: number;
  readonly neuronCount: number;
  readonly count: number;
  /** f16 [tokens, d]: the residual stream before the block's norm, over its root mean square. */
  readonly inputs: Uint16Array<SharedArrayBuffer>;
  /** Bits [rows, firedBytes(neuronCount)]: neuron j is bit j & 7 of byte j >> 3. */
  readonly fired: Uint8Array<SharedArrayBuffer>;
  /** Of each sample the row of `inputs`, and the row of `fired`; [count]. */
  readonly inputRows: Int32Array<SharedArrayBuffer>;
  readonly firedRows: Int32Array<SharedArrayBuffer>;
}

/** Who can fire in a layer: one dense block, or experts of which each token chooses some. */
export interface SampledLayer {
  readonly inputLength: number;
  /** Neurons of the block, or of one expert. */
  readonly neuronCount: number;
  /** 1: a dense block. */
  readonly blockCount: number;
  /** How many of them a token uses. */
  readonly usedCount: number;
}

/** Bytes of one sample's bits. */
export function firedBytes(neuronCount: number): number {
  return Math.ceil(neuronCount / 8);
}

/** Bytes that what a layer does with one token takes. */
export function sampleBytes({ inputLength, neuronCount, usedCount }: SampledLayer): number {
  return 2 * inputLength + usedCount * (firedBytes(neuronCount) + ROW_BYTES);
}

/** Of the numbers of a sample's two rows, while they are written and when they are sorted. */
const ROW_BYTES = 16;

/** Takes samples of one layer, as many tokens as it has room for. */
export class SampleRecorder {
  readonly #layer: SampledLayer;
  readonly #room: number;
  readonly #inputs: Float16Array<SharedArrayBuffer>;
  readonly #fired: Uint8Array<SharedArrayBuffer>;
  /** Of each row of `#fired` its token and its block. */
  readonly #tokens: Int32Array;
  readonly #blocks: Int32Array;
  readonly #row: Float32Array;
  #count = 0;
  #rowCount = 0;

  /** @param room tokens at most. */
  constructor(layer: SampledLayer, room: number) {
    const { inputLength, neuronCount, usedCount } = layer;
    const rows = room * usedCount;
    this.#layer = layer;
    this.#room = room;
    this.#inputs = new Float16Array(new SharedArrayBuffer(2 * room * inputLength));
    this.#fired = new Uint8Array(new SharedArrayBuffer(rows * firedBytes(neuronCount)));
    this.#tokens = new Int32Array(rows);
    this.#blocks = new Int32Array(rows);
    this.#row = new Float32Array(inputLength);
  }

  /** True when no more samples are taken. */
  get isFull(): boolean {
    return this.#count === this.#room;
  }

  /**
   * Adds what a token brought; what there is no room for is dropped.
   *
   * A predictor has no bias and ReLU lets factors through: whether a score is at least 0 does not
   * depend on the input's size. So training may divide by it, and layers become alike.
   * @param residual f32 [d].
   * @param fired a byte a neuron, block by block, not 0 where it fired.
   * @param chosen a byte a block, not 0 where the token uses it; null: there is only one.
   */
  add(residual: Float32Array, fired: Uint8Array, chosen: Uint8Array | null = null): void {
    if (this.isFull) return;
    const { inputLength, neuronCount: n, blockCount } = this.#layer;
    check(residual.length === inputLength, `${residual.length} numbers of a sample`);
    check(fired.length === n * blockCount, `${fired.length} neurons of a sample`);
    check((chosen?.length ?? 1) === blockCount, `who was chosen of ${blockCount} blocks`);
    this.#addInput(residual);
    for (let block = 0; block < blockCount; block++) {
      if (chosen !== null && chosen[block] === 0) continue;
      this.#addFired(fired.subarray(block * n, (block + 1) * n), block);
    }
    this.#count++;
  }

  /** What was added so far, block by block. */
  samples(): BlockSamples[] {
    const { inputLength, neuronCount, blockCount } = this.#layer;
    const counts = new Int32Array(blockCount);
    for (let row = 0; row < this.#rowCount; row++) counts[this.#blocks[row]]++;
    const inputs = new Uint16Array(this.#inputs.buffer);
    const blocks = Array.from(counts, (count): BlockSamples => ({
      ...{ inputLength, neuronCount, count, inputs, fired: this.#fired },
      inputRows: new Int32Array(new SharedArrayBuffer(4 * count)),
      firedRows: new Int32Array(new SharedArrayBuffer(4 * count)),
    }));
    counts.fill(0);
    for (let row = 0; row < this.#rowCount; row++) {
      const block = this.#blocks[row];
      const at = counts[block]++;
      blocks[block].inputRows[at] = this.#tokens[row];
      blocks[block].firedRows[at] = row;
    }
    return blocks;
  }

  #addInput(residual: Float32Array): void {
    let squares = 0;
    for (let i = 0; i < residual.length; i++) squares += residual[i] * residual[i];
    // A row of zeros, and one that is not finite, teaches nothing and becomes zeros.
    const factor = squares > 0 && squares < Infinity ? Math.sqrt(residual.length / squares) : 0;
    for (let i = 0; i < residual.length; i++) {
      this.#row[i] = factor === 0 ? 0 : residual[i] * factor;
    }
    this.#inputs.set(this.#row, this.#count * residual.length);
  }

  #addFired(fired: Uint8Array, block: number): void {
    check(this.#rowCount < this.#tokens.length, "a token uses as many experts as the model says");
    const at = this.#rowCount * firedBytes(fired.length);
    for (let j = 0; j < fired.length; j++) {
      if (fired[j] !== 0) this.#fired[at + (j >> 3)] |= 1 << (j & 7);
    }
    this.#tokens[this.#rowCount] = this.#count;
    this.#blocks[this.#rowCount++] = block;
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
/** How many neurons to name is decided by those that are held back: of few, up to a quarter is. */
const HELD_BACK_MIN = 32;
const STRETCHES_MIN = 4;

/** Holds back about 5 % of the samples; of fewer than 640 more, but a quarter at most. */
export function splitSamples(count: number): SampleSplit {
  const stretches = Math.max(
    STRETCHES_MIN,
    Math.min(STRETCHES, Math.floor(count / HELD_BACK_MIN)),
  );
  const stretch = Math.max(1, Math.min(STRETCH_SAMPLES_MAX, Math.floor(count / STRETCHES)));
  const training: number[] = [];
  const validation: number[] = [];
  for (let i = 0; i < count; i++) {
    const isHeldBack = Math.floor(i / stretch) % stretches === stretches - 1;
    (isHeldBack ? validation : training).push(i);
  }
  return { training: Int32Array.from(training), validation: Int32Array.from(validation) };
}

/** How often each neuron fires, in 0..1, over some samples; f32 [neuronCount]. */
export function firingRates(samples: BlockSamples, indices: Int32Array): Float32Array {
  const { neuronCount, fired, firedRows } = samples;
  const rates = new Float32Array(neuronCount);
  const rowBytes = firedBytes(neuronCount);
  for (const index of indices) {
    const row = firedRows[index] * rowBytes;
    for (let j = 0; j < neuronCount; j++) rates[j] += fired[row + (j >> 3)] >> (j & 7) & 1;
  }
  for (let j = 0; j < neuronCount; j++) rates[j] /= Math.max(1, indices.length);
  return rates;
}
