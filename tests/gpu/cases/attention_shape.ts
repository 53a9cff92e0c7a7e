/** What cases of attention are made of: heads, and what is done to them before they attend. */
import { alibiSlopes } from "../../../src/model/mod.ts";
import { layerNorm } from "../../../src/reference/activation_ops.ts";
import { rmsNorm } from "../../../src/reference/ops.ts";
import { normals } from "./compare.ts";

export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly groupSize: number;
  readonly headOffset?: number;
  readonly headDim: number;
  /** Left out: as many. */
  readonly valueDim?: number;
  readonly window?: number;
  /** Positions come in spans of so many. */
  readonly span?: number;
  /** Scores fall with distance, as those of heads from `firstHead` on of `ofHeads`. */
  readonly alibi?: {
    readonly maxBias: number;
    readonly firstHead: number;
    readonly ofHeads: number;
  };
  readonly softCap?: number;
  /** Heads have sinks: scores like those of positions, and some far from all of them. */
  readonly hasSinks?: boolean;
  readonly type: "f16" | "f32";
  readonly kind?: "norm" | "neox" | null;
  readonly rotated?: number;
  /** Queries alone are turned. */
  readonly keepsKeys?: boolean;
  /** Values are normalised, without weights. */
  readonly normalizesValues?: boolean;
  /**
   * Heads are normalised by weights of their own or all by the same, before they are turned, or
   * behind it.
   */
  readonly norm?: {
    readonly kind: "rms" | "layer";
    readonly weightPerHead: boolean;
    readonly areTurned?: boolean;
  };
  /** Of the cache; left out: room for as many as there are tokens. */
  readonly positions?: number;
  /** Tokens of steps one after another. */
  readonly steps: readonly number[];
  /** Numbers of those whose tokens see each other. */
  readonly wholeSteps?: readonly number[];
  /** Numbers of those that are remembered only: what they see is the square of what they are. */
  readonly fills?: readonly number[];
}

/** Caches of cases have room for so many positions, or for as many as a case has. */
const ROOMS = [128, 576, 1120];

/**
 * Room for these positions: into how many chunks it may be split is a constant of shaders, which
 * take longer to compile than to run, so cases share rooms.
 */
export function roomFor(positions: number): number {
  return ROOMS.find((room) => positions <= room) ?? positions;
}

/** One that takes all of a head's weight, one that takes none, and what is between. */
export function sinksOf({ heads }: AttentionShape): Float32Array<ArrayBuffer> {
  const sinks = normals(70, heads, 2);
  if (heads > 2) sinks.set([90, -90], heads - 2);
  return sinks;
}

export function slopesOf({ alibi, heads }: AttentionShape): Float64Array | undefined {
  if (alibi === undefined) return undefined;
  const { maxBias, firstHead, ofHeads } = alibi;
  return alibiSlopes(ofHeads, maxBias).slice(firstHead, firstHead + heads);
}

export const EPSILON = 1e-5;

/** Weights of head norms: of queries, or of keys. */
export function headWeights(
  { headDim, norm }: AttentionShape,
  count: number,
): Float32Array<ArrayBuffer> {
  return normals(50 + count, norm?.weightPerHead ? count * headDim : headDim);
}

/** Heads of queries or of keys, normalised one by one. */
export function normalized(
  row: ArrayLike<number>,
  count: number,
  shape: AttentionShape,
): ArrayLike<number> {
  const { headDim, norm } = shape;
  if (!norm) return row;
  const weights = headWeights(shape, count);
  return Float64Array.from({ length: count }, (_, head) => head).reduce((out: number[], head) => {
    const x = Array.from(row).slice(head * headDim, (head + 1) * headDim);
    const start = norm.weightPerHead ? head * headDim : 0;
    const weight = weights.subarray(start, start + headDim);
    const made = norm.kind === "rms"
      ? rmsNorm(x, weight, EPSILON)
      : layerNorm(x, { weight, bias: null, epsilon: EPSILON });
    out.push(...made);
    return out;
  }, []);
}
