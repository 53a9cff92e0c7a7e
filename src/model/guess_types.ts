/**
 * What guesses tokens with another model's rows: a block behind a model's layers, or a small model
 * of one layer that reads what goes into some layers of the other one. Part of types.ts.
 */
import type { MatrixTensor, NormTensors } from "./types.ts";

/** Multi-token prediction; its layer is number `blockCount` of `ModelConfig.layers`. */
export interface GuessConfig {
  /** It reads rows, and leaves them for the guess behind, as the last norm makes them; or plain. */
  readonly readsNormed: boolean;
  /** A model by itself, whose only layer is its first one (EAGLE-3). Left out: see above. */
  readonly fusion?: FusionConfig;
}

/** What a model that guesses reads of the one that it guesses for. */
export interface FusionConfig {
  /** What goes into these layers of it; its block count: what leaves the last one. */
  readonly layers: readonly number[];
  /** Width of its residual stream. */
  readonly rowLength: number;
  /** Its vocabulary, of which the embedding table has rows: there may be fewer logits. */
  readonly tokenCount: number;
  /** What is read is normalised, all of it together. */
  readonly normalizesInput: boolean;
  /** What goes around attention is normalised, too. */
  readonly normalizesResidual: boolean;
  /** Which tokens the logits are of, as a list, I64 [vocabSize]. Left out: all, in their order. */
  readonly tokensTensor?: string;
}

/**
 * merge · [embeddingNorm(embedding of a token), rowNorm(last row before it)] enters its layer. Of a
 * fusion merge · inputNorm(rows of the other model, side by side) does, [d, layers · rowLength],
 * and attention reads [embeddingNorm(embedding of the next token), rowNorm(that)].
 */
export interface GuessTensors {
  readonly embeddingNorm: NormTensors;
  readonly rowNorm: NormTensors;
  /** [d, 2 · d]. */
  readonly merge: MatrixTensor;
  /** Null: the model's last one. */
  readonly outputNorm: NormTensors | null;
  /** Left out: there is none. */
  readonly inputNorm?: NormTensors;
}
