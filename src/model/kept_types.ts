/** What layers keep of tokens instead of keys and values, and its tensors: part of types.ts. */
import type { MatrixTensor, VectorTensor } from "./types.ts";

/**
 * Keys and values of all heads are made of one short vector a token, its latent (multi-head latent
 * attention: DeepSeek-AI 2024, "DeepSeek-V2", 2.1), and the turned part of keys is one for all
 * heads. A head's key is [turned, plain]; so is its query. The cache keeps [turned, latent] as the
 * key of a single head, and the latent as its value: `headDim` and `headCountKv` are that head's.
 */
export interface LatentConfig {
  /** Dimensions of the latent. */
  readonly length: number;
  /** Dimensions of what queries are made of; 0: they are made of what attention reads. */
  readonly queryLength: number;
  /** Dimensions of a query or key that are turned, and that are not. */
  readonly turnedDim: number;
  readonly plainDim: number;
  /** Dimensions of a head's value. */
  readonly valueDim: number;
}

/**
 * What chooses keys for each token, so many of those before it and its own ("lightning indexer",
 * DeepSeek-AI 2025, "DeepSeek-V3.2", 2.1): those with the largest sums over heads of
 * weight · max(0, query · key). All heads share one key a token, which the cache keeps. The authors
 * turn queries and keys by one orthogonal matrix more before they round them: that changes no
 * product, and is left out here.
 */
export interface IndexerConfig {
  readonly headCount: number;
  /**
   * Dimensions of a query and of a key, of which as many as latents' heads turn are turned, from
   * `start` on. Left out: the first ones.
   */
  readonly headDim: number;
  readonly start?: number;
  /** Keys that a token attends to at most. */
  readonly keyCount: number;
  /** Of keys' norm, which is none of the others' kind: (x - mean) / deviation · w + b. */
  readonly epsilon: number;
  /** Which dimensions are turned together, by the angles of latents' heads. */
  readonly pairs: "norm" | "neox";
}

/** An indexer's weights. */
export interface IndexerTensors {
  /** Makes queries of what the heads' are made of, [heads · headDim, queryLength]. */
  readonly query: MatrixTensor;
  /** Makes the key, [headDim, d], and its norm, [headDim] each. */
  readonly key: MatrixTensor;
  readonly keyNorm: { readonly weight: VectorTensor; readonly bias: VectorTensor };
  /** Makes what heads count, [heads, d]. */
  readonly weights: MatrixTensor;
}

/**
 * What chooses blocks of keys, neighbouring positions, for each token and key/value head ("MiniMax
 * Sparse Attention", MiniMax 2026): those in which its query's largest product with a key is
 * largest, and the last ones, the token's own among them, whatever is in them. All heads share one
 * key a token, which the cache keeps. Queries and keys are normalised and turned as heads' are.
 */
export interface BlockIndexerConfig {
  /** Dimensions of a query and of a key, of which those that heads turn come first. */
  readonly headDim: number;
  /** Positions of a block, and blocks that a token attends to. */
  readonly blockPositions: number;
  readonly blockCount: number;
  /** Of these the last ones, which are chosen unseen. */
  readonly lastBlocks: number;
}

/** Its weights. */
export interface BlockIndexerTensors {
  /** [kvHeads · headDim, d] and [headDim, d]. */
  readonly query: MatrixTensor;
  readonly key: MatrixTensor;
  /** [headDim] each: of each head. */
  readonly queryNorm: VectorTensor;
  readonly keyNorm: VectorTensor;
}

/**
 * Layers that keep a state of a sequence instead of, or beside, keys and values: a selective state
 * space (Gu & Dao 2023, "Mamba"; Dao & Gu 2024, "Transformers are SSMs"). Channels, after a short
 * convolution, each write into a state of their own and read from it.
 */
