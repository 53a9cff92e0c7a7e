/**
 * What a model is, whatever its family: numbers (`ModelConfig`) and where its weights are
 * (`ModelTensors`). Everything the engine and the reference need to know is here; neither of them
 * looks at GGUF metadata or at the names of tensors.
 */
import type { AltUpConfig, AltUpTensors, LayerAltUpTensors } from "./alt_up_types.ts";
import type { Activation, SwigluLimit, XieluCurve } from "./activation_types.ts";
import type { AttentionGate, HeadRows } from "./attention_types.ts";
import type { ExpertsConfig } from "./experts_types.ts";
import type {
  ApartTensors,
  DenseTensors,
  ExpertTensors,
  FeedForwardTensors,
  PredictorTensors,
} from "./feed_forward_types.ts";
import type { GuessConfig, GuessTensors } from "./guess_types.ts";
import type {
  CompressedTensors,
  CompressionConfig,
  HyperConfig,
  HyperTensors,
  LayerHyperTensors,
} from "./compressed_types.ts";
import type { ConformerLayer, RelativeConfig, SubsamplingTensors } from "./conformer_types.ts";
import type { FillingModel } from "./fill_types.ts";
import type { GatedLayer, GatedMixTensors, GatedModel } from "./gated_types.ts";
import type { GivenConfig } from "./given_types.ts";
import type { LayerConfig, LayerShape, SteeredLayer } from "./layer_types.ts";
import type { LayerInputTensors, TokenInputTensors } from "./layer_input_types.ts";
import type { ScoreBiases } from "./score_biases.ts";
import type { SourceConfig } from "./source_types.ts";
import type { Pooling, RankerTensors, TextHeadTensors } from "./text_head_types.ts";
import type { QueryTemperature, RopeAxes, RopeConfig, RopeScaling } from "./rope_types.ts";
import type {
  BlockIndexerConfig,
  BlockIndexerTensors,
  FinchTensors,
  IndexerConfig,
  IndexerTensors,
  KeyDeltaTensors,
  LatentConfig,
  LightningTensors,
  NeuronGateTensors,
  StateSpaceConfig,
  StateSpaceTensors,
  TimeMixTensors,
} from "./kept_types.ts";
import type { NetworkTensors } from "./network.ts";
import type { OffsetTensors } from "./offset_types.ts";
import type { PatchesConfig, ProjectorConfig, ProjectorTensors } from "./vision_types.ts";

export type { DeltaTensors, LowRankTensors, TimeMixConfig } from "./kept_types.ts";
export type { ApartTensors, DenseTensors, ExpertTensors, FeedForwardTensors, PredictorTensors };
export type { Activation, LayerConfig, LayerShape, SwigluLimit, XieluCurve };
export type { CompressedTensors, CompressionConfig, HyperConfig, HyperTensors, LayerHyperTensors };
export type { LayerInputTensors, TokenInputTensors };
export type { AttentionGate, GuessConfig, GuessTensors, HeadRows };
export type { Pooling, RankerTensors, TextHeadTensors };
export type { AltUpConfig, AltUpTensors, LayerAltUpTensors };
export type { QueryTemperature, RopeAxes, RopeConfig, RopeScaling };
export type { PatchesConfig, ProjectorConfig, ProjectorTensors };
export type { BlockIndexerConfig, BlockIndexerTensors, IndexerConfig, IndexerTensors };
export type { ExpertsConfig, LatentConfig, StateSpaceConfig, StateSpaceTensors };
export type { FinchTensors, KeyDeltaTensors, LightningTensors, NeuronGateTensors, TimeMixTensors };

/** How activations are normalised, everywhere in the model. */
export interface NormConfig {
  /** "rms": x / rms(x) · w. "layer": (x - mean) / deviation · w + b. */
  readonly kind: "rms" | "layer";
  readonly epsilon: number;
  /** Of norms of what blocks add. Left out: the same. */
  readonly postEpsilon?: number;
}

