/** What multiplies the outcome of heads: part of types.ts. */
import type { MatrixTensor } from "./types.ts";

/** Rows of each head in a matrix: head h's are number h · step + start and `count` - 1 more. */
export interface HeadRows {
  readonly matrix: MatrixTensor;
  readonly step: number;
  readonly start: number;
  readonly count: number;
}

/** Each head's outcome is multiplied by what its gate gives, number by number or as a whole. */
export interface AttentionGate {
  /** As many rows as a head has dimensions, or one. */
  readonly gate: HeadRows;
  /** What becomes of it first. */
  readonly activation: "sigmoid" | "softplus";
  /** Rows of queries, where gates' are between them; null: they are `LayerTensors.query`. */
  readonly query: HeadRows | null;
}
