/** Plans of what a guessing block has before and behind its layer. Knows shards and tensors. */
import { alignUp } from "../../base/check.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { ModelConfig, ModelTensors } from "../../model/types.ts";
import type { LastingTensor } from "./step_tensors.ts";
import type { Placer } from "./plan_layer.ts";
import { norm } from "./plan_norm.ts";
import type { MatrixPlan, NormPlan, WorkspacePlan, WorkspaceStrides } from "./plan_types.ts";
import { cut, type Range } from "./shard.ts";

type GuessingConfig = Pick<ModelConfig, "guess" | "embeddingLength">;

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
  /** Of a fusion that has one. */
  readonly inputNorm: NormPlan | null;
}

/**
 * Embeddings beside rows, [n, 2 · strides.embedding], the same as q8 tiles; on the rank that leads
 * the sequences' last rows: kept_rows.ts; and of a fusion what one row is made of, [n, stride].
 */
export interface GuessSpace {
  readonly pairs: number;
  readonly q8: number;
  readonly rows: number;
  readonly fused: number;
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
    inputNorm: norm(place, guess.inputNorm ?? null),
  };
}

/** Which of the layers guess: the one behind the model's, or of a fusion the only one. */
export function guessingLayers({ guess, blockCount }: ModelConfig): Range {
  const start = guess?.fusion ? 0 : blockCount;
  return { start, end: start + 1 };
}

/** Last rows of a sequence that are kept for its guesses. */
export function keptRows(chunkTokens: number): number {
  return chunkTokens + SPARE_ROWS;
}

/** Numbers of a row that is kept: of the stream, or all that a fusion reads. */
export function keptLength({ guess, embeddingLength }: GuessingConfig): number {
  const { fusion } = guess ?? {};
  return fusion === undefined ? embeddingLength : fusion.layers.length * fusion.rowLength;
}

/** So far apart lie rows that a fusion reads; products read what is behind them. */
export function fusedStride(config: GuessingConfig): number {
  return alignUp(keptLength(config), SUPERBLOCK_WEIGHTS);
}

/** Of the two rows side by side, of the same as tiles, and on who leads of what is kept. */
export function guessBytes(
  config: ModelConfig,
  by: {
    readonly strides: Pick<WorkspaceStrides, "embedding">;
    readonly chunkTokens: number;
    readonly sequences?: number;
    readonly leads: boolean;
    readonly sizes: { q8_bytes(n: number, k: number): number };
  },
): Partial<Record<LastingTensor, number>> {
  const { guess, embeddingLength: d } = config;
  if (guess === undefined) return {};
  const length = keptLength(config);
  const { strides: { embedding: stride }, chunkTokens, sequences = 1, leads, sizes } = by;
  return {
    "guess.pairs": chunkTokens * 2 * stride * 4,
    "guess.q8": sizes.q8_bytes(chunkTokens, Math.max(2 * d, length)),
    ...leads && { "guess.rows": sequences * keptRows(chunkTokens) * length * 4 },
    ...guess.fusion && { "guess.fused": chunkTokens * fusedStride(config) * 4 },
  };
}

export function guessWorkspace(
  { guess }: ModelConfig,
  at: (name: LastingTensor) => number,
): WorkspacePlan["guess"] {
  if (guess === undefined) return null;
  const [pairs, q8] = [at("guess.pairs"), at("guess.q8")];
  return { pairs, q8, rows: at("guess.rows"), fused: at("guess.fused") };
}
