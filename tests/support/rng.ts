/**
 * Standard normal numbers by seed, those that begin at its first or its second number: tiny models
 * draw the same ones again and again, and a logarithm, a root and a cosine take most of what making
 * a model takes.
 */
const knownNormals = new Map<number, [Float64Array, Float64Array]>();
/** Of all seeds in an isolate, at most (64 MB), and of one: a model of millions is made seldom. */
const KNOWN_MAX = 2 ** 23, OF_SEED_MAX = 2 ** 21;
let knownCount = 0;

/** mulberry32's state grows by it with each number; times the other one it is 1 (mod 2^32). */
const STEP = 0x6d2b79f5, ONE_BY_STEP = 0xdc58aa5d;

/** Random numbers that a seed repeats; a failing test prints the seed. */
export class Rng {
  readonly #seed: number;
  #state: number;

  constructor(seed: number) {
    this.#seed = seed | 0;
    this.#state = this.#seed;
  }

  /** Uniform u32 (mulberry32). */
  u32(): number {
    // Signed: V8 keeps such a number in the object itself.
    this.#state = (this.#state + STEP) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.u32() / 2 ** 32;
  }

  /** Uniform integer in [0, bound). */
  int(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  /** Standard normal. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.float()));
    return radius * Math.cos(2 * Math.PI * this.float());
  }

  /** of(normal()) so often. */
  normals(count: number, of: (normal: number) => number): Float32Array<ArrayBuffer> {
    const drawn = Math.imul(this.#state - this.#seed, ONE_BY_STEP) >>> 0;
    const [from, known] = [drawn >>> 1, this.#known(drawn & 1, (drawn >>> 1) + count)];
    if (known === null) return makeFloats(count, () => of(this.normal()));
    this.#state = (this.#state + Math.imul(2 * count, STEP)) | 0;
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) values[i] = of(known[from + i]);
    return values;
  }

  /** The first `count` normal numbers that begin at an even or odd one; null: too many to keep. */
  #known(parity: number, count: number): Float64Array | null {
    const none = () => [new Float64Array(0), new Float64Array(0)] as [Float64Array, Float64Array];
    const ofSeed = knownNormals.get(this.#seed) ?? none();
    const known = ofSeed[parity];
    if (known.length >= count) return known;
    // An eighth more, so that what is drawn piece by piece is copied seldom.
    const length = Math.max(count, known.length + (known.length >> 3));
    const isTooLong = count > OF_SEED_MAX;
    if (isTooLong || knownCount + length - known.length > KNOWN_MAX) return null;
    const more = new Float64Array(length);
    more.set(known);
    const rng = new Rng(this.#seed);
    rng.#state = (this.#seed + Math.imul(parity + 2 * known.length, STEP)) | 0;
    for (let i = known.length; i < length; i++) more[i] = rng.normal();
    knownCount += length - known.length;
    ofSeed[parity] = more;
    knownNormals.set(this.#seed, ofSeed);
    return more;
  }
}

/** As `Float32Array.from({ length }, value)`, which takes several times as long. */
export function makeFloats(length: number, value: () => number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = value();
  return values;
}

/** So many ids from `from` on (left out: 0) and below `end`. */
export function randomIds(
  count: number,
  { from = 0, end, seed }: { readonly from?: number; readonly end: number; readonly seed: number },
): number[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => from + rng.int(end - from));
}
