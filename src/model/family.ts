/**
 * What sets one family of transformers apart from the next, as data. All families share the key
 * and tensor names of GGUF, so a family is a handful of choices; reading and checking are done
 * once, in read_config.ts and read_tensors.ts. Knows no files.
 */
import type { ExpertChoices, MixtureShape, StateSpaceChoices } from "./family_choices.ts";
import type {
  Activation,
  AttentionGate,
  FeedForwardConfig,
  IndexerConfig,
  NormConfig,
  RankerTensors,
  RopeConfig,
} from "./types.ts";
import type { AlternatingWindows } from "./window_types.ts";

export type { AlternatingWindows };

export type { ExpertChoices, MixtureShape, StateSpaceChoices };

/** Matrices that may have a bias, as their tensors are called, without "blk.N.". */
export type BiasedMatrix =
  | "output"
  | "attn_q"
  | "attn_k"
  | "attn_v"
  | "attn_qkv"
  | "attn_output"
  | "ffn_gate"
  | "ffn_up"
  | "ffn_down"
  | "ffn_gate_inp"
  | "ffn_gate_exps"
  | "ffn_up_exps"
  | "ffn_down_exps";

/** Query, key and value, separate or fused. */
export const QKV: readonly BiasedMatrix[] = ["attn_q", "attn_k", "attn_v", "attn_qkv"];

