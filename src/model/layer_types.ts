/** What may differ from layer to layer: part of types.ts. */
import type { SwigluLimit, XieluCurve } from "./activation_types.ts";
import type { ModelConfig, VectorTensor } from "./types.ts";

/** What may differ from layer to layer. */
export interface LayerConfig {
  /**
   * Keys older than this many tokens are not attended to, nor in encoders keys as far behind; 0 =
   * no window.
   */
  readonly slidingWindow: number;
  /**
   * Positions come in chunks of so many; a token attends to those of its own. Left out: of all.
   */
  readonly attentionChunk?: number;
  /**
   * Patches of an image come in windows of so many rows and columns, which may be cut off by its
   * edges; one attends to those of its own, which follow one another. Left out: to all.
   */
  readonly windowSide?: number;
  /**
   * Patches of an image, which come block by block (`ProjectorConfig.mergedRows`), line of blocks
   * by line, stand in heads column of blocks by column: windows (`slidingWindow`) are along
   * columns. Left out: they stand as they come.
   */
  readonly byColumns?: true;
  /**
   * Scores count how many rows and how many columns of an image's grid, whose patches come line by
   * line, a key is away (`LayerTensors.offsets`): within windows of so many rows and columns, whose
   * keys and values beyond the image's edges are those of zeros, or in the whole image, which has
   * so many rows and columns at most. Left out: they do not.
   */
  readonly offsets?: { readonly side: number; readonly areWindows: boolean };
  /** Index into `ModelConfig.ropes`; null: positions are not encoded here. */
  readonly rope: number | null;
  /** The same for queries, where another one turns them than keys. */
  readonly queryRope?: number;
  /** Turns queries and keys, too: other dimensions of them. Left out: nothing does. */
  readonly secondRope?: number;
  /**
   * The layer does not attend: it convolves over so many tokens, the last of them the token itself.
   * Left out: it attends.
   */
  readonly convolutionTaps?: number;
  /** False: the layer neither attends nor convolves. Left out: it does. */
  readonly attends?: false;
  /** Multiplies the residual stream at its end. Left out: nothing does. */
  readonly endScale?: number;
  /**
   * It attends to keys that its own indexer chooses, or those that the last such layer before it
   * has chosen. Left out: to all that it sees.
   */
  readonly choosesKeys?: "own" | "before";
  /** The same of blocks of keys, which each key/value head chooses. Left out: none does. */
  readonly choosesBlocks?: true;
  /** So many tokens make one key more, with `ModelConfig.compression`. Left out: none do. */
  readonly keyRatio?: 4 | 128;
  /** It attends to groups of so many positions, which `ModelConfig.groupIndexer` chooses. */
  readonly groupRatio?: number;
  /** Turns back what heads give, whose values are turned keys. Left out: nothing does. */
  readonly backRope?: number;
  /** It keeps a state space. Left out: it does not. */
  readonly hasStates?: true;
  /** So much of what neurons give is added, behind their norm. Left out: all of it. */
  readonly neuronShare?: number;
  /** False: it has no neurons. Left out: it has. */
  readonly hasNeurons?: false;
  /** Of its experts' neurons, and of the shared expert's and a dense block's; null: no limit. */
  readonly limits?: {
    readonly experts: SwigluLimit | null;
    readonly others: SwigluLimit | null;
  };
  /** Of its neurons' xIELU. Left out: they have another activation. */
  readonly curve?: XieluCurve;
  /** What is not as in the other layers, instead of the model's: `configOf`. Left out: nothing. */
  readonly shape?: LayerShape;
  /** It reads the keys and values of that layer before it, and has none. Left out: its own. */
  readonly keysOf?: number;
  /**
   * Gates count as what they are above the mean of all gates and so many standard deviations more,
   * and as 0 below it. Left out: as they are.
   */
  readonly gateCutoff?: number;
  /** Left out: there is no source apart from what is written. */
  readonly stage?: SourceStage;
  /** Number of the file's block that it is. Left out: its own. */
  readonly block?: number;
  /**
   * It ends a pass through layers that are used several times, or through those that read a source:
   * what it leaves is normalised. Stream null: that goes on; else it is that one of the kept
   * streams from now on, and their sum goes on.
   */
  readonly passEnd?: { readonly stream: 0 | 1 | null };
}

/**
 * Of a model that answers a source. "reads": what the layer reads is the source, all of it at once.
 * "writes": it attends to what is answered already. "asks": it attends to the source, whose keys
 * and values it makes of what the reading layers leave.
 */
export type SourceStage = "reads" | "writes" | "asks";

/**
 * Numbers of a model that are another one's in some layers; latents, what multiplies scores, and
 * how many experts a token uses, are in a few families. Left out: as in the others.
 */
export type LayerShape =
  & Pick<
    ModelConfig,
    "headCount" | "headDim" | "valueDim" | "headCountKv" | "feedForwardLength"
  >
  & Partial<Pick<ModelConfig, "latent" | "attentionScale" | "experts">>;

/** Of a layer that control vectors steer. */
export interface SteeredLayer {
  /** [d]: added to the residual stream behind the layer, for every token. Left out: nothing is. */
  readonly direction?: VectorTensor;
}
