/**
 * Rotary position embedding: which angle each pair of dimensions turns by, with the scalings that
 * stretch a trained context. Knows no heads and no tensors.
 */
import { check } from "../base/check.ts";
import { ModelFormatError } from "../base/errors.ts";
import type { QueryTemperature, RopeAxes, RopeConfig } from "./rope_types.ts";

/** The rotation of a model: pair i at position p turns by p · inverseFrequencies[i] radians. */
export interface RopeFrequencies {
  /** Radians per token, [dimensionCount / 2]. */
  readonly inverseFrequencies: Float64Array;
  /** Multiplies every cosine and sine; 1 unless the context is stretched. */
  readonly magnitude: number;
  /** As in `RopeConfig`. */
  readonly temperature?: RopeConfig["temperature"];
  /** Which of a token's positions turns a pair, [dimensionCount / 2]; left out: the first one. */
  readonly axisOf?: RopeAxes["axisOf"];
}

/**
 * The frequencies base^(-2i / dimensionCount), divided by `factors` (Llama 3's) if any, and scaled.
 *
 * Linear scaling divides all of them. YaRN (Peng et al. 2023, "YaRN: Efficient Context Window
 * Extension") divides the slow ones, keeps the fast ones and mixes in between; its magnitude is
 * 1 + ln(factor) / 10.
 *
 * @throws {ModelFormatError} when there are too few or too many factors, or one is not above 0.
 */
export function ropeFrequencies(
  config: RopeConfig,
  factors: Float32Array | null,
): RopeFrequencies {
  const { dimensionCount, frequencyBase, scaling, axes } = config;
  const half = dimensionCount / 2;
  check(Number.isInteger(half), `${dimensionCount} rotated dimensions make no pairs`);
  check((axes?.axisOf ?? { length: half }).length === half, "each pair has an axis");
  if (factors) checkFactors(factors, half);
  const stretch = Math.max(1, scaling.factor);
  const mixed = scaling.type === "yarn" ? scaling.extrapolation : 0;
  const inverseFrequencies = new Float64Array(half);
  for (let i = 0; i < half; i++) {
    const power = axes?.powerOf?.[i] ?? i;
    const own = frequencyBase ** (-2 * power / dimensionCount) / (factors?.[i] ?? 1);
    const kept = mixed === 0 ? 0 : mixed * keptShare(config, i);
    const frequency = own * kept + own / scaling.factor * (1 - kept);
    inverseFrequencies[i] = config.turnsBack ? -frequency : frequency;
  }
  const yarnMagnitude = mixed === 0 ? 1 : 1 + 0.1 * Math.log(stretch);
  const magnitude = yarnMagnitude * scaling.attentionFactor;
  const { temperature } = config;
  return { inverseFrequencies, magnitude, temperature, ...axes && { axisOf: axes.axisOf } };
}

/**
 * Writes dimensionCount / 2 cosines, then as many sines, of a position to out[offset …]: a row of
 * the kernels' `cosSin`. Allocates nothing.
 */
export function fillRopeTable(
  frequencies: RopeFrequencies,
  position: number,
  out: Float32Array | Float64Array,
  offset: number,
): void {
  const { inverseFrequencies } = frequencies;
  const half = inverseFrequencies.length;
  const magnitude = magnitudeAt(frequencies, position);
  for (let i = 0; i < half; i++) {
    putPair(out, offset + i, half, position * inverseFrequencies[i], magnitude);
  }
}

/** The same of a token that has a position for each axis: those from `positions[first]` on. */
export function fillRopeTableByAxes(
  frequencies: RopeFrequencies,
  positions: Int32Array,
  first: number,
  out: Float32Array | Float64Array,
  offset: number,
): void {
  const { inverseFrequencies, axisOf } = frequencies;
  const half = inverseFrequencies.length;
  if (axisOf === undefined) return fillRopeTable(frequencies, positions[first], out, offset);
  const magnitude = magnitudeAt(frequencies, positions[first]);
  for (let i = 0; i < half; i++) {
    const angle = positions[first + axisOf[i]] * inverseFrequencies[i];
    putPair(out, offset + i, half, angle, magnitude);
  }
}

/** A pair's cosine, and its sine behind all cosines. */
function putPair(
  out: Float32Array | Float64Array,
  at: number,
  half: number,
  angle: number,
  magnitude: number,
): void {
  out[at] = Math.cos(angle) * magnitude;
  out[at + half] = Math.sin(angle) * magnitude;
}

function magnitudeAt({ magnitude, temperature }: RopeFrequencies, position: number): number {
  return temperature === undefined ? magnitude : magnitude * growthAt(position, temperature);
}

/** How much longer a query is at a position. */
export function growthAt(
  position: number,
  { scale, length, first }: QueryTemperature,
): number {
  return 1 + scale * Math.log(1 + Math.floor((position + first) / length));
}

function checkFactors(factors: Float32Array, half: number): void {
  const wrong = factors.length === half
    ? factors.find((factor) => !(factor > 0 && factor < Infinity))
    : `${factors.length} of them`;
  if (wrong === undefined) return;
  throw new ModelFormatError(
    `Cannot use the model's rotary frequency factors: there must be ${half}, all above 0, the ` +
      `file has ${wrong}: get the file again or convert the model again`,
    { offsetBytes: 0 },
  );
}

/** YaRN's ramp over pairs: 1 for the fast ones, which keep their frequency, 0 for the slow ones. */
function keptShare(config: RopeConfig, pair: number): number {
  const { betaFast, betaSlow } = config.scaling;
  const first = Math.max(0, Math.floor(pairTurning(config, betaFast)));
  const last = Math.min(config.dimensionCount - 1, Math.ceil(pairTurning(config, betaSlow)));
  const ramp = (pair - first) / Math.max(0.001, last - first);
  return 1 - Math.min(1, Math.max(0, ramp));
}

/** The (fractional) pair that makes `turns` full turns within the original context. */
function pairTurning(config: RopeConfig, turns: number): number {
  const { dimensionCount, frequencyBase, scaling } = config;
  const perTurn = scaling.originalContextLength / (turns * 2 * Math.PI);
  return dimensionCount * Math.log(perTurn) / (2 * Math.log(frequencyBase));
}