export interface StateSpaceConfig {
  /**
   * "channels": each has decays of its own, and time steps that, like what writes and reads, are
   * made of all convolved channels. "heads": channels of a head share one decay and step, heads of
   * a group share what writes and reads, and the layer's input makes all of it. "channelHeads": so,
   * but there is one group, and all convolved channels make that. "deltas": as "heads", but what a
   * head writes is how much its state has to be corrected by; groups have keys and queries, heads
   * values. "keyed": a head's state has a decay for each key's number, and what one
   * key brings back of it goes out by another one (`TimeMixTensors`). "keyDeltas": as "deltas",
   * with such decays, and each head has a key and a query (`KeyDeltaTensors`). "added": with such
   * decays, and what a key brings back stays (`FinchTensors`). "lightning": as "heads", of which
   * each has a key, a query and a rate that is always the same (`LightningTensors`).
   */
  readonly kind:
    | "channels"
    | "heads"
    | "channelHeads"
    | "deltas"
    | "keyed"
    | "keyDeltas"
    | "added"
    | "lightning";
  /** Tokens that the convolution sees, the last of them the token itself; 1: nothing convolves. */
  readonly taps: number;
  /** Channels. */
  readonly innerLength: number;
  /** Numbers in the state of a channel. */
  readonly stateLength: number;
  /** Of "channels" as many as channels. */
  readonly headCount: number;
  readonly groupCount: number;
  /** Head h is of group h mod groups: heads of a group are no neighbours. Only of "deltas". */
  readonly headsTakeTurns: boolean;
  /** What gates the outcome goes through a sigmoid. Left out: through SiLU. */
  readonly gatesBySigmoid?: true;
  /** Numbers that time steps are made of, the most between two matrices; 0: there are no two. */
  readonly stepRank: number;
  /** Steps, and what writes and reads, are normalised, without weights. */
  readonly normalizesInputs: boolean;
  /**
   * Of "keyDeltas": what is left of a key's number is exp(floor · σ(|decay| · step)), so never less
   * than exp(floor); below 0. Left out: exp(decay · ln(1 + exp(step))).
   */
  readonly decayFloor?: number;
  /** Of "keyed" and "added", and of nothing else. */
  readonly timeMix?: TimeMixConfig;
}

/** What layers of RWKV-6 and 7 have for themselves. */
export interface TimeMixConfig {
  /** Of the rows that are mixed with those of the token before, which a sequence keeps: d. */
  readonly width: number;
  /** Neurons read such rows, too: a layer keeps a second one. */
  readonly shiftsNeurons: boolean;
  /** Numbers between the two matrices of each; gate 0: nothing is gated. */
  readonly ranks: Readonly<Record<"decay" | "rate" | "value" | "gate", number>>;
  /**
   * Of "added": numbers between the two matrices that move a share; heads that keys and values
   * have; states are read before a token's own value is added, which goes around them.
   */
  readonly moved?: {
    readonly rank: number;
    readonly keyHeads: number;
    readonly readsBefore: boolean;
  };
}

/** second · act(first · x) + bias, [inner]. */
export interface LowRankTensors {
  /** [rank, d]; null: the second reads x itself, and nothing is between. */
  readonly first: MatrixTensor | null;
  /** [inner, rank], or [inner, d]. */
  readonly second: MatrixTensor;
  readonly bias: VectorTensor | null;
}

/**
 * A layer's state of RWKV-7 (Peng et al. 2025, "RWKV-7 Goose"): each head keeps a matrix of values
 * by keys. All is made of the layer's row, mixed with that of the token before by shares of its
 * own.
 */
export interface TimeMixTensors {
  /**
   * How much of a row is the one before it, [5 or 6, d]: for receptances (what queries are
   * elsewhere), decays, keys, values, rates and, where there are any, gates.
   */
  readonly shifts: VectorTensor;
  /** [inner, d] each, and [d, inner]. */
  readonly receptance: MatrixTensor;
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  readonly output: MatrixTensor;
  readonly decay: LowRankTensors;
  /** How much of what a key brings back goes. */
  readonly rate: LowRankTensors;
  /** How much of a value is that of the first layer; null: this is the first. */
  readonly firstValue: LowRankTensors | null;
  readonly gate: LowRankTensors | null;
  /** What makes of keys those that bring back; how much rates make keys smaller; [inner] each. */
  readonly keyScale: VectorTensor;
  readonly keyRate: VectorTensor;
  /** How much of a token's own value goes around the state, [inner]. */
  readonly bonus: VectorTensor;
  /** Of what each head gives; null: it is as it is. */
  readonly norm: { readonly weight: VectorTensor; readonly bias: VectorTensor } | null;
}

/** What a layer whose states are corrected makes by matrices of their own. */
export interface DeltaTensors {
  /** What gates the outcome, [inner, d]. */
  readonly gate: MatrixTensor;
  /** How much is corrected, and time steps, [heads, d] each. */
  readonly rates: MatrixTensor;
  readonly steps: MatrixTensor;
  /** Both are one matrix, [2 · heads, d]: of each group the rates, then the steps. */
  readonly areMixed: boolean;
}

