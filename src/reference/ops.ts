/**
 * Every operation of the engine as its formula: plain loops, f64 sums, no cleverness. Slow on
 * purpose: these are the judges of the kernels and the pieces of the reference model.
 *
 * Matrices are row-major and dense, outermost dimension first: x [n, d] holds token t's value i at
 * t·d + i. Functions return new arrays and leave their arguments alone. Knows nothing of files,
 * packed rows or WebAssembly.
 */

/** Anything that holds numbers: Float32Array, Float64Array, Int8Array, number[]. */
export type Numbers = ArrayLike<number>;

// --- numbers of fewer bits -----------------------------------------------------------------------

/** The value of an IEEE half (u16 bits). */
export function f16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The IEEE half (u16 bits) nearest to `value`, ties to even; 65520 and more become infinite. */
export function numberToF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size)));
  const steps = roundHalfEven(size * 2 ** (10 - exponent)); // of the last place, 0..2048
  return sign | (((exponent + 14) << 10) + steps);
}

/** The value of a bfloat16 (u16 bits). */
export function bf16ToNumber(bits: number): number {
  return bitsToF32(bits << 16);
}

/** The bfloat16 (u16 bits) nearest to `value` rounded to f32, ties to even. */
export function numberToBf16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const bits = f32ToBits(value);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The integer nearest to `value`, ties to the even one. */
function roundHalfEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/** One number in both views. */
const FLOAT = new Float32Array(1), BITS = new Uint32Array(FLOAT.buffer);

function bitsToF32(bits: number): number {
  BITS[0] = bits;
  return FLOAT[0];
}

function f32ToBits(value: number): number {
  FLOAT[0] = value;
  return BITS[0];
}

// --- quantised blocks of 32 ----------------------------------------------------------------------

/**
 * Weights of Q4_0 blocks as a file stores them: f16 scale, then 16 bytes whose low nibbles are
 * weights 0..15 and whose high nibbles are weights 16..31, each minus 8.
 *
 * @returns f64 [32 · blocks]; `bytes` holds 18 a block.
 */
export function dequantizeQ4_0(bytes: Uint8Array): Float64Array {
  const blocks = bytes.length / 18;
  const out = new Float64Array(blocks * 32);
  for (let b = 0; b < blocks; b++) {
    const scale = f16ToNumber(bytes[b * 18] | (bytes[b * 18 + 1] << 8));
    for (let i = 0; i < 16; i++) {
      const byte = bytes[b * 18 + 2 + i];
      out[b * 32 + i] = scale * ((byte & 15) - 8);
      out[b * 32 + 16 + i] = scale * ((byte >> 4) - 8);
    }
  }
  return out;
}

/**
 * Weights of Q8_0 blocks as a file stores them: f16 scale, then 32 signed bytes.
 *
 * @returns f64 [32 · blocks]; `bytes` holds 34 a block.
 */
export function dequantizeQ8_0(bytes: Uint8Array): Float64Array {
  const blocks = bytes.length / 34;
  const out = new Float64Array(blocks * 32);
  for (let b = 0; b < blocks; b++) {
    const scale = f16ToNumber(bytes[b * 34] | (bytes[b * 34 + 1] << 8));
    for (let i = 0; i < 32; i++) {
      out[b * 32 + i] = scale * ((bytes[b * 34 + 2 + i] << 24) >> 24);
    }
  }
  return out;
}

/** Activations as int8 with one f32 scale per 32: value i ≈ quants[i] · scales[⌊i / 32⌋]. */
export interface Q8Activations {
  readonly quants: Int8Array;
  readonly scales: Float32Array;
}

/**
 * Quantises x [k] to int8 per 32: scale = max|x| / 127, quant = x / scale to the nearest, ties to
 * even. A block whose largest value is below 2^-100 counts as zero.
 */
export function quantizeQ8(x: Numbers): Q8Activations {
  const blocks = Math.ceil(x.length / 32);
  const quants = new Int8Array(x.length);
  const scales = new Float32Array(blocks);
  for (let b = 0; b < blocks; b++) {
    const end = Math.min(x.length, b * 32 + 32);
    let largest = 0;
    for (let i = b * 32; i < end; i++) largest = Math.max(largest, Math.abs(x[i]));
    if (largest < 2 ** -100) continue;
    scales[b] = largest / 127;
    const inverse = Math.fround(127 / largest);
    for (let i = b * 32; i < end; i++) quants[i] = roundHalfEven(Math.fround(x[i] * inverse));
  }
  return { quants, scales };
}

/** The values that `quantizeQ8` stands for. */
export function dequantizeQ8(activations: Q8Activations): Float64Array {
  const { quants, scales } = activations;
  return each(quants, (quant, i) => quant * scales[i >> 5]);
}

// --- the steps of a transformer ------------------------------------------------------------------

