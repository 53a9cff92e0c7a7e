/** What sets the files of one family of tiny models apart from another's. */
import type { StoredValue } from "../../src/gguf/mod.ts";

/** How the files of a family differ from Llama's. What is left out is like Llama's. */
export interface TinyFamily {
  /** `general.architecture`; left out: the name of the family. */
  readonly architecture?: string;
  readonly blockCount?: number;
  /** Behind the blocks there is one more, like the last one or dense, which guesses tokens. */
  readonly guesses?: true | "dense";
  readonly embeddingLength?: number;
  /** Left out: half of the heads. */
  readonly headCountKv?: number;
  /** Left out: width over heads. */
  readonly headDim?: number;
  /** Of values; left out: as keys. */
  readonly valueDim?: number;
  readonly contextLength?: number;
  /** Of a dense block. */
  readonly feedForwardLength?: number;
  readonly tied?: boolean;
  /** Norms with biases that take the mean away. */
  readonly layerNorm?: boolean;
  /** False: norms of the residual stream have no weights. */
  readonly normWeights?: boolean;
  /** Embeddings are normalised. */
  readonly embeddingNorm?: boolean;
  /** Left out: norms have biases that take the mean away, others have none. */
  readonly normBiases?: boolean;
  /** Norms before the blocks; left out: true. */
  readonly preNorms?: boolean;
  readonly postNorms?: boolean;
  /** Whole names of the norms behind both blocks; left out: the usual ones. */
  readonly postNormNames?: readonly [attention: string, feedForward: string];
  /** What the norm of the feed-forward block is called; left out: ffn_norm. */
  readonly feedForwardNorm?: string;
  /** Its name has no ".weight" at the end. */
  readonly hasBareNorm?: boolean;
  /** Heads are gated; "turns": queries' rows lie in turns with those of gates. */
  readonly gates?: "turns" | "apart" | "perHead";
  /** Weights of [headDim], [heads · headDim], or [heads, headDim]. */
  readonly headNorms?: "shared" | "projection" | "perHead";
  /** Norms of heads have biases. */
  readonly headBiases?: boolean;
  /** Each head of queries has a number instead of weights. */
  readonly headGains?: boolean;
  /** Layers have a factor of the embedding; "all": and of what blocks give. */
  readonly blockScales?: "embedding" | "all";
  /** What a second stream begins with. */
  readonly secondStream?: boolean;
  readonly fusedQkv?: boolean;
  /** Names after "blk.N." of tensors that have biases. */
  readonly biases?: readonly string[];
  /** What heads and neurons give is normalised. */
  readonly innerNorms?: boolean;
  /** Heads have sinks, in all layers or in some. */
  readonly sinks?: boolean | readonly boolean[];
  /** "fused": gate and up in one tensor; "plain": no gate. Left out: two tensors. */
  readonly neurons?: "fused" | "plain";
  /** One norm feeds both blocks; "two": there is another one, of attention. */
  readonly parallel?: boolean | "two";
  /** The output has a bias. */
  readonly outputBias?: boolean;
  readonly experts?: {
    readonly count: number;
    readonly used: number;
    readonly length: number;
    /** Neurons of the shared expert. */
    readonly shared?: number;
    /** It has no gate. */
    readonly isPlain?: boolean;
    /** Its matrices are called as those of a dense block, which it is beside the experts. */
    readonly isDense?: boolean;
    /** So, and it, the experts and the router have norms of their own, experts scales. */
    readonly isApart?: boolean;
    /** Gates and ups of experts, and those of the shared one, lie in one tensor. */
    readonly isFused?: boolean;
    /** The router has a bias of the choice. */
    readonly hasChoiceBias?: boolean;
    /** Its whole name; left out: exp_probs_b.bias. */
    readonly choiceBias?: string;
    /** The first so many layers are dense. */
    readonly leading?: number;
    /** One of so many layers mixes; left out: all. */
    readonly period?: number;
    /** Only these layers have experts. */
    readonly layers?: readonly number[];
    /** Neurons have no gates. */
    readonly isUngated?: boolean;
    /** Router, gates, ups and downs have biases; or all but the router. */
    readonly hasBiases?: boolean | "apartFromRouter";
    /** The router and the experts read a norm of the layer's input. */
    readonly hasInputNorm?: boolean;
    /** So many neighbours have a small expert in common, of so many neurons. */
    readonly companions?: { readonly groupSize: number; readonly length: number };
    /** They read so many numbers made of the stream. */
    readonly latent?: number;
    /** Nemotron's tensors make these, and their sum is not normalised. */
    readonly isNemotrons?: boolean;
    /** Neurons of one by layer; left out: `length`. */
    readonly lengths?: readonly number[];
    /** A tensor for each expert, as until 2024. */
    readonly isOld?: boolean;
  };
  /** Keys and values are made of latents. */
  readonly latent?: {
    readonly length: number;
    readonly turned: number;
    readonly plain: number;
    readonly value: number;
    /** Of what queries are made of; left out: queries are made at once. */
    readonly query?: number;
    /**
     * An indexer has so many heads, of so many dimensions, and chooses so many keys (left out: 256,
     * which are all), in these layers (left out: in all).
     */
    readonly indexer?: {
      readonly heads: number;
      readonly headDim: number;
      readonly keys?: number;
      readonly choosers?: readonly boolean[];
    };
    /** One tensor makes keys and values, as until 2025. */
    readonly isOld?: boolean;
    /** The turned part of keys is normalised. */
    readonly turnedNorm?: boolean;
    /** For each layer whether it has a window; those that do have other latents, and no indexer. */
    readonly windowed?: {
      readonly layers: readonly boolean[];
      readonly heads: number;
      readonly length: number;
      readonly plain: number;
      readonly value: number;
    };
  };
  /**
   * Keys are compressed, of so many tokens by layer (0: none are); the first so many layers list
   * the experts of tokens.
   */
  readonly compression?: {
    readonly ratios: readonly number[];
    /** Of what queries are made of. */
    readonly query: number;
    readonly groups: number;
    readonly groupLength: number;
    readonly indexer: Readonly<Record<"heads" | "headDim" | "keys", number>>;
    readonly rounds: number;
    readonly listed: number;
  };
  /** So many residual streams lie side by side, as Hunyuan 4's do. */
  readonly streams?: number;
  /** Streams are gated; the first layer looks up what several tokens name; layers choose groups. */
  readonly gated?: {
    readonly rank: number;
    /** Positions of a group, by layer. */
    readonly ratios: readonly number[];
    readonly indexer: Readonly<Record<"heads" | "headDim" | "keys", number>>;
    /** Left out: nothing is looked up. */
    readonly ngrams?: { readonly length: number; readonly heads: number; readonly taps: number };
  };
  /** Layers have matrices for images, which are like those of texts. */
  readonly hasImageMatrices?: boolean;
  /** Layers behind the leading ones choose blocks of keys, by so many heads. */
  readonly blockIndexer?: { readonly heads: number; readonly headDim: number };
  /** Some layers convolve over so many tokens; for each layer whether it attends instead. */
  readonly convolution?: { readonly taps: number; readonly attends: readonly boolean[] };
  /** Layers that keep state spaces; "both": beside heads. */
  readonly stateSpace?: {
    readonly inner: number;
    readonly state: number;
    /** Heads; without groups: of what steps are made of. */
    readonly rank: number;
    /** Left out: channels have decays of their own. */
    readonly groups?: number;
    readonly layers: readonly ("state" | "heads" | "both" | "neurons")[];
    /**
     * States are corrected; `rank` counts heads. "mixed": rates and steps are one tensor; "keys":
     * as Kimi Linear's are.
     */
    readonly deltas?: "apart" | "mixed" | "keys";
    /** What one matrix makes of Kimi Linear's two, as its tensor is called. */
    readonly whole?: { readonly steps?: string; readonly gate?: string };
    /** Numbers of heads that say how fast states decay are above 0. */
    readonly hasSpeeds?: boolean;
    /** They have one dimension. */
    readonly isFlat?: boolean;
    /** Layers with a state or heads have no neurons. */
    readonly isApart?: boolean;
    /** False: what comes out is not normalised. */
    readonly hasNorm?: boolean;
    /** What channels make is normalised, with weights or without. */
    readonly normalizes?: "weighted" | "bare";
    /** Channels make it for heads, of which there are `rank`. */
    readonly isOfHeads?: boolean;
    /** States are MiniMax 01's: nothing but weights says how they fade. */
    readonly isLightning?: boolean;
  };
  /** Layers are RWKV-7's. */
  readonly timeMix?: {
    readonly headDim: number;
    /** Gate 0: there is none. */
    readonly ranks: Readonly<Record<"decay" | "rate" | "value" | "gate", number>>;
    /** Neurons are RWKV's, too. */
    readonly shiftsNeurons?: boolean;
    /** False: what heads give is not normalised. */
    readonly hasNorm?: boolean;
    /** They are RWKV-6's, and so many numbers move their shares. */
    readonly moved?: {
      readonly rank: number;
      readonly keyHeads?: number;
      readonly isOld?: boolean;
    };
  };
  /** Layers that differ, as Gemma 4's do. */
  readonly layered?: {
    /** For each layer whether it has a window. */
    readonly windowed: readonly boolean[];
    /** Of heads of windowed layers. */
    readonly windowedDim: number;
    /** By layer; left out: as the model. */
    readonly headsKv?: readonly number[];
    readonly neurons?: readonly number[];
    /** So many, the last ones, have no keys and values. */
    readonly sharing?: number;
    /** They have tensors of some all the same. */
    readonly keepsKeys?: boolean;
    /** Layers that see everything make values of what keys are made of. */
    readonly valuesAreKeys?: boolean;
    /** Of what tokens give layers. */
    readonly inputLength?: number;
    /** As Gemma 3n: so many residual streams, rows around attention, deviations by layer. */
    readonly altUp?: {
      readonly streams: number;
      readonly rank: number;
      readonly cutoffs: readonly number[];
    };
  };
  /** Numbers of layers that differ in nothing else; 0: they have none. */
  readonly uneven?: {
    readonly heads: readonly number[];
    readonly headsKv: readonly number[];
    readonly neurons: readonly number[];
  };
  /** What the last norm is called; left out: output_norm. */
  readonly outputNorm?: string;
  /** It has neither a last norm of its own nor an output. */
  readonly isEncoder?: boolean;
  /** Blocks read the stream as it was before, too. */
  readonly keepsInputs?: boolean;
  /** Tensors are called as T5's are, and scores have biases by distance in so many buckets. */
  readonly scoreBuckets?: number;
  /** So many blocks more write an answer to what the others read. */
  readonly writingBlocks?: number;
  /** Rows of a table of kinds of tokens. */
  readonly tokenKinds?: number;
  /** Norms are of sums, and the last of these is the model's last one. */
  readonly sumNorms?: boolean;
  /** The first layer's attention reads what comes in as it is. */
  readonly lacksFirstNorm?: boolean;
  /** Behind a text's vector: rows of matrices that score it, and of some that make another. */
  readonly ranker?: {
    readonly dense?: number;
    readonly output: number;
    readonly hasNorm?: boolean;
    readonly hasBiases?: boolean;
  };
  readonly projections?: readonly number[];
  readonly learnedPositions?: boolean;
  /** Left out: all dimensions of a head. */
  readonly rotatedDims?: number;
  /** Tensors of rotary factors for short and long contexts. */
  readonly longRope?: boolean;
  /**
   * What the family multiplies embeddings by. Tied ones are that much smaller here, and the last
   * norm that much larger: otherwise every token would answer with itself.
   */
  readonly embeddingScale?: number;
  /** Keys with their whole names. */
  readonly wholeKeys?: Readonly<Record<string, StoredValue>>;
  /** Keys without "<architecture>.". */
  readonly keys?: Readonly<Record<string, StoredValue>>;
}
