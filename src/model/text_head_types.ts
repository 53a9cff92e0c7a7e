/** What becomes of a text's vector: part of types.ts. */
import type { MatrixTensor, VectorTensor } from "./types.ts";

/** Which of a text's rows its vector is made of. */
export type Pooling = "mean" | "first" | "last";

/** Behind the vector that a text has been made into: computed once a text, not once a token. */
export interface TextHeadTensors {
  /** Makes another vector of it, one after the other. */
  readonly projections: readonly MatrixTensor[];
  /** Scores how well two texts go together; null: the file has nothing for it. */
  readonly ranker: RankerTensors | null;
}

/** score = (output · norm(act(dense · x)))[0], x being a text's vector. */
export interface RankerTensors {
  /** What x is made of. */
  readonly reads: Pooling;
  /** Null: there is none, and no activation. */
  readonly dense: MatrixTensor | null;
  readonly activation: "tanh" | "gelu";
  /** A layer norm without a bias; or null. */
  readonly norm: VectorTensor | null;
  /** Null: what comes before it is the score. */
  readonly output: MatrixTensor | null;
  /** Its rows are weighed against each other. */
  readonly isSoftmax: boolean;
}