/** The arithmetic of a feed-forward block, dense or of one expert. */
export interface FeedForwardConfig {
  readonly activation: Activation;
  /** act(gate·x) · (up·x) when true, act(up·x) when false. */
  readonly isGated: boolean;
  /** The up half passes through the activation, too (dReLU: max(0, g) · max(0, u)). */
  readonly activatesUp: boolean;
  /**
   * Of relu and relu2: gates below it count as 0 (FATReLU: g where g ≥ threshold, else 0); 0 is the
   * activation itself.
   */
  readonly firingThreshold: number;
  /** x is cap · tanh(x / cap), of SiLU but for its σ(x), and of ups; 0: not. Left out: none. */
  readonly softCaps?: { readonly gate: number; readonly up: number };
}

/** What a model is. All lengths are counts of elements, not bytes. Without heads they are 0. */
export interface ModelConfig extends GatedModel, FillingModel, GivenConfig {
  /** `general.architecture`: "llama", "qwen2", … */
  readonly architecture: string;
  readonly blockCount: number;
  /** Width of the residual stream, d. */
  readonly embeddingLength: number;
  /** Neurons of a dense feed-forward block; 0 where all layers have experts instead. */
  readonly feedForwardLength: number;
  readonly headCount: number;
  /** Key/value heads; query head h uses key/value head ⌊h · headCountKv / headCount⌋. */
  readonly headCountKv: number;
  /** Dimension of a key (and query) head, as attention reads it from the cache. */
  readonly headDim: number;
  /** Dimension of a value head, as large at most; in most models the same. */
  readonly valueDim: number;
  /** Null: heads have keys and values of their own. */
  readonly latent: LatentConfig | null;
  /** Chooses keys of latents, where layers say so. Left out: all are attended to. */
  readonly indexer?: IndexerConfig;
  /** Chooses blocks of keys, where layers say so. Left out: all are attended to. */
  readonly blockIndexer?: BlockIndexerConfig;
  /** Heads share a key that is its value, and compressed ones. Left out: they do not. */
  readonly compression?: CompressionConfig;
  /** Layers mix several residual streams. Left out: there is one, or those of `altUp`. */
  readonly hyper?: HyperConfig;
  /** Null: no layer keeps a state space. */
  readonly stateSpace: StateSpaceConfig | null;
  /** Null: there is one residual stream. */
  readonly altUp: AltUpConfig | null;
  readonly vocabSize: number;
  /** Trained context, tokens. */
  readonly contextLength: number;
  readonly norm: NormConfig;
  /**
   * Tokens attend to those behind them, too (in windows to as many as before them), and what comes
   * of them are vectors: nothing is predicted. Left out: they do not.
   */
  readonly isEncoder?: true;
  /** It answers a source, which it reads apart. Left out: it goes on with a text. */
  readonly source?: SourceConfig;
  /** Patches of an image go in, and a projector is behind the last norm. Left out: ids go in. */
  readonly patches?: PatchesConfig;
  readonly projector?: ProjectorConfig;
  /** Norms behind blocks are of the sum with the residual stream. Left out: of what is added. */
  readonly normalizesSums?: true;
  /** Multiplies query·key; usually 1 / √headDim. */
  readonly attentionScale: number;
  /** Of queries that nothing but their latents' heads makes longer; null: nothing does. */
  readonly queryTemperature: QueryTemperature | null;
  /** Scores become cap · tanh(score / cap); 0 = not. */
  readonly attentionSoftCap: number;
  /**
   * Scores fall with distance, by slopes that go from head to head down to 2 to the minus this: see
   * `alibiSlopes`. 0 = they do not.
   */
  readonly alibiMaxBias: number;
  /** Scores have biases by distance, in buckets. Left out: they have none. */
  readonly scoreBiases?: ScoreBiases;
  /** Scores are by distance, too, of layers that attend. Left out: they are not. */
  readonly relative?: RelativeConfig;
  /** Multiplies what heads give; usually 1. */
  readonly valueScale: number;
  /** Queries, keys and values are cut off at ± this, before they are normalised; 0 = not. */
  readonly projectionClamp: number;
  /** Some matrices have limits. Left out: none has. */
  readonly limitsProducts?: true;
  /** The rotary embeddings that layers choose from. */
  readonly ropes: readonly RopeConfig[];
  readonly feedForward: FeedForwardConfig;
  readonly experts: ExpertsConfig | null;
  /** Behind those of the model, `blockCount`, there may be one that only guesses: `guess`. */
  readonly layers: readonly LayerConfig[];
  /** Left out: nothing guesses what comes behind the next token. */
  readonly guess?: GuessConfig;
  /** Attention and feed-forward read the same input, mostly one norm of it; one join a layer. */
  readonly hasParallelBlocks: boolean;
  /** Heads' outcomes are gated, in layers that attend. */
  readonly gatesAttention: boolean;
  /** Queries and keys are normalised head by head when they are turned already, not before. */
  readonly normalizesTurnedHeads: boolean;
  /**
   * Streams that are kept beside the residual one: 1, the embedding; or 2, the states of passes.
   * Left out: none.
   */
  readonly keptStreams?: 1 | 2;
  /** How they are normalised. Left out: as everything is. */
  readonly headNorm?: NormConfig;
  /** Numbers of its own that each token gives each layer; 0 = none. */
  readonly layerInputLength: number;
  /** Multiplies the embedding of every token; usually 1. */
  readonly embeddingScale: number;
  /** Multiplies what a block adds to the residual stream; usually 1. */
  readonly residualScale: number;
  /** Multiplies logits; usually 1. */
  readonly logitScale: number;
  /** Logits become cap · tanh(logit / cap), after the scale; 0 = not. */
  readonly logitSoftCap: number;
  /** Logits of these tokens are −∞: they are never said. In order, apart. Left out: all may be. */
  readonly silencedTokens?: readonly { readonly start: number; readonly end: number }[];
  /** True when the output projection is the embedding table. */
  readonly tiedEmbeddings: boolean;
  /** Logit from which on a predictor says that a neuron fires. */
  readonly predictorThreshold: number;
}

