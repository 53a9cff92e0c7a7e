/**
 * What sets one family of transformers apart from the next, as data. All families share the key
 * and tensor names of GGUF, so a family is a handful of choices; reading and checking are done
 * once, in read_config.ts and read_tensors.ts. Knows no files.
 */
import type { ExpertsConfig, FeedForwardConfig, NormConfig, RopeConfig } from "./types.ts";

/** Matrices that may have a bias, by what follows "blk.N." in their tensors' names. */
export type BiasedMatrix =
  | "attn_q"
  | "attn_k"
  | "attn_v"
  | "attn_qkv"
  | "attn_output"
  | "ffn_gate"
  | "ffn_up"
  | "ffn_down";

/** Query, key and value, separate or fused. */
export const QKV: readonly BiasedMatrix[] = ["attn_q", "attn_k", "attn_v", "attn_qkv"];

/** Layers with and without a window, in turns. */
export interface AlternatingWindows {
  /** Of so many layers in a row one sees everything, where the file does not say. */
  readonly period: number;
  /** Which of them. */
  readonly globalLayer: "first" | "last";
  /** Tokens that the others see, where the file does not say; 0: then all layers see everything. */
  readonly defaultLength: number;
  /** Base of the windowed layers where the file names none; null: that of the others. */
  readonly localRopeBase: number | null;
  /** Stretching the context stretches the windowed layers, too. */
  readonly scalesLocalRope: boolean;
  /** Layers that see everything know no positions. */
  readonly globalIsUnrotated: boolean;
}

/** How a family mixes experts. */
export interface ExpertChoices {
  /** False: a file without experts is a dense model of the family. */
  readonly isRequired: boolean;
  /** Where the file does not say. */
  readonly gating: ExpertsConfig["gating"];
  readonly normalizesWeights: boolean;
  readonly routerInput: ExpertsConfig["routerInput"];
  /** One expert is used by every token, as often as its own gate says. */
  readonly hasSharedExpert: boolean;
}

/** The lengths that default scales depend on. */
export interface ScaleShape {
  readonly embeddingLength: number;
  readonly blockCount: number;
  readonly headCount: number;
  readonly headDim: number;
}

/** Factors of a family where its file does not name them; left out: 1, attention 1 / √headDim. */
export interface FamilyScales {
  readonly embedding?: number;
  readonly residual?: number;
  readonly logit?: number;
  readonly attention?: number;
}

/** A family. Everything that a file may or may not hold without saying so is found by looking. */
export interface Family {
  /** `general.architecture`, which is also the prefix of its metadata keys. */
  readonly architecture: string;
  /** Which dimensions of a head its converted weights pair up, or a table added to embeddings. */
  readonly positions: RopeConfig["kind"] | "learned";
  readonly norm: NormConfig["kind"];
  /** Attention and feed-forward read a norm of the residual stream; false: the stream itself. */
  readonly hasPreNorms: boolean;
  /** What attention and feed-forward add is normalised first. */
  readonly hasPostNorms: boolean;
  /** A model without feed-forward norms computes both blocks side by side. */
  readonly mayBeParallel: boolean;
  /**
   * Norms of queries and keys: one weight per dimension for all heads ("shared"), over all heads at
   * once ("projection"), or for each head its own, in files that have them ("perHead").
   */
  readonly headNorms: "none" | "shared" | "projection" | "perHead";
  readonly feedForward: Omit<FeedForwardConfig, "firingThreshold">;
  /** One tensor holds the rows of the gate, then those of up. */
  readonly fusesGateAndUp: boolean;
  /** Biases of every model of the family; others are used where a file has them. */
  readonly requiredBiases: readonly BiasedMatrix[];
  /** Windows of no layer, even if the file names one; of all layers; or in turns. */
  readonly windows: "none" | "all" | AlternatingWindows;
  /** The last of so many layers in a row is not rotated; 0: all layers are. */
  readonly unrotatedPeriod: number;
  /** The file may switch rotation off: `rope.scaling.finetuned` is false. */
  readonly rotationIsOptional: boolean;
  /** Null: no factors, and keys that name some are not the family's. */
  readonly scales: ((shape: ScaleShape) => FamilyScales) | null;
  /** Soft cap of attention scores where the file does not say; null: the family has none. */
  readonly attentionSoftCap: number | null;
  /** Soft cap of logits where the file does not say; null: the family has none. */
  readonly logitSoftCap: number | null;
  /** Null: the family is dense. */
  readonly experts: ExpertChoices | null;
}

/** What most families do; each file of families/ says what its family does differently. */
export const COMMON: Omit<Family, "architecture" | "positions"> = {
  norm: "rms",
  hasPreNorms: true,
  hasPostNorms: false,
  mayBeParallel: false,
  headNorms: "none",
  feedForward: { activation: "silu", isGated: true, activatesUp: false },
  fusesGateAndUp: false,
  requiredBiases: [],
  windows: "none",
  unrotatedPeriod: 0,
  rotationIsOptional: false,
  scales: null,
  attentionSoftCap: null,
  logitSoftCap: null,
  experts: null,
};
