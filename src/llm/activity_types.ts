/** What neurons have done since a model was loaded: part of types.ts. */

/**
 * What a layer's neurons did in all requests since the model was loaded. All only grow, but where
 * the engine had to be started anew (its GPU failed): then they begin at 0 again.
 */
export interface LayerActivity {
  /** Neurons that were up for computing, each once a token: of a mixture, of chosen experts. */
  readonly neurons: number;
  /** Those of them that are hot: a GPU computes them, or the cache holds them for good. */
  readonly hot: number;
  /** Those of them that were left out because they did not fire. */
  readonly skipped: number;
  /** Neurons whose weights were looked for in the cache and found. */
  readonly cacheHits: number;
  /** Those that were not found. */
  readonly cacheMisses: number;
  /** Reads from disk. */
  readonly diskReads: number;
  /** Their bytes. */
  readonly diskBytes: number;
}

/** What neurons did, by layer. */
export interface NeuronActivity {
  /** False: all neurons are always computed. */
  readonly isSparse: boolean;
  /** False: all weights are in memory. */
  readonly isStreamed: boolean;
  /** The first layer first. */
  readonly layers: readonly LayerActivity[];
}
