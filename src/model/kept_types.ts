/** Shapes of what layers keep of tokens where it is not keys and values: part of types.ts. */

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
 * Layers that keep a state of a sequence instead of, or beside, keys and values: a selective state
 * space (Gu & Dao 2023, "Mamba"; Dao & Gu 2024, "Transformers are SSMs"). Channels, after a short
 * convolution, each write into a state of their own and read from it.
 */
export interface StateSpaceConfig {
  /**
   * "channels": each has decays of its own, and time steps that, like what writes and reads, are
   * made of all convolved channels. "heads": channels of a head share one decay and step, heads of
   * a group share what writes and reads, and the layer's input makes all of it. "deltas": the same,
   * but what a head writes is how much its state has to be corrected by; groups have keys and
   * queries, heads values.
   */
  readonly kind: "channels" | "heads" | "deltas";
  /** Tokens that the convolution sees, the last of them the token itself. */
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
  /** Numbers that time steps are made of; 0 of "heads". */
  readonly stepRank: number;
  /** Steps, and what writes and reads, are normalised, without weights. */
  readonly normalizesInputs: boolean;
}