/** A piece of a tensor read as a vector. */
export interface VectorTensor {
  readonly tensor: string;
  /** First element. */
  readonly start: number;
  readonly length: number;
}

/**
 * A matrix [rows, columns] with its bias: rows rowStart .. rowStart + rows - 1 of a tensor, where
 * dimensions beyond the second are more rows. So one of a fused tensor's parts, and one of many
 * experts, is a matrix like any other.
 */
export interface MatrixTensor {
  readonly tensor: string;
  readonly rowStart: number;
  readonly rows: number;
  readonly columns: number;
  /** [rows], or null. */
  readonly bias: VectorTensor | null;
  /** Of its products; bias is added behind them. Left out: there are none. */
  readonly limits?: ProductLimits;
}

/** What a product reads, and what it gives, stays within these: [1] each; null: no bound. */
export interface ProductLimits {
  readonly inputMin: VectorTensor | null;
  readonly inputMax: VectorTensor | null;
  readonly outputMin: VectorTensor | null;
  readonly outputMax: VectorTensor | null;
}

export interface NormTensors {
  /** Null: all are 1. */
  readonly weight: VectorTensor | null;
  readonly bias: VectorTensor | null;
}

/** Normalises queries or keys, before they are turned in most models. */
export interface HeadNormTensors {
  /** "head": each head by itself. "projection": all heads of a token as one vector. */
  readonly span: "head" | "projection";
  /** [headDim], the same for all heads, or [heads · headDim]; null: all are 1. */
  readonly weight: VectorTensor | null;
  /** [heads · headDim]: added behind weights. Left out: nothing is. */
  readonly bias?: VectorTensor;
  /** [heads]: multiplies each head. Left out: nothing does. */
  readonly gain?: VectorTensor;
}

