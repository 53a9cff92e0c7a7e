/** Heads that are turned, as a step's tables say. */
import { fillRopeTable, ropeFrequencies } from "../../../src/model/mod.ts";
import { rope as referenceRope } from "../../../src/reference/ops.ts";

interface TurnedHeads {
  readonly headDim: number;
  /** Dimensions that are turned; left out: all. */
  readonly rotated?: number;
  /** Left out or null: "neox". */
  readonly kind?: "norm" | "neox" | null;
}

const SCALING = {
  type: "none",
  factor: 1,
  originalContextLength: 0,
  attentionFactor: 1,
  extrapolation: 1,
  betaFast: 32,
  betaSlow: 1,
} as const;

/** Of a rotary embedding of these heads. */
export function frequenciesOf(
  { headDim, rotated = headDim, kind }: TurnedHeads,
) {
  const config = {
    kind: kind ?? "neox",
    dimensionCount: rotated,
    frequencyBase: 10_000,
    scaling: SCALING,
    factors: null,
  };
  return ropeFrequencies(config, null);
}

/** Heads turned by a position. */
export function rotated(
  row: ArrayLike<number>,
  heads: number,
  position: number,
  shape: TurnedHeads,
) {
  const { headDim, kind, rotated: rotDim = headDim } = shape;
  const table = new Float64Array(rotDim);
  fillRopeTable(frequenciesOf(shape), position, table, 0);
  return referenceRope(row, table, { heads, headDim, rotDim, kind: kind ?? "neox" });
}
