/** AAC's formulas as the standard has them (ISO/IEC 14496-3, 4.6), slowly. */
import { bandsOf } from "../../src/hearing/decoders/aac/bands.ts";
import type { ChannelSpec, FilterSpec, LayoutSpec, PartSpec } from "./aac_files.ts";

/** The mean of all channels of frames without noise. [frames · 1024] */
export function twinSamples(frames: readonly (readonly PartSpec[])[], rate: number): Float64Array {
  const samples = new Float64Array(1024 * (frames.length + 1));
  const shapes: number[] = [];
  frames.forEach((parts, frame) => {
    const spectra = parts.flatMap((part) => "bits" in part ? [] : partSpectra(part, rate));
    spectra.forEach(({ layout, spectrum }, place) => {
      const own = framed(spectrum, layout, shapes[place] ?? 0);
      own.forEach((value, i) => samples[1024 * frame + i] += value / spectra.length / 32768);
      shapes[place] = layout.shape;
    });
  });
  return samples.subarray(0, 1024 * frames.length);
}

interface Spectrum {
  readonly layout: LayoutSpec;
  readonly spectrum: Float64Array;
}

const PLACES = new WeakMap<LayoutSpec, (number | null)[]>();

/** Which group and band a place of a spectrum is of; null: none that is coded. */
function placeOf(layout: LayoutSpec, at: number, rate: number): number | null {
  let places = PLACES.get(layout);
  if (places === undefined) {
    places = Array.from({ length: 1024 }, (_, i) => findPlace(layout, i, rate));
    PLACES.set(layout, places);
  }
  return places[at];
}

function findPlace({ sequence, groups, bands }: LayoutSpec, at: number, rate: number) {
  const { long, short } = bandsOf(rate);
  const window = sequence === 2 ? at >> 7 : 0;
  let group = 0, last = groups[0];
  while (window >= last) last += groups[++group];
  const offsets = sequence === 2 ? short : long;
  const band = offsets.findIndex((offset) => offset > at - 128 * window) - 1;
  return band < bands ? group * bands + band : null;
}

function partSpectra(part: Exclude<PartSpec, { bits: unknown }>, rate: number): Spectrum[] {
  const spectra = part.channels.map((channel) => ({
    layout: channel.layout,
    spectrum: scaled(channel, rate),
  }));
  const [left, right] = spectra.map(({ spectrum }) => spectrum);
  const { mask, channels: [, second] } = part;
  if (second !== undefined) {
    for (let i = 0; i < 1024; i++) {
      const place = placeOf(second.layout, i, rate);
      if (place === null) continue;
      const mark = mask === "all" ? 1 : mask?.[place] ?? 0;
      const book = second.books[place];
      if (book > 13) {
        // ISO/IEC 14496-3, 4.6.8.2.3: a mark turns it round where each band has one of its own.
        const turn = mask === "all" ? 1 : 1 - 2 * mark;
        right[i] = (book === 15 ? turn : -turn) * 0.5 ** (second.scales[place] / 4) * left[i];
      } else if (mark === 1) {
        [left[i], right[i]] = [left[i] + right[i], left[i] - right[i]];
      }
    }
  }
  part.channels.forEach((channel, i) => filter(channel, spectra[i].spectrum, rate));
  return spectra;
}

function scaled(channel: ChannelSpec, rate: number): Float64Array {
  const numbers = [...channel.values];
  if (channel.pulses !== undefined) {
    let at = bandsOf(rate).long[channel.pulses.band];
    for (const [step, height] of channel.pulses.steps) {
      at += step;
      const place = placeOf(channel.layout, at, rate);
      if (place === null || channel.books[place] === 0) continue;
      numbers[at] += numbers[at] > 0 ? height : -height;
    }
  }
  return Float64Array.from(numbers, (number, i) => {
    const place = placeOf(channel.layout, i, rate);
    if (place === null || channel.books[place] === 0 || channel.books[place] > 11) return 0;
    return Math.sign(number) * Math.abs(number) ** (4 / 3) *
      2 ** ((channel.scales[place] - 100) / 4);
  });
}

