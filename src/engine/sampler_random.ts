/** Random numbers that a seed repeats, on every machine. Not for secrets. */

/** xoshiro128** (Blackman and Vigna 2018): 128 bits of state, made of the seed by splitmix32. */
export class SeededRandom {
  readonly #state = new Uint32Array(4);
  /** While somebody looks ahead. */
  readonly #kept = new Uint32Array(4);

  /** `seed`: any number; its integer part counts, modulo 2^64. */
  constructor(seed: number) {
    const whole = Number.isFinite(seed) ? BigInt.asUintN(64, BigInt(Math.trunc(seed))) : 0n;
    let mixed = Number(whole & 0xffffffffn);
    this.#state[0] = mixed = splitmix32(mixed);
    this.#state[1] = mixed = splitmix32(mixed);
    this.#state[2] = mixed = splitmix32(mixed ^ Number(whole >> 32n));
    this.#state[3] = splitmix32(mixed) | 1; // xoshiro must not start from all zeros
  }

  /** Fills in what `next` will give. */
  peek(points: Float64Array, count: number): void {
    this.keep();
    for (let i = 0; i < count; i++) points[i] = this.next();
    this.restore();
  }

  /** What is drawn from here on, `restore` lets be drawn again. */
  keep(): void {
    this.#kept.set(this.#state);
  }

  restore(): void {
    this.#state.set(this.#kept);
  }

  /** Uniform in [0, 1), 53 bits. */
  next(): number {
    const high = this.#u32() >>> 5;
    const low = this.#u32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  #u32(): number {
    const state = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotateLeft(state[3], 11);
    return result;
  }
}

/** A seed for a request that names none. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

function splitmix32(state: number): number {
  let z = (state + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