/** A layer's state space. */
export interface StateSpaceTensors {
  /**
   * Makes what gates the outcome, [inner], and what is convolved, [inner], of "heads" with what
   * writes and what reads, [groups · state] each, behind it; and last, of "heads", steps, [heads].
   * Of "deltas" what is convolved: queries and keys, [groups · state] each, values, [inner].
   */
  readonly input: MatrixTensor;
  /** Null but for "deltas". */
  readonly deltas: DeltaTensors | null;
  /** Its first rows of what gates, and of what is convolved. */
  readonly gateRow: number;
  readonly convolvedRow: number;
  /** Both are the first head's: each head has its rows of both together. Left out: they are not. */
  readonly isByHead?: true;
  /** [convolved rows, taps], the token's own tap last, and [convolved rows] or null. */
  readonly convolution: VectorTensor;
  readonly convolutionBias: VectorTensor | null;
  /** Of "channels" and "channelHeads": what is made of all convolved channels. */
  readonly shared: {
    /** [stepRank + 2 · state, inner]: what makes steps, what writes, and what reads. */
    readonly matrix: MatrixTensor;
    /** Its first row of each. */
    readonly rows: Readonly<Record<"step" | "input" | "output", number>>;
    /** [heads, stepRank]: steps. */
    readonly steps: MatrixTensor;
    /** Of the three parts; null: they are not normalised, or without weights. */
    readonly norms: {
      readonly step: VectorTensor;
      readonly input: VectorTensor;
      readonly output: VectorTensor;
    } | null;
  } | null;
  /** Added to steps before their softplus, [heads]. */
  readonly stepBias: VectorTensor;
  /** [heads], of "channels" [inner, state]; below 0. */
  readonly decay: VectorTensor;
  /** How much a channel goes around the state, [heads]; null: nothing of it. */
  readonly skip: VectorTensor | null;
  /**
   * Of the gated outcome, group by group, [inner]; or null. Of "deltas" of each head, before it is
   * gated, [headDim].
   */
  readonly norm: VectorTensor | null;
  /** [d, inner]. */
  readonly output: MatrixTensor;
}

/**
 * A layer of Kimi Delta Attention (Kimi Team 2025, "Kimi Linear", 3): queries, keys and values go
 * through a short convolution each.
 */
export interface KeyDeltaTensors {
  /** [inner, d] each, and [d, inner]. */
  readonly query: MatrixTensor;
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  readonly output: MatrixTensor;
  /** [inner, taps] each, the token's own tap last. */
  readonly convolutions: Readonly<Record<"query" | "key" | "value", VectorTensor>>;
  /** Makes how long a step is, for each key's number, and what is added before it is bent. */
  readonly steps: LowRankTensors;
  /** What steps are multiplied by, [heads]; below 0, where decays have no floor. */
  readonly decay: VectorTensor;
  /** How much is corrected, [heads, d]. */
  readonly rates: MatrixTensor;
  /** What gates the outcome. */
  readonly gate: LowRankTensors;
  /** Of each head's outcome, before it is gated, [headDim]. */
  readonly norm: VectorTensor;
}

/**
 * A layer of lightning attention (Qin et al. 2024, "Lightning Attention-2"; MiniMax 2025,
 * "MiniMax-01", 2.2): attention without a softmax, so that all keys and values are one state of
 * each head, which fades by `lightningDecays`. Queries, keys and values go through SiLU.
 */
export interface LightningTensors {
  /** [3 · inner, d]: of each head the rows of its query, its key, its value. */
  readonly input: MatrixTensor;
  /** What the normalised outcome is multiplied by the sigmoid of, [inner, d]. */
  readonly gate: MatrixTensor;
  /** Of all heads' outcomes together, [inner]. */
  readonly norm: VectorTensor;
  /** [d, inner]. */
  readonly output: MatrixTensor;
}

/**
 * A layer's state of RWKV-6 (Peng et al. 2024, "Eagle and Finch"): how much of a row is the one
 * before it depends on the row, in each of five parts: decays, keys, values, receptances, gates.
 */
export interface FinchTensors {
  /** How much of a row is the one before it where shares are made, [d], and shares, [d] each. */
  readonly first: VectorTensor;
  readonly shares: readonly VectorTensor[];
  /** What moves them: a row to all parts, [5 · rank, d], and each part's, [5 · d, rank]. */
  readonly moves: Readonly<Record<"first" | "second", MatrixTensor>>;
  /** [inner, d] each; keys and values of fewer heads, maybe; and [d, inner]. */
  readonly receptance: MatrixTensor;
  readonly key: MatrixTensor;
  readonly value: MatrixTensor;
  readonly gate: MatrixTensor;
  readonly output: MatrixTensor;
  readonly decay: LowRankTensors;
  /** How much of a token's own value goes around the state, [inner]; null: its value goes in. */
  readonly bonus: VectorTensor | null;
  /** Of what each head gives; null: it is as it is. */
  readonly norm: TimeMixTensors["norm"];
}

/** What neurons give together is multiplied by sigmoid(matrix · row), [d, d]. */
export interface NeuronGateTensors {
  readonly matrix: MatrixTensor;
  /** How much of the row is the one before it, [d]. */
  readonly shift: VectorTensor;
}
