/**
 * The search for a block's scale: which evenly spaced levels come nearest to its weights, by the
 * sum of squared errors, each times what it counts. Candidates are spacings around the one that
 * spans the weights; for each, the weights are rounded to levels, and the best spacing for these
 * levels is a problem of linear least squares. The best candidate is then improved the same way
 * until it stays.
 *
 * Knows nothing of how scales and levels are stored.
 */

/** Adding and subtracting it rounds an f64 of up to 2^51 to an integer, ties to even. */
export const ROUNDER = 1.5 * 2 ** 52;

/** What a search found; weight ≈ scale · q − minimum. */
export interface Fit {
  scale: number;
  /** At least 0 unless its sign was free; always 0 where levels lie on both sides of zero. */
  minimum: number;
}

/** Weights of a tensor. */
export interface Weighed {
  readonly weights: Float32Array;
  /** What the squared error of each counts; above 0 (importance.ts). */
  readonly importance: Float32Array;
}

/** Part of them: begin … end − 1. */
export interface Span extends Weighed {
  begin: number;
  end: number;
}

/** How far the candidates go: (levels + from … levels + to) / range, in steps. */
export interface Candidates {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** What rounding leaves, of its size, of a difference that is none. */
const NOTHING = 1e-12;
/** How often the best candidate is improved at most. */
export const IMPROVEMENTS_MAX = 4;

/**
 * Levels 0 … `most` above the lowest weight, which counts as 0 where it is positive, unless
 * `anyMinimum` says that it need not. `found` gets the result: an object that is used again,
 * because there is a block for every 16 or 32 weights of a model.
 */
export function fitOffset(
  { weights, importance, begin, end }: Span,
  { most, candidates, anyMinimum = false }: {
    most: number;
    candidates: Candidates;
    anyMinimum?: boolean;
  },
  found: Fit,
): void {
  let low = anyMinimum ? weights[begin] : 0;
  let high = -Infinity;
  let sum = 0;
  let sumX = 0;
  for (let i = begin; i < end; i++) {
    const x = weights[i];
    if (x < low) low = x;
    if (x > high) high = x;
    sum += importance[i];
    sumX += importance[i] * x;
  }
  found.scale = 0;
  found.minimum = -low;
  if (!(high > low)) return;
  let least = Infinity;
  // Without Σx², which all candidates share.
  const consider = (offset: number, inverse: number): boolean => {
    let sumQ = 0;
    let sumQQ = 0;
    let sumQX = 0;
    for (let i = begin; i < end; i++) {
      const x = weights[i];
      let q = (x - offset) * inverse + ROUNDER - ROUNDER;
      q = q < 0 ? 0 : q > most ? most : q;
      const part = importance[i] * q;
      sumQ += part;
      sumQQ += part * q;
      sumQX += part * x;
    }
    if (!(sumQQ > 0)) return false;
    const determinant = sum * sumQQ - sumQ * sumQ;
    let scale = (sum * sumQX - sumX * sumQ) / determinant;
    let bottom = (sumX - scale * sumQ) / sum;
    // One level for all weights leaves nothing to choose: without a minimum, it is their mean.
    if (determinant <= NOTHING * sum * sumQQ || bottom > 0 && !anyMinimum) {
      bottom = 0;
      scale = sumQX / sumQQ;
    }
    const error = scale * (scale * sumQQ + 2 * (bottom * sumQ - sumQX)) +
      bottom * (sum * bottom - 2 * sumX);
    if (!(error < least) || !(scale > 0)) return false;
    least = error;
    found.scale = scale;
    found.minimum = -bottom;
    return true;
  };
  const range = high - low;
  for (let t = candidates.from; t <= candidates.to; t += candidates.step) {
    consider(low, (most + t) / range);
  }
  for (let i = 0; i < IMPROVEMENTS_MAX && found.scale > 0; i++) {
    if (!consider(-found.minimum, 1 / found.scale)) break;
  }
}

/**
 * Levels −`half` … `half` − 1 times a scale of either sign; the extreme weight lies near −`half`,
 * or, where `bothEnds` says so, near `half` − 1 as well.
 */
export function fitSigned(
  { weights, importance, begin, end }: Span,
  { half, candidates, bothEnds }: { half: number; candidates: Candidates; bothEnds: boolean },
  found: Fit,
): void {
  found.scale = 0;
  found.minimum = 0;
  let extreme = 0;
  for (let i = begin; i < end; i++) {
    if (Math.abs(weights[i]) > Math.abs(extreme)) extreme = weights[i];
  }
  if (extreme === 0) return;
  let most = 0;
  const consider = (inverse: number): boolean => {
    let sumQQ = 0;
    let sumQX = 0;
    for (let i = begin; i < end; i++) {
      const x = weights[i];
      let q = x * inverse + ROUNDER - ROUNDER;
      q = q < -half ? -half : q >= half ? half - 1 : q;
      const part = importance[i] * q;
      sumQQ += part * q;
      sumQX += part * x;
    }
    // The error is Σx² − (Σqx)² / Σq²: the second term is to be large.
    if (!(sumQX * sumQX > most * sumQQ)) return false;
    most = sumQX * sumQX / sumQQ;
    found.scale = sumQX / sumQQ;
    return true;
  };
  for (let t = candidates.from; t <= candidates.to; t += candidates.step) {
    consider(-(half + t) / extreme);
    if (bothEnds) consider((half - 1 + t) / extreme);
  }
  for (let i = 0; i < IMPROVEMENTS_MAX && found.scale !== 0; i++) {
    if (!consider(1 / found.scale)) break;
  }
}
