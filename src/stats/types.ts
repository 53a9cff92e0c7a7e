/**
 * What is known of how often a model's neurons fire. Neurons are numbered as in the model's file,
 * of a mixture of experts expert by expert.
 */

/**
 * What counts as one: the tokens that 1 to 4 sequences decode side by side, or a piece of a prompt.
 * A neuron fires there when at least one of the tokens makes it fire.
 */
export const BUCKETS = ["1", "2", "3", "4", "prefill"] as const;
export type Bucket = typeof BUCKETS[number];

/** Tokens of a piece of a prompt. */
export const PREFILL_TOKENS = 64;
/** Sequences that are looked at side by side. */
export const GROUP_WINDOWS = 4;

/** What the numbers are of; statistics of something else do not mix with them. */
export interface StatsSubject {
  readonly architecture: string;
  /** Of the model's files: src/gguf/fingerprint.ts. */
  readonly modelFingerprint: string;
  readonly layerCount: number;
  readonly neuronCount: number;
  /** "relu", "silu", … */
  readonly activation: string;
  /** Of the ids that are counted, in their windows. */
  readonly textHash: string;
  /** Tokens of a window: a text of its own. */
  readonly windowTokens: number;
  /** Groups of four windows that the text has. */
  readonly groupCount: number;
  /**
   * Neurons are counted that are louder than the threshold that this share of activations stays
   * below; null: neurons that are not zero.
   */
  readonly sparsity: number | null;
}

/** What leaving quiet neurons out cost, as `verify` measured it. */
export interface MeasuredCost {
  readonly sparsity: number;
  readonly pplDense: number;
  readonly pplSparse: number;
  readonly tokens: number;
}

export interface FiringStats {
  readonly subject: StatsSubject;
  /** Groups counted so far. */
  groupsDone: number;
  /** The loudness above which a neuron counts, by layer; null where not zero counts. */
  thresholds: readonly number[] | null;
  /** How often there was a bucket's unit. */
  readonly units: Record<Bucket, number>;
  /** In how many of them a neuron fired, [layers, neurons]. */
  readonly counts: Readonly<Record<Bucket, Uint32Array>>;
  /** |act(gate)|, [layers, LOUDNESS_BINS]: loudness.ts; null where "not zero" decides. */
  readonly loudness: Float64Array | null;
  measured: readonly MeasuredCost[];
}
