/** How heads of towers are turned by a patch's row and column. Knows no tensors. */
import type { Hyperparameters } from "../read/hyperparameters.ts";
import type { RopeConfig } from "../types.ts";
import type { TowerRope } from "./vision_kind.ts";

const ROPE_BASE = 10000;
const UNSCALED = {
  ...{ type: "none" as const, factor: 1, originalContextLength: 0, attentionFactor: 1 },
  ...{ extrapolation: 1, betaFast: 32, betaSlow: 1 },
};

/** Pairs of the first half of a head turn by one of a patch's numbers, the others by the other. */
export function towerRopes(
  { pairs, first, isInterleaved, isByHalves, isByThirds, base = ROPE_BASE }: TowerRope,
  headDim: number,
  keys: Hyperparameters,
): RopeConfig[] {
  if (isByThirds) return ropesByThirds({ kind: pairs, base, headDim }, keys);
  if (headDim % 4 !== 0) throw keys.wrong("attention.head_count", "so that heads are of fours");
  const quarter = headDim / 4;
  const [ofFirst, ofSecond] = first === "row" ? [1, 2] as const : [2, 1] as const;
  const axisOf = Array.from(
    { length: 2 * quarter },
    (_, pair) => pair < quarter ? ofFirst : ofSecond,
  );
  const powerOf = axisOf.map((_, pair) =>
    2 * (pair % quarter) + (isInterleaved && pair >= quarter ? 1 : 0)
  );
  const common = { kind: pairs, frequencyBase: base, scaling: UNSCALED, factors: null };
  if (!isByHalves) return [{ ...common, dimensionCount: headDim, axes: { axisOf, powerOf } }];
  return [0, 1].map((half) => ({
    ...common,
    dimensionCount: headDim / 2,
    start: half * headDim / 2,
    axes: { axisOf: axisOf.slice(half * quarter, (half + 1) * quarter) },
  }));
}

/** Two of them, each a third of a head. */
function ropesByThirds(
  { kind, base, headDim }: {
    readonly kind: RopeConfig["kind"];
    readonly base: number;
    readonly headDim: number;
  },
  keys: Hyperparameters,
): RopeConfig[] {
  const third = 2 * Math.floor(Math.floor(2 * Math.floor(headDim / 2) / 3) / 2);
  if (third < 2) throw keys.wrong("attention.head_count", "so that thirds of heads have a pair");
  return [1, 2].map((axis) => ({
    ...{ kind, frequencyBase: base, scaling: UNSCALED, factors: null },
    ...{ dimensionCount: third, start: axis * third },
    axes: { axisOf: Array.from({ length: third / 2 }, () => axis as 1 | 2) },
  }));
}