/** Those of a router and its experts. */
export const EXPERT_BIASES = [
  ...["ffn_gate_inp", "ffn_gate_exps"] as const,
  ...["ffn_up_exps", "ffn_down_exps"] as const,
];

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
  /**
   * Which dimensions of a head its converted weights pair up, or a table added to embeddings;
   * "sloped": scores may fall with distance. "bucketed": they have biases by distance.
   */
  readonly positions: RopeConfig["kind"] | "learned" | "sloped" | "bucketed" | "none";
  /** What the file calls a tensor of a name that most have. Null: so. */
  readonly nameInFile: ((name: string) => string) | null;
  /** How steeply, where the file does not say; above 0, heads are not rotated. Null: not. */
  readonly alibiMaxBias: ((shape: ScaleShape) => number) | null;
  /** The file may cut off queries, keys and values: `attention.clamp_kqv`. */
  readonly mayClampProjections: boolean;
  /**
   * It reads a text in both directions and makes vectors of it: windows are of so many tokens in
   * all, the token itself in the middle. Else the file may say so: `attention.causal` is false.
   */
  readonly isEncoder: boolean;
  /** It reads a text in both directions, and says what masks in it stand for: read_fill.ts. */
  readonly fills: boolean;
  /**
   * Its first layers read a source as an encoder does, others write an answer to it, and ask the
   * source between: read_source.ts. What the norm behind the first ones is called; null: none do.
   */
  readonly sourceNorm: string | null;
  /** Embeddings are normalised, with weights or without. */
  readonly embeddingNorm: "none" | "weighted" | "plain";
  /** The same where the file names sections, which are alike for texts; null: as without. */
  readonly positionsOfSections: RopeConfig["kind"] | null;
  /** How a file's sections of pairs, one for each axis of a position, lie; null: it has none. */
  readonly sections: "inTurn" | "interleaved" | "columnsFirst" | null;
  /**
   * Given rows are scaled as embeddings are, or the file says behind which layers parts of them
   * are added.
   */
  readonly scalesGiven: boolean;
  /** Keys and values of all heads are made of one latent a token. */
  readonly hasLatentAttention: boolean;
  /** What grows with a stretched context: all of their scores, or what turned parts give alone. */
  readonly latentStretch: "scores" | "turned";
  /** The turned part of their keys, which is one for all heads, is normalised. */
  readonly normalizesTurnedPart: boolean;
  /**
   * An indexer chooses which keys are attended to, as many as the file says: which dimensions of
   * its heads are turned together, and whether layers may use what an earlier one has chosen;
   * "listed": the file says which do. Null: all keys are.
   */
  readonly indexer: {
    readonly pairs: IndexerConfig["pairs"];
    readonly mayShare: boolean | "listed";
    /** The last dimensions of its heads are turned. Left out: the first ones. */
    readonly turnsLast?: true;
    /** Its keys are normalised with the stream's epsilon. Left out: with one of their own. */
    readonly takesEpsilon?: true;
    /** The file may say nothing of one: all keys are attended to then. Left out: it may not. */
    readonly mayLack?: true;
    /** Of blocks of them, each key/value head for itself, behind the leading dense layers. */
    readonly ofBlocks?: true;
  } | null;
  /**
   * Layers read the stream as it was at some layers before, too, and what neurons read of it is
   * capped, as the file says: read_kept_inputs.ts.
   */
  readonly keepsInputs: boolean;
  /**
   * Keys of several tokens are compressed into one, layers mix residual streams, and tokens may say
   * which experts they use: read_compression.ts.
   */
  readonly compressesKeys: boolean;
  /** Layers have residual streams side by side: read_streams.ts. */
  readonly hasStreams: boolean;
  /** Streams are gated, an indexer chooses groups of keys, and tokens name rows: read_gated.ts. */
  readonly gatesStreams: boolean;
  /**
   * A block behind the layers guesses tokens, of rows as the last norm makes them, or of plain
   * ones; null: such blocks are left alone.
   */
  readonly guessing: "normedRows" | "plainRows" | null;
  /** Queries far into the context are made longer, where the file says how much. */
  readonly hasAttentionTemperature: boolean;
  /**
   * "said": "rms" where the file names that one's epsilon, else "layer". "rmsOfEither": "rms",
   * whose epsilon may have the other one's name.
   */
  readonly norm: NormConfig["kind"] | "said" | "rmsOfEither";
  /** False: norms of the residual stream have no weights. */
  readonly normsHaveWeights: boolean;
  /** Which norms of the residual stream have biases beside weights. */
  readonly normBiases: "none" | "ofLayerNorms" | "all" | "ifThere";
  /** Attention and feed-forward read a norm of the residual stream; false: the stream itself. */
  readonly hasPreNorms: boolean;
  /** The first layer's attention may read the residual stream as it is. */
  readonly mayLackFirstNorm: boolean;
  /** What attention and feed-forward add is normalised first. */
  readonly hasPostNorms: boolean;
  /** What these norms are called, as a rule like that; null: by the names that most have. */
  readonly postNormNames: readonly [attention: string, feedForward: string] | null;
  /**
   * These norms are of the sum of that and the residual stream, and the last one is the last.
   * "asRead": they are called as those of most are that read them: attention's as the feed-forward
   * block's, that one's as the next layer's or the last, and embeddings' as the first layer's; and
   * the file says how much the stream counts in sums: read_norm.ts.
   */
  readonly normalizesSums: boolean | "asRead";
  /** Epsilon of these norms; null: that of the others. */
  readonly postNormEpsilon: number | null;
  /** What the norm of the feed-forward block is called. */
  readonly feedForwardNorm: "ffn_norm" | "post_attention_norm" | "attn_output_norm" | "attn_norm_2";
  /**
   * A model without feed-forward norms computes both blocks side by side; "said": one whose key
   * `use_parallel_residual` says so.
   */
  readonly mayBeParallel: boolean | "said";
  /**
   * Norms of queries and keys: one weight per dimension for all heads ("shared", or where a file
   * has them: "sharedIfThere"), over all heads at once ("projection"), for each head its own, in
   * files that have them ("perHead"), or without weights, where heads are turned ("ofTurned"), or
   * with one number for each head of queries ("gains").
   */
  readonly headNorms:
    | "none"
    | "shared"
    | "sharedIfThere"
    | "projection"
    | "perHead"
    | "ofTurned"
    | "gains";
  /** They are normalised when they are turned already. */
  readonly normalizesTurnedHeads: boolean;
  /** How, and with biases where a file has some; null: as everything is, without. */
  readonly headNorm: NormConfig | null;
  /**
   * Heads' outcomes are gated; "besideQueries": gates' rows lie behind each head's query; "apart":
   * in a tensor of their own, in which a head may have a single one.
   */
  readonly attentionGates: "none" | "besideQueries" | "apart";
  readonly gateActivation: AttentionGate["activation"];
  /** Heads have a score in the softmax without a value; or do in layers of one kind. */
  readonly attentionSinks: "none" | "all" | "ifThere";
  /** Value heads may be shorter than key heads; and what heads give may have a factor. */
  readonly hasOwnValues: boolean;
  readonly feedForward: Omit<FeedForwardConfig, "firingThreshold">;
  /**
   * The file may limit SwiGLU layer by layer: what is activated of gates, or gates before they are;
   * and ups. Null: it does not.
   */
  readonly swigluLimits: "activated" | "gates" | null;
  /** The activation of neurons without gates, where that is said by tensors; null: as above. */
  readonly ungatedActivation: Activation | null;
  /** The activation of models that nothing but their shape tells apart; null: as above. */
  readonly activationOf: ((shape: MixtureShape) => Activation) | null;
  /**
   * One tensor holds the rows of the gate, then those of up; "said": by the shapes of the file's
   * tensors, which may have no gates either.
   */
  readonly fusesGateAndUp: boolean | "said";
  /** `feed_forward_length` counts gates and ups: it is twice the neurons. */
  readonly countsGatesAndUps: boolean;
  /** Biases of every model of the family; others are used where a file has them. */
  readonly requiredBiases: readonly BiasedMatrix[];
  /** Windows of no layer, even if the file names one; of all layers; or in turns. */
  readonly windows: "none" | "all" | AlternatingWindows;
  /**
   * Layers may differ in heads' widths, numbers of heads and neurons, and the last ones may read
   * the keys and values of others: read_layer_shapes.ts. With latents they differ in numbers of
   * heads, and windowed ones in latents: read_latent_shapes.ts.
   */
  readonly layersDiffer: boolean;
  /** They may have no heads, or no neurons. */
  readonly layersMayLack: boolean;
  /** Values are normalised head by head, without weights. */
  readonly normalizesValues: boolean;
  /** Tokens may give each layer an input: read_layer_inputs.ts. */
  readonly mayHaveLayerInputs: boolean;
  /** It has several residual streams, and a short way around attention: read_alt_up.ts. */
  readonly hasAltUp: boolean;
  /** Gates of some layers' neurons are cut off, as the file says: read_gate_cutoffs.ts. */
  readonly cutsGates: boolean;
  /** Layers without key/value heads convolve over the last few tokens: read_convolution.ts. */
  readonly mayConvolve: boolean;
  /** Null: no layer keeps a state space. */
  readonly stateSpace: StateSpaceChoices | null;
  /** What the last norm is called. */
  readonly outputNorm: string;
  /**
   * Blocks are walked several times: all of them ("loops"), or two halves of them in turns
   * ("cycles"): read_repeats.ts. Null: once.
   */
  readonly repeats: "loops" | "cycles" | null;
  /** Layers add the embedding once more; what blocks give may have a factor, a tensor of one. */
  readonly addsEmbedding: boolean;
  /** The last of so many layers in a row is not rotated; 0: all layers are. */
  readonly unrotatedPeriod: number;
  /** The file may list which layers are: `attention.rope_pattern`. */
  readonly listsRotated: boolean;
  /** The file may switch rotation off: `rope.scaling.finetuned` is false. */
  readonly rotationIsOptional: boolean;
  /** `rope.scaling.alpha` stretches the context by another base ("NTK-aware"). */
  readonly mayStretchBase: boolean;
  /** Null: no factors, and keys that name some are not the family's. */
  readonly scales: ((shape: ScaleShape) => FamilyScales) | null;
  /** What the factor of attention scores is called. */
  readonly attentionScaleKey: "attention.scale" | "attention.output_scale";
  /** What the file's scale does to logits. */
  readonly logitScale: "divides" | "multiplies";
  /** Soft cap of attention scores where the file does not say; null: the family has none. */
  readonly attentionSoftCap: number | null;
  /** Soft cap of logits where the file does not say; null: the family has none. */
  readonly logitSoftCap: number | null;
  /** What heads give, and what neurons give, is normalised before the matrix that merges it. */
  readonly hasInnerNorms: boolean;
  /** What of layers texts have no use for, as tensors are called. */
  readonly unused: readonly string[];
  /** Null: the family is dense. */
  readonly experts: ExpertChoices | null;
  /** Where files have weights that score how well two texts go together: what they do. */
  readonly ranks: Pick<RankerTensors, "reads" | "activation" | "isSoftmax">;
  /** Tokens that are never said, in models that have more; null: all may be. */
  readonly silencedTokens: { readonly start: number; readonly end: number } | null;
  /** What is chosen otherwise where a flag of the file is set; null: nothing is. */
  readonly variant: { readonly key: string; readonly choices: Partial<Family> } | null;
  /** What of such a model this version does not compute; null: nothing. */
  readonly obstacle: ((shape: ScaleShape) => string | null) | null;
}

