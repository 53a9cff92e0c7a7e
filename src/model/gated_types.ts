/**
 * Residual streams whose every number is gated where it is read, rows of a table that several
 * tokens name together, and groups of keys that an indexer chooses (Qwen 4): part of types.ts.
 */
import type { MatrixTensor, VectorTensor } from "./types.ts";

/** Part of `ModelConfig`. */
export interface GatedModel {
  /** Streams are gated where they are read. Left out: there is one, or others. */
  readonly gatedStreams?: GatedStreamsConfig;
  /** Chooses groups of keys, where layers say so. Left out: all are attended to. */
  readonly groupIndexer?: GroupIndexerConfig;
  /** Several tokens name rows of a table together. Left out: there is none. */
  readonly ngrams?: NgramConfig;
}

/** Part of `LayerTensors`. */
export interface GatedLayer {
  /** Of a model whose streams are gated. Left out: they are not. */
  readonly gated?: LayerGatedTensors;
  /** Of a layer that chooses groups of keys. Left out: it does not. */
  readonly groupIndexer?: GroupIndexerTensors;
  /** Of the layer before which tokens name rows. Left out: it is another one, or none. */
  readonly ngrams?: NgramTensors;
}

/** Residual streams, of which each block reads a gated mean, and to all of which it adds. */
export interface GatedStreamsConfig {
  readonly streamCount: number;
  /** Numbers between the two matrices that make gates. */
  readonly rank: number;
}

/**
 * How a block reads m streams: each is normalised by itself, x; gates are up · silu(down · x / m)
 * of all of them side by side; what is read is the mean of x ⊙ sigmoid(gates) over streams. What
 * the block gives goes to each stream 2 · sigmoid(inject · x / m) times.
 */
export interface GatedMixTensors {
  /** [m · d], d of each stream. */
  readonly norm: VectorTensor;
  /** [rank, m · d] and [m · d, rank]. */
  readonly down: MatrixTensor;
  readonly up: MatrixTensor;
  /** [m, m · d]; null: nothing is given, which is so at the model's end. */
  readonly inject: MatrixTensor | null;
}

/** Of both blocks of a layer. */
export interface LayerGatedTensors {
  readonly attention: GatedMixTensors;
  readonly feedForward: GatedMixTensors;
}

/**
 * Before one of the layers a token and those before it name rows of a table together: the last 2,
 * 3, … `length` of them, each number of tokens by several heads. A head's row is (exclusive or of
 * token · multiplier, as integers of 64 bits) mod `count`, + `start`. Before a sequence begins, and
 * behind a token that ends a text, there is that token.
 */
export interface NgramConfig {
  readonly layer: number;
  /** Most tokens that name a row. */
  readonly length: number;
  /** [length · 4]: 16 bits each, the lowest first, of the token itself and of those before it. */
  readonly multipliers: Float64Array;
  /** In the order of `length`: heads of 2 tokens first. */
  readonly heads: readonly { readonly start: number; readonly count: number }[];
  /** Numbers of a row; all heads' rows side by side are as wide as the residual stream. */
  readonly rowLength: number;
  readonly tableRows: number;
  readonly endToken: number;
  /** Rows given in place of embeddings name rows as this token does. */
  readonly givenToken: number;
  /** Of the convolution, which looks back `length` tokens a tap. */
  readonly taps: number;
}

/**
 * What becomes of these rows, e: of each stream s the value v · e goes in as much as
 * sigmoid(±√|key · query / √d|) says, key = norm(k · e), query = norm(s); and behind it silu of a
 * convolution, channel by channel, over what that gives, normalised.
 */
export interface NgramTensors {
  /** [rows, rowLength]. */
  readonly table: MatrixTensor;
  /** [m · d, d] and [d, d]. */
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  /** [m · d] each: of each stream. */
  readonly keyNorm: VectorTensor;
  readonly queryNorm: VectorTensor;
  readonly valueNorm: VectorTensor;
  /** [m · d, taps], the token's own tap last. */
  readonly convolution: VectorTensor;
}

/**
 * What chooses groups of `LayerConfig.groupRatio` neighbouring positions for each token: those with
 * the largest sums over heads of max(0, query · key). A group's key is the mean of its positions',
 * normalised, and turned by the angles of the first; all heads share it. Positions behind the last
 * whole group are attended to whatever is in them.
 */
export interface GroupIndexerConfig {
  readonly headCount: number;
  /** Dimensions of a query and of a key, of which those that heads turn come first. */
  readonly headDim: number;
  /** Positions that whole groups have which a token attends to. */
  readonly keyCount: number;
}

/** Its weights. */
export interface GroupIndexerTensors {
  /** [heads · headDim, d] and [headDim, d]. */
  readonly query: MatrixTensor;
  readonly key: MatrixTensor;
  /** [headDim] each: of each head, and of a group's key. */
  readonly queryNorm: VectorTensor;
  readonly keyNorm: VectorTensor;
}
