/** Samples at another rate: each is a sum of those around its place, by a windowed sinc. */
import type { Samples } from "./types.ts";

/** Zeros of the sinc on each side: what lies above half of the lower rate is 80 dB down. */
const ZEROS = 16;
/** Of the lower rate's half, what passes: the filter has an edge of some width. */
const PASSES = 0.94;
/** Where rates have few common divisors places between samples are rounded to so many. */
const PHASES_MAX = 1024;

/** The same sound with `rate` samples a second. */
export function resample({ rate: from, values }: Samples, rate: number): Float32Array {
  if (from === rate) return values;
  const step = from / rate;
  const phases = Math.min(rate / divisor(from, rate), PHASES_MAX);
  const cutoff = PASSES * Math.min(1, rate / from);
  const reach = Math.ceil(ZEROS / cutoff);
  const taps = filters(phases, reach, cutoff);
  const out = new Float32Array(Math.ceil(values.length / step));
  for (let i = 0; i < out.length; i++) {
    const place = i * step;
    const whole = Math.floor(place);
    const phase = Math.round((place - whole) * phases);
    const first = whole - reach + 1;
    const start = Math.max(0, -first), end = Math.min(2 * reach, values.length - first);
    const filter = phase * 2 * reach;
    let sum = 0;
    for (let tap = start; tap < end; tap++) sum += taps[filter + tap] * values[first + tap];
    out[i] = sum;
  }
  return out;
}

/** [phases + 1, 2 · reach]: what samples around a place between two of them weigh; 1 together. */
function filters(phases: number, reach: number, cutoff: number): Float32Array {
  const taps = new Float32Array((phases + 1) * 2 * reach);
  for (let phase = 0; phase <= phases; phase++) {
    const row = taps.subarray(phase * 2 * reach, (phase + 1) * 2 * reach);
    let sum = 0;
    for (let tap = 0; tap < row.length; tap++) {
      const x = tap - reach + 1 - phase / phases;
      // Hann's window: half a period over all that is reached.
      const window = Math.cos(Math.PI * Math.min(1, Math.abs(x) / reach) / 2) ** 2;
      sum += row[tap] = sinc(x * cutoff) * window;
    }
    for (let tap = 0; tap < row.length; tap++) row[tap] /= sum;
  }
  return taps;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
