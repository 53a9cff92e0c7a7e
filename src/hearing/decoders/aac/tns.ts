/**
 * Temporal noise shaping (TNS, ISO/IEC 14496-3, 4.6.9): parts of a spectrum are filtered over their
 * frequencies, so that noise is where in time the sound is.
 */
import type { BitReader } from "../bit_reader.ts";
import { SHORT } from "./bands.ts";
import { EIGHT_SHORT, type Layout } from "./layout.ts";

/** A filter over a part of a spectrum. */
export interface TnsFilter {
  /** Numbers of the spectrum, the last one's behind. */
  readonly from: number;
  readonly to: number;
  readonly isDown: boolean;
  /** Of the numbers before, the last one's first. */
  readonly weights: Float64Array;
}

/** Numbers before that a filter may look at: in a long window, and in a short one. */
const ORDER_LONG_MAX = 12;
const ORDER_SHORT_MAX = 7;

export function readTns(bits: BitReader, layout: Layout): TnsFilter[] {
  const isShort = layout.sequence === EIGHT_SHORT;
  const windows = layout.groups.reduce((sum, count) => sum + count, 0);
  const filters: TnsFilter[] = [];
  for (let window = 0; window < windows; window++) {
    const count = bits.read(isShort ? 1 : 2);
    const coefficientBits = count > 0 ? 3 + bits.read(1) : 0;
    // From the highest band down.
    let to = layout.offsets.length - 1;
    for (let i = 0; i < count; i++) {
      const from = Math.max(0, to - bits.read(isShort ? 4 : 6));
      const order = bits.read(isShort ? 3 : 5);
      if (order > (isShort ? ORDER_SHORT_MAX : ORDER_LONG_MAX)) {
        throw bits.damaged(`noise of it is shaped by ${order} numbers`);
      }
      if (order > 0) {
        const isDown = bits.read(1) === 1;
        const weights = readWeights(bits, order, coefficientBits);
        const place = (band: number) =>
          window * SHORT + layout.offsets[Math.min(band, layout.tnsBands, layout.bands)];
        filters.push({ from: place(from), to: place(to), isDown, weights });
      }
      to = from;
    }
  }
  return filters;
}

/** Reflections, told by arc sines, to weights. */
function readWeights(bits: BitReader, order: number, coefficientBits: number): Float64Array {
  const left = coefficientBits - bits.read(1);
  const half = 2 ** (coefficientBits - 1);
  const weights = new Float64Array(order), before = new Float64Array(order);
  for (let i = 0; i < order; i++) {
    const code = bits.readSigned(left);
    const reflection = Math.sin(code * Math.PI / 2 / (code < 0 ? half + 0.5 : half - 0.5));
    before.set(weights);
    for (let j = 0; j < i; j++) weights[j] += reflection * before[i - 1 - j];
    weights[i] = reflection;
  }
  return weights;
}

/** Filters a spectrum in place, from each part's one end to its other one. */
export function applyTns(spectrum: Float64Array, filters: readonly TnsFilter[]): void {
  for (const { from, to, isDown, weights } of filters) {
    const step = isDown ? -1 : 1;
    for (let i = 0; i < to - from; i++) {
      const at = isDown ? to - 1 - i : from + i;
      let value = spectrum[at];
      const count = Math.min(i, weights.length);
      for (let j = 0; j < count; j++) value -= weights[j] * spectrum[at - (j + 1) * step];
      spectrum[at] = value;
    }
  }
}