/** y[i] = x[i] - Σ weights[j] · y[i - j] */
function filter({ layout, filters = [], isCoarse }: ChannelSpec, all: Float64Array, rate: number) {
  const { long, short, tnsBandsLong, tnsBandsShort } = bandsOf(rate);
  const isShort = layout.sequence === 2;
  const offsets = isShort ? short : long;
  filters.forEach((own, window) => {
    let top = offsets.length - 1;
    for (const each of own) {
      const bottom = Math.max(0, top - each.bands);
      const edge = (band: number) =>
        offsets[Math.min(band, isShort ? tnsBandsShort : tnsBandsLong, layout.bands)];
      const part = all.slice(128 * window + edge(bottom), 128 * window + edge(top));
      if (each.isDown) part.reverse();
      const weights = weightsOf(each, isCoarse ? 3 : 4);
      part.forEach((_, i) => {
        for (let j = 1; j < weights.length && j <= i; j++) part[i] -= weights[j] * part[i - j];
      });
      if (each.isDown) part.reverse();
      all.set(part, 128 * window + edge(bottom));
      top = bottom;
    }
  });
}

function weightsOf({ codes }: FilterSpec, bits: number): number[] {
  const half = 2 ** (bits - 1);
  return codes.reduce((weights, code) => {
    const reflection = Math.sin(code / ((half + (code < 0 ? 0.5 : -0.5)) / (Math.PI / 2)));
    const longer = [...weights, 0];
    return longer.map((weight, i) => weight + reflection * longer[longer.length - 1 - i]);
  }, [1]);
}

/** 2048 samples of a frame, in their windows. */
function framed(spectrum: Float64Array, layout: LayoutSpec, before: number): Float64Array {
  const { sequence, shape } = layout;
  const all = new Float64Array(2048);
  if (sequence === 2) {
    for (let w = 0; w < 8; w++) {
      const one = inverse(spectrum.subarray(128 * w, 128 * w + 128));
      one.forEach((value, i) => {
        const half = i < 128 ? rise(i, 128, w === 0 ? before : shape) : rise(255 - i, 128, shape);
        all[448 + 128 * w + i] += value * half;
      });
    }
    return all;
  }
  // Of a start the second half, of a stop the first one: as flat as eight short windows are not.
  const edge = (i: number, kind: number) => i < 448 ? 0 : i < 576 ? rise(i - 448, 128, kind) : 1;
  inverse(spectrum).forEach((value, i) => {
    const half = i < 1024
      ? sequence === 3 ? edge(i, before) : rise(i, 1024, before)
      : sequence === 1
      ? edge(2047 - i, shape)
      : rise(2047 - i, 1024, shape);
    all[i] = value * half;
  });
  return all;
}

/** By its formula, whose cosines repeat. */
function inverse(spectrum: Float64Array): Float64Array {
  const length = spectrum.length;
  const cosines = Float64Array.from(
    { length: 8 * length },
    (_, i) => Math.cos(Math.PI / (4 * length) * i),
  );
  return Float64Array.from({ length: 2 * length }, (_, i) => {
    const step = 2 * i + 1 + length;
    let sum = 0;
    // (2 · i + 1 + length) · (2 · k + 1), of which eight lengths are a whole turn.
    for (let k = 0, at = step; k < length; k++, at += 2 * step) {
      sum += spectrum[k] * cosines[at & 8 * length - 1];
    }
    return sum / length;
  });
}

const RISES = new Map<string, number[]>();

function rise(i: number, length: number, shape: number): number {
  const name = `${length} ${shape}`;
  let values = RISES.get(name);
  if (values === undefined) RISES.set(name, values = shape === 1 ? kaiser(length) : sines(length));
  return values[i];
}

function sines(length: number): number[] {
  return Array.from({ length }, (_, i) => Math.sin(Math.PI / (2 * length) * (i + 0.5)));
}

function kaiser(length: number): number[] {
  const alpha = length === 1024 ? 4 : 6;
  const weight = (n: number) => {
    const x = Math.PI * alpha * Math.sqrt(1 - ((n - length / 2) / (length / 2)) ** 2);
    // Bessel's integral, by many steps.
    let sum = 0;
    for (let k = 0; k < 200; k++) sum += Math.exp(x * Math.cos(Math.PI * (k + 0.5) / 200));
    return sum;
  };
  const sums: number[] = [];
  for (let n = 0, sum = 0; n <= length; n++) sums.push(sum += weight(n));
  return sums.slice(0, length).map((sum) => Math.sqrt(sum / sums[length]));
}
