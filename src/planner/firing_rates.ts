/**
 * How often neurons of a model fire, as a histogram over all of them: counted, where somebody did,
 * else what ReLU models are like. A rate is a share of all tokens, also of an expert's neurons.
 */
import { isSilentKind } from "../model/silent_kinds.ts";
import { configOf } from "../model/layer_config.ts";
import type { ModelConfig } from "../model/types.ts";
import type { BundleUnit } from "../bundle/types.ts";
import type { UnitShape } from "../bundle/units.ts";
import { type FiringStats, layerCounts } from "../stats/mod.ts";
import { sharesOf } from "./source_share.ts";
import { ACTIVE_SHARE, LOG_RATE_SPREAD, RATE_MAX } from "./calibration.ts";

/** Neurons that fire about as often. */
export interface RateBin {
  readonly rate: number;
  readonly neurons: number;
}

export interface FiringRates {
  /** "counted": somebody did; "assumed"; "all": neurons are never silent. */
  readonly source: "counted" | "assumed" | "all";
  /** Most frequent first. */
  readonly bins: readonly RateBin[];
  /** Neurons that fire for a token, on average. */
  readonly perToken: number;
}

/** A unit, as far as it is known. */
export type RatedUnit = UnitShape & Partial<Pick<BundleUnit, "rates" | "order">> & {
  /** Of each stripe the first so many are a GPU's: nobody else computes them. Left out: none. */
  readonly gpuOfStripe?: number;
};

/** Bins of the histogram: a factor of 1.04 each, down to one firing in 10 million tokens. */
const BINS = 400;
const LOG_RATE_MIN = Math.log(1e-7);
const SAMPLES = 512;

/** Neurons of a unit that threads have. */
export function besideGpu({ neurons, stripes, gpuOfStripe = 0 }: RatedUnit): number {
  return neurons - stripes * gpuOfStripe;
}

/** Share of tokens, of an answer or of a prompt, for which a unit is computed at all. */
export function usageOf(
  { expert, layer }: Pick<UnitShape, "expert" | "layer">,
  config: ModelConfig,
  tokens: "ofAnswer" | "ofPrompt" = "ofAnswer",
): number {
  if (!sharesOf(config, layer)[tokens]) return 0;
  const { experts } = configOf(config, layer);
  return typeof expert === "number" && experts !== null ? experts.usedCount / experts.count : 1;
}

/** stats: counts of this model, or null. */
export function firingRates(
  units: readonly RatedUnit[],
  config: ModelConfig,
  stats: FiringStats | null,
): FiringRates {
  if (!isSilentKind(config.feedForward.activation)) return allFire(units, config);
  const histogram = new Histogram();
  if (stats !== null) {
    addCounted(histogram, units, stats);
    return histogram.build("counted");
  }
  if (units.length > 0 && units.every(({ rates }) => rates)) {
    for (const unit of units) addRates(histogram, unit, unit.rates!);
    return histogram.build("counted");
  }
  const samples = assumedRates();
  for (const unit of units) {
    const usage = usageOf(unit, config);
    for (const rate of samples) histogram.add(usage * rate, besideGpu(unit) / SAMPLES);
  }
  return histogram.build("assumed");
}

/** By position: stripe by stripe. */
function addRates(
  histogram: Histogram,
  { neurons, stripes, gpuOfStripe = 0 }: RatedUnit,
  rates: Float32Array,
): void {
  const inStripe = neurons / stripes;
  rates.forEach((rate, position) => {
    if (position % inStripe >= gpuOfStripe) histogram.add(rate, 1);
  });
}

function allFire(units: readonly RatedUnit[], config: ModelConfig): FiringRates {
  const histogram = new Histogram();
  for (const unit of units) histogram.add(usageOf(unit, config), besideGpu(unit));
  return histogram.build("all");
}

/** Neurons of a layer are numbered unit by unit. */
function addCounted(histogram: Histogram, units: readonly RatedUnit[], stats: FiringStats): void {
  const tokens = Math.max(1, stats.units["1"]);
  const begins = new Map<number, number>();
  for (const unit of units) {
    const { layer, neurons, order, stripes, gpuOfStripe = 0 } = unit;
    const begin = begins.get(layer) ?? 0;
    begins.set(layer, begin + neurons);
    const counts = layerCounts(stats, "1", layer).subarray(begin, begin + neurons);
    for (let position = 0; position < neurons; position++) {
      if (position % (neurons / stripes) < gpuOfStripe) continue;
      histogram.add(counts[order?.[position] ?? position] / tokens, 1);
    }
  }
}

/** Rates of neurons that are like those of ReLU models, f64 [SAMPLES]. */
function assumedRates(): number[] {
  const normals = Array.from({ length: SAMPLES }, (_, i) => normalQuantile((i + 0.5) / SAMPLES));
  const ratesAt = (scale: number) =>
    normals.map((x) => Math.min(RATE_MAX, scale * Math.exp(LOG_RATE_SPREAD * x)));
  const meanAt = (scale: number) => ratesAt(scale).reduce((sum, rate) => sum + rate, 0) / SAMPLES;
  let [low, high] = [0, 1];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (meanAt(middle) < ACTIVE_SHARE) low = middle;
    else high = middle;
  }
  return ratesAt(high);
}

/** The x below which a standard normal lies with probability p, by bisection. */
function normalQuantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (normalShareBelow(middle) < p) low = middle;
    else high = middle;
  }
  return high;
}

/** Off by at most 7.5e-8 (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.17). */
function normalShareBelow(x: number): number {
  if (x < 0) return 1 - normalShareBelow(-x);
  const t = 1 / (1 + 0.2316419 * x);
  const series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 +
            t * (-1.821255978 + t * 1.330274429))));
  return 1 - Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) * series;
}

/** Neurons by the logarithm of their rates. */
class Histogram {
  readonly #neurons = new Float64Array(BINS);
  readonly #firings = new Float64Array(BINS);
  #silent = 0;

  add(rate: number, neurons: number): void {
    if (rate <= 0) {
      this.#silent += neurons;
      return;
    }
    const place = Math.floor((1 - Math.log(rate) / LOG_RATE_MIN) * BINS);
    const bin = Math.max(0, Math.min(BINS - 1, place));
    this.#neurons[bin] += neurons;
    this.#firings[bin] += neurons * Math.min(1, rate);
  }

  build(source: FiringRates["source"]): FiringRates {
    const bins: RateBin[] = [];
    for (let bin = BINS - 1; bin >= 0; bin--) {
      const neurons = this.#neurons[bin];
      if (neurons > 0) bins.push({ rate: this.#firings[bin] / neurons, neurons });
    }
    if (this.#silent > 0) bins.push({ rate: 0, neurons: this.#silent });
    return { source, bins, perToken: this.#firings.reduce((sum, each) => sum + each, 0) };
  }
}
