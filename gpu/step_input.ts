/**
 * What the kernels learn of a step: one buffer, written by one call. A header (how many tokens,
 * where), then a record for each token: its id, and cosines and sines for each rotary embedding.
 * Angles are made here, in f64: shaders' own sines are too coarse.
 */
import { check } from "../src/base/check.ts";
import { fillRopeTable, type RopeFrequencies } from "../src/model/mod.ts";
import type { Gpu } from "./device.ts";

/** A step, in numbers. */
export interface StepValues {
  /** New tokens. */
  readonly n: number;
  /** Position of the first one. */
  readonly position: number;
  /** How many of them, the last ones, are scored (get logits). */
  readonly m: number;
}

/** Bytes before the records: a uniform and a storage binding lie in one buffer. */
const HEADER_BYTES = 256;

/** Byte of the header's sequence number, which grows with every step. */
export const SEQUENCE_OFFSET = 12;

/** @param options.ropes their tables are written for every token; may be empty. */
export async function createStepInput(
  gpu: Gpu,
  options: { maxTokens: number; ropes: readonly RopeFrequencies[] },
): Promise<StepInput> {
  const words = recordWords(options.ropes);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
    GPUBufferUsage.COPY_SRC;
  const bytes = HEADER_BYTES + Math.max(256, options.maxTokens * words * 4);
  return new StepInput(gpu, await gpu.createBuffer("step", bytes, usage), options);
}

export class StepInput {
  readonly buffer: GPUBuffer;
  readonly maxTokens: number;
  /** Words from one token's record to the next one's. */
  readonly recordWords: number;
  /** Word of a record where a rope's cosines begin, and how many dimensions it turns. */
  readonly ropes: readonly { readonly start: number; readonly dimensionCount: number }[];
  readonly #gpu: Gpu;
  readonly #frequencies: readonly RopeFrequencies[];
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #floats: Float32Array<ArrayBuffer>;
  #sequence = 0;

  constructor(
    gpu: Gpu,
    buffer: GPUBuffer,
    { maxTokens, ropes }: { maxTokens: number; ropes: readonly RopeFrequencies[] },
  ) {
    this.#gpu = gpu;
    this.buffer = buffer;
    this.maxTokens = maxTokens;
    this.#frequencies = ropes;
    let start = 1;
    this.ropes = ropes.map(({ inverseFrequencies: { length } }) => {
      start += 2 * length;
      return { start: start - 2 * length, dimensionCount: 2 * length };
    });
    this.recordWords = recordWords(ropes);
    this.#words = new Uint32Array(HEADER_BYTES / 4 + maxTokens * this.recordWords);
    this.#floats = new Float32Array(this.#words.buffer);
  }

  /** Of the step that was written last. */
  get sequence(): number {
    return this.#sequence;
  }

  get header(): GPUBufferBinding {
    return { buffer: this.buffer, offset: 0, size: HEADER_BYTES };
  }

  get records(): GPUBufferBinding {
    return { buffer: this.buffer, offset: HEADER_BYTES };
  }

  /** Writes a step; ids [n], or null where nobody looks for them. */
  write({ n, position, m }: StepValues, ids: ArrayLike<number> | null): void {
    check(n >= 1 && n <= this.maxTokens, `a step of ${n} tokens, of at most ${this.maxTokens}`);
    check(m >= 0 && m <= n, `${m} of ${n} tokens cannot be scored`);
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#words[0] = n;
    this.#words[1] = position;
    this.#words[2] = m;
    this.#words[SEQUENCE_OFFSET / 4] = this.#sequence;
    for (let t = 0; t < n; t++) {
      const record = HEADER_BYTES / 4 + t * this.recordWords;
      this.#words[record] = ids === null ? 0 : ids[t];
      for (let rope = 0; rope < this.ropes.length; rope++) {
        const at = record + this.ropes[rope].start;
        fillRopeTable(this.#frequencies[rope], position + t, this.#floats, at);
      }
    }
    const words = HEADER_BYTES / 4 + n * this.recordWords;
    this.#gpu.device.queue.writeBuffer(this.buffer, 0, this.#words, 0, words);
  }
}

/** An id, and all ropes' cosines and sines. */
function recordWords(ropes: readonly RopeFrequencies[]): number {
  return ropes.reduce((words, { inverseFrequencies }) => words + 2 * inverseFrequencies.length, 1);
}
