/** What tokens give layers beside their embedding: part of types.ts. */
import type { MatrixTensor, NormTensors, VectorTensor } from "./types.ts";

/** What a layer makes of what a token gives it: norm(output · (act(gate · x) ⊙ given)). */
export interface LayerInputTensors {
  /** [p, d], p being `ModelConfig.layerInputLength`. */
  readonly gate: MatrixTensor;
  /** [d, p]. */
  readonly output: MatrixTensor;
  readonly norm: NormTensors;
}

/** What tokens give layers: (√p · row of the table + norm(projection · embedding / √d)) / √2. */
export interface TokenInputTensors {
  /** [vocab, layers · p]. */
  readonly table: MatrixTensor;
  /** [layers · p, d]. */
  readonly projection: MatrixTensor;
  /** [p]: of each layer by itself. */
  readonly norm: VectorTensor;
}
