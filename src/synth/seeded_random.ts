/** Random numbers that a seed repeats, fast enough to fill buffers. */

/** xoshiro128**: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018. */
export class SeededRandom {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    // Weyl steps through splitmix's finaliser, so that near seeds have nothing in common.
    for (let i = 0; i < 4; i++) this.#state[i] = mix((seed + Math.imul(i + 1, 0x9e3779b9)) >>> 0);
  }

  /** Uniform u32. */
  u32(): number {
    const s = this.#state;
    const product = Math.imul(s[1], 5);
    const result = Math.imul(product << 7 | product >>> 25, 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 11 | s[3] >>> 21;
    return result;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.u32() / 2 ** 32;
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** Standard normal, by Box and Muller's method. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** `sizeBytes` random bytes. */
  bytes(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(Math.ceil(sizeBytes / 4));
    for (let i = 0; i < words.length; i++) words[i] = this.u32();
    return new Uint8Array(words.buffer, 0, sizeBytes);
  }
}

function mix(value: number): number {
  let z = Math.imul(value ^ value >>> 16, 0x85ebca6b);
  z = Math.imul(z ^ z >>> 13, 0xc2b2ae35);
  return (z ^ z >>> 16) >>> 0;
}