/** out[t, i] = x[t, i] · weight[i] / sqrt(mean_i(x[t, i]²) + epsilon); x [n, d], weight [d]. */
export function rmsNorm(x: Numbers, weight: Numbers, epsilon: number): Float64Array {
  const d = weight.length;
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += d) {
    let squares = 0;
    for (let i = 0; i < d; i++) squares += x[start + i] * x[start + i];
    const factor = 1 / Math.sqrt(squares / d + epsilon);
    for (let i = 0; i < d; i++) out[start + i] = x[start + i] * factor * weight[i];
  }
  return out;
}

/**
 * out[t, r] = Σ_i w[r, i] · x[t, i]; w [rows, k], x [n, k], out [n, rows]. Four rows at a time, for
 * no sum has to wait then for the one before it; each is added up in the order of i.
 */
export function matmul(w: Numbers, x: Numbers, k: number): Float64Array {
  const rows = w.length / k;
  const n = x.length / k;
  const out = new Float64Array(n * rows);
  for (let t = 0; t < n; t++) {
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
      const w0 = r * k, w1 = w0 + k, w2 = w1 + k, w3 = w2 + k;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let i = 0; i < k; i++) {
        const factor = x[t * k + i];
        s0 += w[w0 + i] * factor;
        s1 += w[w1 + i] * factor;
        s2 += w[w2 + i] * factor;
        s3 += w[w3 + i] * factor;
      }
      const at = t * rows + r;
      out[at] = s0;
      out[at + 1] = s1;
      out[at + 2] = s2;
      out[at + 3] = s3;
    }
    for (; r < rows; r++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += w[r * k + i] * x[t * k + i];
      out[t * rows + r] = sum;
    }
  }
  return out;
}

/** of(x[i], i), as `filled()` has it. */
export function each(x: Numbers, of: (value: number, i: number) => number): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = of(x[i], i);
  return out;
}

/** of(i) for each i < length; `Float64Array.from` takes several times as long. */
export function filled(length: number, of: (i: number) => number): Float64Array {
  const out = new Float64Array(length);
  for (let i = 0; i < length; i++) out[i] = of(i);
  return out;
}

/** x[i] + y[i]. */
export function add(x: Numbers, y: Numbers): Float64Array {
  return each(x, (value, i) => value + y[i]);
}

/** x[t, i] + bias[i]; x [n, d], bias [d]. */
export function addBias(x: Numbers, bias: Numbers): Float64Array {
  return each(x, (value, i) => value + bias[i % bias.length]);
}

/** What rope() turns, and how. */
export interface RopeShape {
  readonly heads: number;
  readonly headDim: number;
  /** How many dimensions of each head are turned; even, at most headDim. */
  readonly rotDim: number;
  /** The first of them. Left out: 0. */
  readonly start?: number;
  /** "norm" turns pairs (2i, 2i + 1); "neox" turns pairs (i, i + rotDim / 2). */
  readonly kind: "norm" | "neox";
}

/**
 * Rotary position embedding: each pair (a, b) becomes (a·cos − b·sin, a·sin + b·cos).
 *
 * @param x      [n, heads, headDim]
 * @param cosSin [n, rotDim]: per token rotDim/2 cosines, then rotDim/2 sines.
 */
export function rope(x: Numbers, cosSin: Numbers, shape: RopeShape): Float64Array {
  const { heads, headDim, rotDim, start = 0, kind } = shape;
  const half = rotDim / 2;
  const out = Float64Array.from(x);
  const n = x.length / (heads * headDim);
  for (let t = 0; t < n; t++) {
    for (let h = 0; h < heads; h++) {
      const head = (t * heads + h) * headDim + start;
      for (let i = 0; i < half; i++) {
        const a = head + (kind === "norm" ? 2 * i : i);
        const b = head + (kind === "norm" ? 2 * i + 1 : i + half);
        const cos = cosSin[t * rotDim + i];
        const sin = cosSin[t * rotDim + half + i];
        out[a] = x[a] * cos - x[b] * sin;
        out[b] = x[a] * sin + x[b] * cos;
      }
    }
  }
  return out;
}