/** What latent attention has more. */
export interface LatentTensors {
  /** Makes what queries are made of, [queryLength, d], and its norm, [queryLength]; or null. */
  readonly queryDown: { readonly matrix: MatrixTensor; readonly norm: VectorTensor } | null;
  /** The latent's norm, [length], and the turned part's, [turnedDim]. Left out: it has none. */
  readonly norm: VectorTensor;
  readonly turnedNorm?: VectorTensor;
  /** Makes the plain part of a head's key, transposed: [length, plainDim] a head. */
  readonly keyUp: HeadRows;
  /** The file has it as it is defined, [plainDim, length] a head. */
  readonly isKeyUpTransposed: boolean;
  /** Makes a head's value, [valueDim, length] a head. */
  readonly valueUp: HeadRows;
  /** Of a layer that chooses keys. Left out: it does not. */
  readonly indexer?: IndexerTensors;
}

/**
 * A layer's weights. One that convolves has them in the same places: "key" and "value" make what is
 * convolved, key ⊙ value, and "query" what the outcome is multiplied by before the output
 * projection. Its channels are shared out as the dimensions of heads are.
 */
export interface LayerTensors extends GatedLayer, ConformerLayer, SteeredLayer {
  /** Null: attention reads the residual stream as it is; or the layer has none of what reads it. */
  readonly attentionNorm: NormTensors | null;
  /**
   * These three and the output are null where the layer neither attends nor convolves; key and
   * value also where it has none of its own. They may be the same.
   */
  readonly query: MatrixTensor | null;
  readonly key: MatrixTensor | null;
  readonly value: MatrixTensor | null;
  /**
   * Null: heads have keys and values of their own. Else `key` has the rows of the latent and of the
   * turned part, `value` those of the latent, a head of `query` those of the plain part first.
   */
  readonly latent: LatentTensors | null;
  /** Of a layer that chooses blocks of keys. Left out: it does not. */
  readonly blockIndexer?: BlockIndexerTensors;
  /** Of a model of compressed keys; value is key then. Left out: it has none. */
  readonly compressed?: CompressedTensors;
  /** Of a model whose layers mix streams. Left out: they do not. */
  readonly hyper?: LayerHyperTensors;
  /** Of `LayerConfig.offsets`. */
  readonly offsets?: OffsetTensors;
  readonly queryNorm: HeadNormTensors | null;
  readonly keyNorm: HeadNormTensors | null;
  readonly valueNorm: HeadNormTensors | null;
  /** Scores beside those of positions, [heads], with values that are nothing; or null. */
  readonly attentionSinks: VectorTensor | null;
  /** [d, taps], the token's own tap last; null where the layer attends. */
  readonly convolution: VectorTensor | null;
  /** Of what heads give together, before the output: its weights. Left out: no norm. */
  readonly innerNorm?: VectorTensor;
  readonly attentionOutput: MatrixTensor | null;
  /** What makes gates of heads, and rows of queries beside them; or null. */
  readonly attentionGate: AttentionGate | null;
  /** Reads what attention reads, and adds to what it adds; or null. */
  readonly stateSpace: StateSpaceTensors | null;
  /** The same of RWKV-7, RWKV-6, Kimi Linear, MiniMax 01. Left out: the layer has none. */
  readonly timeMix?: TimeMixTensors;
  readonly finch?: FinchTensors;
  readonly keyDeltas?: KeyDeltaTensors;
  readonly lightning?: LightningTensors;
  /** Of what attention adds to the residual stream. */
  readonly attentionPostNorm: NormTensors | null;
  /** Null: the block reads the residual stream as it is, or what attention reads, if parallel. */
  readonly feedForwardNorm: NormTensors | null;
  /** How much of what the block reads is the row before it, [d]. Left out: nothing. */
  readonly feedForwardShift?: VectorTensor;
  readonly feedForward: FeedForwardTensors | null;
  /** Left out: what neurons give is as it is. */
  readonly neuronGate?: NeuronGateTensors;
  readonly feedForwardPostNorm: NormTensors | null;
  /** What the token gives it is added behind the blocks; null: nothing is. */
  readonly input: LayerInputTensors | null;
  /** Null: there is one residual stream. */
  readonly altUp: LayerAltUpTensors | null;
  /** [1]: multiplies the residual stream at the layer's end; or null. */
  readonly outputScale: VectorTensor | null;
  /** [1] each: multiply what attention, and neurons, give. Left out: nothing does. */
  readonly attentionScale?: VectorTensor;
  readonly feedForwardScale?: VectorTensor;
  /** [d] each: multiply what attention, and neurons, give. Left out: nothing does. */
  readonly attentionGains?: VectorTensor;
  readonly feedForwardGains?: VectorTensor;
  /** [1]: so much of the embedding is added at the layer's end. Left out: nothing is. */
  readonly embeddingScale?: VectorTensor;
  /** Of a layer that ends a pass. Left out: it ends none. */
  readonly endNorm?: NormTensors;
}