/** What most families do; each file of families/ says what its family does differently. */
export const COMMON: Omit<Family, "architecture" | "positions"> = {
  positionsOfSections: null,
  sections: null,
  scalesGiven: false,
  nameInFile: null,
  alibiMaxBias: null,
  mayClampProjections: false,
  isEncoder: false,
  fills: false,
  sourceNorm: null,
  embeddingNorm: "none",
  hasLatentAttention: false,
  latentStretch: "scores",
  normalizesTurnedPart: false,
  indexer: null,
  keepsInputs: false,
  compressesKeys: false,
  hasStreams: false,
  gatesStreams: false,
  guessing: null,
  hasAttentionTemperature: false,
  norm: "rms",
  normsHaveWeights: true,
  normBiases: "ofLayerNorms",
  hasPreNorms: true,
  mayLackFirstNorm: false,
  hasPostNorms: false,
  normalizesSums: false,
  postNormNames: null,
  postNormEpsilon: null,
  feedForwardNorm: "ffn_norm",
  mayBeParallel: false,
  headNorms: "none",
  normalizesTurnedHeads: false,
  headNorm: null,
  attentionGates: "none",
  gateActivation: "sigmoid",
  attentionSinks: "none",
  hasOwnValues: false,
  feedForward: { activation: "silu", isGated: true, activatesUp: false },
  swigluLimits: null,
  ungatedActivation: null,
  activationOf: null,
  fusesGateAndUp: false,
  countsGatesAndUps: false,
  requiredBiases: [],
  windows: "none",
  layersDiffer: false,
  layersMayLack: false,
  normalizesValues: false,
  mayHaveLayerInputs: false,
  hasAltUp: false,
  cutsGates: false,
  mayConvolve: false,
  stateSpace: null,
  outputNorm: "output_norm",
  repeats: null,
  addsEmbedding: false,
  unrotatedPeriod: 0,
  listsRotated: false,
  rotationIsOptional: false,
  mayStretchBase: false,
  scales: null,
  attentionScaleKey: "attention.scale",
  logitScale: "divides",
  attentionSoftCap: null,
  logitSoftCap: null,
  hasInnerNorms: false,
  unused: [],
  experts: null,
  ranks: { activation: "tanh", isSoftmax: false, reads: "first" },
  silencedTokens: null,
  variant: null,
  obstacle: null,
};
