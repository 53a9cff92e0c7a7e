/** A block behind the layers that guesses the token behind the next one: part of types.ts. */
import type { MatrixTensor, NormTensors } from "./types.ts";

/** Multi-token prediction; its layer is number `blockCount` of `ModelConfig.layers`. */
export interface GuessConfig {
  /** It reads rows, and leaves them for the guess behind, as the last norm makes them; or plain. */
  readonly readsNormed: boolean;
}

/** merge · [embeddingNorm(embedding of a token), rowNorm(last row before it)] enters its layer. */
export interface GuessTensors {
  readonly embeddingNorm: NormTensors;
  readonly rowNorm: NormTensors;
  /** [d, 2 · d]. */
  readonly merge: MatrixTensor;
  /** Null: the model's last one. */
  readonly outputNorm: NormTensors | null;
}
