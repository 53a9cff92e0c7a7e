/** Plans of what a guessing block has before and behind its layer. Knows shards and tensors. */
import type { ModelConfig, ModelTensors } from "../../model/types.ts";
import type { LastingTensor } from "./step_tensors.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan, WorkspacePlan, WorkspaceStrides } from "./plan_types.ts";
import { cut, type Range } from "./shard.ts";

/** A whole number of lanes of any kernel. */
const ROW_UNIT = 32;
/** Rows of a sequence that are kept beside those of a longest step: a backlog, and guesses. */
const SPARE_ROWS = 32;
/** States that guesses leave in one step at most, and so guesses of models that keep states. */
export const GUESSED_STATES = 4;

/** What makes one row of two: own rows of the outcome, in the arena of the layer. */
export interface GuessPlan {
  readonly arena: number;
  readonly rows: Range;
  readonly merge: MatrixPlan;
  readonly embeddingNorm: NormPlan;
  readonly rowNorm: NormPlan;
}

export function planGuess(
  place: Placer,
  { guess }: ModelTensors,
  of: { readonly arena: number; readonly rankIndex: number; readonly rankCount: number },
): GuessPlan | null {
  if (guess === undefined) return null;
  const { arena, rankIndex, rankCount } = of;
  const rows = cut(guess.merge.rows, { parts: rankCount, part: rankIndex, unit: ROW_UNIT });
  return {
    ...{ arena, rows },
    merge: place.matrix(guess.merge, { rows }),
    embeddingNorm: norm(place, guess.embeddingNorm),
    rowNorm: norm(place, guess.rowNorm),
  };
}

/** Last rows of a sequence that are kept for its guesses. */
export function keptRows(chunkTokens: number): number {
  return chunkTokens + SPARE_ROWS;
}

/** Of the two rows side by side, of the same as tiles, and on who leads of what is kept. */
export function guessBytes(
  { guess, embeddingLength: d }: ModelConfig,
  by: {
    readonly strides: Pick<WorkspaceStrides, "embedding">;
    readonly chunkTokens: number;
    readonly sequences?: number;
    readonly leads: boolean;
    readonly sizes: { q8_bytes(n: number, k: number): number };
  },
): Partial<Record<LastingTensor, number>> {
  if (guess === undefined) return {};
  const { strides: { embedding: stride }, chunkTokens, sequences = 1, leads, sizes } = by;
  return {
    "guess.pairs": chunkTokens * 2 * stride * 4,
    "guess.q8": sizes.q8_bytes(chunkTokens, 2 * d),
    ...leads && { "guess.rows": sequences * keptRows(chunkTokens) * d * 4 },
  };
}

export function guessWorkspace(
  { guess }: ModelConfig,
  at: (name: LastingTensor) => number,
): WorkspacePlan["guess"] {
  if (guess === undefined) return null;
  return { pairs: at("guess.pairs"), q8: at("guess.q8"), rows: at("guess.rows") };
}