/** The shape of an attention call. */
export interface AttentionShape {
  /** Position of the first query token; the cache holds positions 0 .. p0 + n - 1, at least. */
  readonly p0: number;
  /** Query heads in `q`. */
  readonly heads: number;
  /** Key/value heads in the cache. */
  readonly kvHeads: number;
  /** Query head h reads key/value head ⌊(h + headOffset) / groupSize⌋. */
  readonly groupSize: number;
  /** Place of the first query head within its group; 0 unless heads are split over ranks. */
  readonly headOffset?: number;
  readonly headDim: number;
  /** Dimensions of a value; left out: headDim. */
  readonly valueDim?: number;
  /** A token sees this many positions, itself included; 0 = all. */
  readonly window?: number;
  /** Multiplies q·k; usually 1 / sqrt(headDim). */
  readonly scale: number;
  /** Scores s become softCap · tanh(s / softCap); 0 or left out: they stay. */
  readonly softCap?: number;
  /** [heads]: scores beside those of positions, with values that are nothing. */
  readonly sinks?: Numbers;
  /** Positions come in chunks of so many, of which a token sees its own; 0 = of all. */
  readonly chunk?: number;
  /** [heads]: scores fall by so much with each position of distance. */
  readonly slopes?: Numbers;
  /** What a head's score of a position has more, by how far that is behind a token's own. */
  readonly biasOf?: (head: number, distance: number) => number;
  /** A token sees so many of the cache's positions behind its own; left out: none. */
  readonly ahead?: number;
  /**
   * The positions that new token t sees by a key/value head, whatever the others say; null: those.
   * Left out: those.
   */
  readonly listOf?: (t: number, kvHead: number) => Iterable<number> | null;
  /** The last position that a token sees at least; left out: its own. */
  readonly lastOf?: (position: number) => number;
}

/**
 * Attention of n tokens: out[t, h] = Σ_p softmax_p(scale · q[t, h]·k[p, g]) · v[p, g], with
 * soft-capped scores and sinks if asked for.
 *
 * @param q [n, heads, headDim]
 * @param k [p0 + n, kvHeads, headDim], v [p0 + n, kvHeads, valueDim]: earlier positions and the
 *          new ones.
 * @returns [n, heads, valueDim]
 */
export function attention(
  { q, k, v }: { q: Numbers; k: Numbers; v: Numbers },
  shape: AttentionShape,
): Float64Array {
  const { p0, heads, kvHeads, groupSize, headOffset = 0, headDim, window = 0, scale, softCap = 0 } =
    shape;
  const { valueDim = headDim, sinks, chunk = 0, slopes, ahead = 0 } = shape;
  const positions = k.length / (kvHeads * headDim);
  const n = q.length / (heads * headDim);
  const out = new Float64Array(n * heads * valueDim);
  for (let t = 0; t < n; t++) {
    const own = p0 + t;
    const oldest = window === 0 ? 0 : Math.max(0, own + 1 - window);
    const first = chunk === 0 ? oldest : own - own % chunk;
    const end = chunk === 0 ? positions : Math.min(first + chunk, positions);
    const last = Math.min(Math.max(own + ahead, shape.lastOf?.(own) ?? 0), end - 1);
    const all = range(first, last);
    for (let h = 0; h < heads; h++) {
      const head = (t * heads + h) * headDim;
      const kvHead = Math.floor((h + headOffset) / groupSize);
      const list = shape.listOf?.(t, kvHead);
      const seen = list ? [...list] : all;
      const mixed = (t * heads + h) * valueDim;
      const scores = new Float64Array(seen.length + (sinks === undefined ? 0 : 1));
      for (let at = 0; at < seen.length; at++) {
        const p = seen[at], key = (p * kvHeads + kvHead) * headDim;
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += q[head + i] * k[key + i];
        const score = dot * scale;
        const capped = softCap === 0 ? score : softCap * Math.tanh(score / softCap);
        const more = shape.biasOf?.(h, p - own) ?? 0;
        scores[at] = capped - (slopes?.[h] ?? 0) * Math.abs(own - p) + more;
      }
      if (sinks !== undefined) scores[seen.length] = sinks[h];
      const weights = softmax(scores);
      for (let at = 0; at < seen.length; at++) {
        const weight = weights[at], value = (seen[at] * kvHeads + kvHead) * valueDim;
        for (let i = 0; i < valueDim; i++) out[mixed + i] += weight * v[value + i];
      }
    }
  }
  return out;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last + 1 - first }, (_, i) => first + i);
}

// --- choosing a token ----------------------------------------------------------------------------

/** exp(x[i] − max) / Σ. */
export function softmax(x: Numbers): Float64Array {
  let largest = -Infinity;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, x[i]);
  const out = each(x, (value) => Math.exp(value - largest));
  let sum = 0;
  for (let i = 0; i < out.length; i++) sum += out[i];
  for (let i = 0; i < out.length; i++) out[i] /= sum;
  return out;
}

/** Index of the largest value, the first among equals; NaN never wins (0 when all are NaN). */
export function argmax(x: Numbers): number {
  let best = -1;
  for (let i = 0; i < x.length; i++) {
    if (Number.isNaN(x[i])) continue;
    if (best < 0 || x[i] > x[best]) best = i;
  }
  return Math.max(best, 0);
}

/** Indices of the k largest values, the first among equals first; NaN and -Infinity never. */
export function topK(x: Numbers, k: number): number[] {
  const ids = Array.from(x, (_, id) => id).filter((id) => x[id] > -Infinity);
  return ids.sort((a, b) => x[a] === x[b] ? a - b : x[a] < x[b] ? 1 : -1).slice(0, k);
}
