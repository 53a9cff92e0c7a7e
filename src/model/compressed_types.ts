/**
 * Keys that are compressed from several tokens' (compressed and heavily compressed attention,
 * DeepSeek-AI 2026, "DeepSeek-V4") and residual streams that layers mix (Xie et al. 2025,
 * "mHC: Manifold-Constrained Hyper-Connections"): part of types.ts.
 */
import type { MatrixTensor, VectorTensor } from "./types.ts";

/**
 * All heads share one key a token, which is its value, too: what heads give is turned back by the
 * token's own angles. Beside the keys of a window there is in most layers one key for each
 * `LayerConfig.keyRatio` tokens before it and its own.
 */
export interface CompressionConfig {
  /** Dimensions of what queries are made of. */
  readonly queryLength: number;
  /** Dimensions of a key that are turned: its last ones. */
  readonly turnedDim: number;
  /** Heads of a group are merged into so many numbers before all are. */
  readonly groupCount: number;
  readonly groupLength: number;
  /** Chooses among keys of 4 tokens each, as many as `keyCount`, where there are more. */
  readonly indexer: {
    readonly headCount: number;
    readonly headDim: number;
    readonly keyCount: number;
  };
}

/**
 * What makes one key of several tokens': of each of its numbers a mean of theirs, weighed by a
 * softmax over them; then a norm, and the angles of the first token. With a ratio of 4 the 4 tokens
 * before have a part in it, too, by rows of their own, which come first.
 */
export interface CompressorTensors {
  /** What is averaged, and what weighs it: [1 or 2 · headDim, d]. */
  readonly key: MatrixTensor;
  readonly gate: MatrixTensor;
  /** Added to gates by a token's place among those of a key: [ratio, 1 or 2 · headDim]. */
  readonly places: VectorTensor;
  readonly norm: VectorTensor;
}

/** What a layer has beside queries, the key of a token, and the output. */
export interface CompressedTensors {
  readonly queryDown: { readonly matrix: MatrixTensor; readonly norm: VectorTensor };
  /** Of each group of heads, [groups · groupLength, heads of a group · headDim]. */
  readonly groups: MatrixTensor;
  /** Null: there are keys of single tokens only. */
  readonly keys: CompressorTensors | null;
  /** Null: all compressed keys are attended to. */
  readonly indexer: {
    /** [heads · headDim, queryLength], and what heads count, [heads, d]. */
    readonly query: MatrixTensor;
    readonly weights: MatrixTensor;
    readonly keys: CompressorTensors;
  } | null;
}

/** Residual streams, of which each block reads a mixture, and which each block mixes anew. */
export interface HyperConfig {
  /** Of those that are kept, and the one that goes on. */
  readonly streamCount: number;
  /**
   * Every so many layers the stream is kept as it is, and goes on with what attention gives alone;
   * blocks read all that are kept and the stream, by a softmax (Kimi Team 2026, "Attention
   * Residuals"). Left out: streams are mixed, as what follows says.
   */
  readonly keepsEvery?: number;
  /**
   * Rounds that make rows and columns of the mixing matrix sums of nearly 1 (Sinkhorn); 0: nothing
   * goes from stream to stream.
   */
  readonly rounds: number;
  /** Added to what is divided by, and to shares of what is read. */
  readonly epsilon: number;
  /** What a block gives goes to each stream between `least` and so many times more. */
  readonly magnitude: number;
  readonly least: number;
}

/**
 * How a block mixes streams. Of all of them, normalised together, come m shares of what it reads, m
 * of where it goes, and, where there are rounds, m · m of what goes from stream to stream; at the
 * model's end the first m.
 */
export interface HyperTensors {
  /** [shares, m · d]: `sharesOf`, or m; where streams are kept, what scores one, [1, d]. */
  readonly mixer: MatrixTensor;
  /** Added to them, as many; what each kind is multiplied by before, [3, 2 or 1]; or null. */
  readonly base: VectorTensor | null;
  readonly scale: VectorTensor | null;
}

/** Shares that mix streams of a token: what is read, where it goes, from stream to stream. */
export function sharesOf({ streamCount: m, rounds }: HyperConfig): number {
  return m * (rounds === 0 ? 2 : 2 + m);
}

/** Of both blocks of a layer. */
export interface LayerHyperTensors {
  readonly attention: HyperTensors;
  readonly feedForward: HyperTensors;
}
