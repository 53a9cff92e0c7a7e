/**
 * `--sparsity` and `--stats`: which neurons of a model that has no silent ones are left out, and
 * what that costs. Off unless it is asked for. And which neurons fire most often: a GPU's.
 */
import { UsageError } from "../base/errors.ts";
import type { FiringRates, QuietNeurons } from "../llm/mod.ts";
import {
  type FiringStats,
  layerCounts,
  measuredCost,
  readStats,
  thresholdsFor,
} from "../stats/mod.ts";

export interface QuietFlags {
  readonly sparsity?: number;
  readonly stats?: string;
}

/**
 * What the flags ask for; undefined: nothing.
 * @throws {UsageError} when a share is given without statistics.
 * @throws {Error} when these cannot be read or are of neurons that have no threshold.
 */
export function quietNeurons({ sparsity, stats: path }: QuietFlags): QuietNeurons | undefined {
  if (sparsity === undefined) return undefined;
  if (path === undefined) {
    throw new UsageError(
      "Cannot use --sparsity without --stats: make statistics of this model with " +
        "`profile MODEL --file TEXT -o STATS`, and name them",
    );
  }
  const stats = readStats(path);
  return {
    thresholds: thresholdsFor(stats, sparsity),
    modelFingerprint: stats.subject.modelFingerprint,
    note: describeCost(stats, sparsity),
  };
}

/** How often neurons fire, where a GPU can use it: of quiet neurons it has none. */
export function firingRates(
  { sparsity, stats: path, gpu }: QuietFlags & { readonly gpu?: string },
): FiringRates | undefined {
  if (path === undefined || sparsity !== undefined || gpu === "off") return undefined;
  return ratesOf(readStats(path));
}

/** In steps of one token: where a few tokens are computed at once, a GPU has more of the same. */
export function ratesOf(stats: FiringStats): FiringRates {
  const { layerCount, modelFingerprint } = stats.subject;
  const counts = Array.from({ length: layerCount }, (_, layer) => layerCounts(stats, "1", layer));
  return { counts, modelFingerprint };
}

function describeCost(stats: FiringStats, sparsity: number): string {
  const what = `Sparsity ${sparsity}: each layer's quietest neurons are left out`;
  const cost = measuredCost(stats, sparsity);
  if (cost === null) {
    return `${what}; what it costs was not measured: \`verify --sparsity ${sparsity} --stats … ` +
      "--record` does";
  }
  const { pplDense, pplSparse, tokens } = cost;
  const change = (pplSparse / pplDense - 1) * 100;
  return `${what}: perplexity ${pplDense.toFixed(3)} becomes ${pplSparse.toFixed(3)} ` +
    `(${change >= 0 ? "+" : ""}${change.toFixed(1)} %, verify over ${tokens} tokens)`;
}
