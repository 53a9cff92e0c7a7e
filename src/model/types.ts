/**
 * A model's hyper-parameters, whatever its family. Everything the engine and the reference need
 * to know is here; neither of them looks at GGUF metadata.
 */

/** Scaling of rotary frequencies beyond the trained context. */
export interface RopeScaling {
  readonly type: "none" | "linear" | "yarn";
  /** Context extension factor; positions are divided by it. */
  readonly factor: number;
  /** Context length of the original training, tokens (YaRN). */
  readonly originalContextLength: number;
  /** Multiplies cos and sin, on top of the magnitude that YaRN derives from `factor`; usually 1. */
  readonly attentionFactor: number;
  /** YaRN's share of frequencies left unscaled where they are fast; 1 = all of YaRN, 0 = linear. */
  readonly extrapolation: number;
  /** Turns within the original context above which a frequency is left alone (YaRN). */
  readonly betaFast: number;
  /** Turns within the original context below which a frequency is divided by `factor` (YaRN). */
  readonly betaSlow: number;
}

export interface RopeConfig {
  /** "norm" turns neighbouring pairs (2i, 2i+1); "neox" turns (i, i + dimensionCount / 2). */
  readonly kind: "norm" | "neox";
  /** How many leading dimensions of a head are turned. */
  readonly dimensionCount: number;
  readonly frequencyBase: number;
  readonly scaling: RopeScaling;
  /**
   * Name of the tensor whose [dimensionCount / 2] values divide the frequencies (Llama 3:
   * "rope_freqs.weight"), or null.
   */
  readonly factorsTensor: string | null;
}

/** What a model is. All lengths are counts of elements, not bytes. */
export interface ModelConfig {
  /** `general.architecture`: "llama", "qwen2", … */
  readonly architecture: string;
  readonly blockCount: number;
  /** Width of the residual stream. */
  readonly embeddingLength: number;
  /** Neurons of one feed-forward block. */
  readonly feedForwardLength: number;
  readonly headCount: number;
  /** Key/value heads; query head h uses key/value head ⌊h · headCountKv / headCount⌋. */
  readonly headCountKv: number;
  /** Dimension of a key (and query) head. */
  readonly headDim: number;
  readonly vocabSize: number;
  /** Trained context, tokens. */
  readonly contextLength: number;
  readonly rmsEpsilon: number;
  readonly rope: RopeConfig;
  /** Keys older than this many tokens are not attended to; 0 = no window. */
  readonly slidingWindow: number;
  /** True when the output projection is the embedding table. */
  readonly tiedEmbeddings: boolean;
  /** True when query, key and value projections have biases (qwen2). */
  readonly qkvBias: boolean;
}

/** What a matrix or vector of the model is for; tensor names are the family's business. */
export interface LayerTensors {
  readonly attentionNorm: string;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  /** Present only with `qkvBias`. */
  readonly queryBias: string | null;
  readonly keyBias: string | null;
  readonly valueBias: string | null;
  readonly attentionOutput: string;
  readonly feedForwardNorm: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/** Names of all tensors the model uses, checked to exist with the right shape. */
export interface ModelTensors {
  readonly tokenEmbedding: string;
  readonly outputNorm: string;
  /** Equals `tokenEmbedding` when tied. */
  readonly output: string;
  readonly layers: readonly LayerTensors[];
}

/** A model ready to be loaded: what it is and where its tensors are. */
export interface ModelDescription {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
}