/** Where all weights of the model are, checked to exist with the right shape. */
export interface ModelTensors {
  /** What guesses has before and behind its layer. Left out: nothing guesses. */
  readonly guess?: GuessTensors;
  /**
   * Of a model that looks at images: what patches are multiplied by, [d, patch length]; of one that
   * hears: what 3 frames are.
   */
  readonly tokenEmbedding: MatrixTensor;
  /**
   * Patches are multiplied by it, too, and both are added: images are films of two frames that are
   * the same. Left out: there is one frame.
   */
  readonly secondFrame?: MatrixTensor;
  /** Of what patches give, before anything is added to it. Left out: there is none. */
  readonly patchNorm?: NormTensors;
  /** Of a tower's patches, before they are multiplied; left out: there is none. */
  readonly pixelNorm?: NormTensors;
  /** [d, 3 · d]: the second of two convolutions, of which `tokenEmbedding` is the first. */
  readonly secondConvolution?: MatrixTensor;
  /**
   * Of a plane's convolutions, of which `tokenEmbedding` is the first: two matrices [channels, 9 ·
   * channels], and what makes rows, [d, channels · bands]. Left out: there are none.
   */
  readonly planeMatrices?: readonly MatrixTensor[];
  /** Of a conformer. Left out: none makes its frames fewer. */
  readonly subsampling?: SubsamplingTensors;
  readonly network?: NetworkTensors;
  /** [context, d], learned; added to the embeddings, or null. */
  readonly positionEmbedding: MatrixTensor | null;
  /** [d]: what tokens of the first kind, which all are, have more. Left out: there are no kinds. */
  readonly tokenKind?: VectorTensor;
  /** Null: there is one residual stream. */
  readonly altUp: AltUpTensors | null;
  /** What makes one of streams that layers mix. Left out: they do not. */
  readonly hyperEnd?: HyperTensors;
  /** The same of gated ones, in the place of a last norm. Left out: they are not gated. */
  readonly gatedEnd?: GatedMixTensors;
  /** Of the embeddings; null: they go in as they are. */
  readonly embeddingNorm: NormTensors | null;
  /** Null: tokens give layers nothing but their embedding. */
  readonly tokenInputs: TokenInputTensors | null;
  /** What the second of two kept streams begins with, [d]. Left out: there is none. */
  readonly secondStream?: VectorTensor;
  /** Null: what makes one of gated streams has it. */
  readonly outputNorm: NormTensors | null;
  /** Equals `tokenEmbedding` when tied. */
  readonly output: MatrixTensor;
  /** Behind the last norm of a model that looks at images. Left out: there is none. */
  readonly projector?: ProjectorTensors;
  /** What becomes of a text's vector. Left out: nothing. */
  readonly textHead?: TextHeadTensors;
  readonly layers: readonly LayerTensors[];
}

/** A model ready to be loaded: what it is and where its tensors are. */
export interface ModelDescription {
  readonly config: ModelConfig;
  readonly tensors: ModelTensors;
}
