/**
 * What a rank is to hold and where: plain data, made once before anything is allocated, posted to
 * the rank's thread, printable. Offsets are byte addresses in the arena they belong to.
 */
import type { GuessPlan, GuessSpace } from "./plan_guess.ts";
import type { DensePlan, ExpertsPlan, SteppedDensePlan, StreamedPlan } from "./plan_blocks.ts";
import type { ArenaPlan } from "../../memory/arena.ts";
import type { GpuPlan, LongSteps } from "./gpu_plan_types.ts";
import type { AdaptersPlan, AddedWorkspace } from "./plan_added.ts";
import type { AltUpPlan, LayerAltUpPlan } from "./plan_alt_up.ts";
import type { LayerInputPlan, TokenInputsPlan } from "./plan_inputs.ts";
import type { BlockIndexerPlan } from "./plan_block_indexer.ts";
import type { ConformerPlan, SubsamplingPlan } from "./plan_conformer.ts";
import type { CompressedPlan, CompressedWorkspace } from "./plan_compressed.ts";
import type { GatedLayerPlan, GatedMixPlan, GatedWorkspace } from "./plan_gated.ts";
import type { HyperPlan, LayerHyperPlan } from "./plan_hyper.ts";
import type { GatePlan } from "./plan_gate.ts";
import type { NetworkPlan } from "./plan_network.ts";
import type { HeadNormPlan, NormPlan } from "./plan_norm.ts";
import type { IndexerWorkspace } from "./plan_indexer.ts";
import type { IntermediatesPlan } from "./intermediates_types.ts";
import type { LatentPlan, LatentWorkspace } from "./plan_latent.ts";
import type { LimitedWorkspace } from "./plan_limits.ts";
import type { ProjectorPlan, ProjectorWorkspace } from "./plan_projector.ts";
import type { OffsetsPlan } from "./plan_offsets.ts";
import type { StateSpacePlan, StateWorkspace } from "./plan_state.ts";
import type { NeuronGatePlan } from "./plan_neuron_gate.ts";
import type { FinchPlan } from "./plan_finch.ts";
import type { KeyDeltaPlan } from "./plan_key_deltas.ts";
import type { LightningPlan } from "./plan_lightning.ts";
import type { TimeMixPlan } from "./plan_time_mix.ts";
import type { RoutingWorkspacePlan } from "./routing_types.ts";
import type { Range, Shard } from "./shard.ts";
import type { StreamPlan, StreamWorkspacePlan } from "./stream_types.ts";
import type { MatrixPlan, VectorPlan } from "./matrix_types.ts";

export type * from "./plan_blocks.ts";
export type * from "./intermediates_types.ts";
export type * from "./matrix_types.ts";
export type * from "./routing_types.ts";
export type { HeadNormPlan, NormPlan } from "./plan_norm.ts";

/** Types of a cached key or value element; i16 has a scale per head and position. */
export type KvType = "i16" | "f32";

/** A layer's share: it lies in one arena as a whole, or on the GPU. */
export interface LayerPlan {
  readonly arena: number;
  readonly heads: Range;
  /** The key/value heads that `heads` read. */
  readonly kvHeads: Range;
  readonly attentionNorm: NormPlan | null;
  /** Null, as the output is, where the layer neither attends nor convolves. */
  readonly query: MatrixPlan | null;
  readonly key: MatrixPlan | null;
  readonly value: MatrixPlan | null;
  /** Null: heads have keys and values of their own; it chooses no blocks of keys. */
  readonly latent: LatentPlan | null;
  readonly blockIndexer: BlockIndexerPlan | null;
  /** Null: keys are of single tokens. */
  readonly compressed: CompressedPlan | null;
  readonly queryNorm: HeadNormPlan | null;
  readonly keyNorm: HeadNormPlan | null;
  readonly valueNorm: HeadNormPlan | null;
  /** [own heads], or null. */
  readonly attentionSinks: VectorPlan | null;
  /** By places in an image; null: none. */
  readonly offsets: OffsetsPlan | null;
  /** Null: the layer attends. weights: [taps, channels], own ones, as many as queries have. */
  readonly convolution: { readonly taps: number; readonly weights: VectorPlan } | null;
  /** Null: the layer is no conformer's, or is of neurons alone. */
  readonly conformer: ConformerPlan | null;
  /** Makes what own heads are gated by; null: they are not. */
  readonly attentionGate: GatePlan | null;
  /** Weights of the norm of what own heads give; null: none. */
  readonly innerNorm: VectorPlan | null;
  readonly attentionOutput: MatrixPlan | null;
  /** Null: the layer keeps none; then those of RWKV-7, RWKV-6, Kimi Linear and MiniMax 01. */
  readonly stateSpace: StateSpacePlan | null;
  readonly timeMix: TimeMixPlan | null;
  readonly finch: FinchPlan | null;
  readonly keyDeltas: KeyDeltaPlan | null;
  readonly lightning: LightningPlan | null;
  readonly attentionPostNorm: NormPlan | null;
  readonly feedForwardNorm: NormPlan | null;
  /** How much of what neurons read is the row before; null: nothing. */
  readonly feedForwardShift: VectorPlan | null;
  /** Of what neurons give; null: it is as it is. */
  readonly neuronGate: NeuronGatePlan | null;
  /** Null: the layer has no neurons. */
  readonly feedForward: DensePlan | StreamedPlan | ExpertsPlan | null;
  /** More neurons of a dense block, which are computed in some steps only. */
  readonly steppedNeurons: readonly SteppedDensePlan[];
  readonly feedForwardPostNorm: NormPlan | null;
  /** Of what the token gives it; null: nothing. */
  readonly input: LayerInputPlan | null;
  /** Null: there is one residual stream. */
  readonly altUp: LayerAltUpPlan | null;
  /** Null: it mixes no streams. */
  readonly hyper: LayerHyperPlan | null;
  /** Null: streams are not gated. */
  readonly gated: GatedLayerPlan | null;
  /** [1]: multiplies the residual stream at its end; or null. */
  readonly outputScale: VectorPlan | null;
  /** [1] each, or null: of what attention and neurons give, and of the embedding at its end. */
  readonly attentionScale: VectorPlan | null;
  readonly feedForwardScale: VectorPlan | null;
  readonly embeddingScale: VectorPlan | null;
  /** [d] each, or null: of what attention and neurons give, number by number. */
  readonly attentionGains: VectorPlan | null;
  readonly feedForwardGains: VectorPlan | null;
  /** Null: it ends no pass. */
  readonly endNorm: NormPlan | null;
  /** [d]: added to the residual stream behind all of it, for every token; or null. */
  readonly direction: VectorPlan | null;
  /** Its weights are another layer's, which loads them. */
  readonly sharesWeights: boolean;
  /** Number of the layer whose keys it reads, and has below; null: its own. */
  readonly keysOf: number | null;
  /** Blocks of keys, values, and what is kept beside them; or rings, and ends: src/memory. */
  readonly keysOffsetBytes: number;
  readonly valuesOffsetBytes: number;
  readonly indexedKeysOffsetBytes: number;
}

/**
 * Where a step's intermediates are. n = tokens of a step; all f32 unless said. Strides are in
 * elements; columns behind the width are zero where a matrix product reads them.
 */
export interface WorkspacePlan {
  /** All of them by name, and what sharing saves. */
  readonly intermediates: IntermediatesPlan;
  /** Where file bytes land before they are repacked, until all weights are loaded. */
  readonly staging: number;
  /** Residual stream, [n, strides.embedding]; of several the one that the layer computes with. */
  readonly residual: number;
  /**
   * Where there are several: all of them, [streams, chunkTokens, strides.embedding]; of one token,
   * [streams, strides.embedding]; numbers that mix them: alt_up.ts; what goes around attention,
   * [n, strides.embedding], and what it is made of, [n, bypassStride].
   */
  readonly streams: number;
  readonly streamsOfOne: number;
  /** The same of streams that layers mix: of one token, and numbers: hyper_streams.ts. */
  readonly hyperOne: number;
  readonly hyperWords: number;
  readonly streamWords: number;
  readonly around: number;
  readonly bypass: number;
  /** Normalised residual, [n, strides.embedding], and the same as q8 tiles. */
  readonly normed: number;
  readonly normedQ8: number;
  /** [n, heads · headDim], [n, kvHeads · headDim] twice. */
  readonly query: number;
  readonly key: number;
  readonly value: number;
  readonly latent: LatentWorkspace | null;
  /** Null: keys are of single tokens. */
  readonly compressed: CompressedWorkspace | null;
  readonly gated: GatedWorkspace | null;
  readonly indexer: IndexerWorkspace | null;
  /** What heads are gated by, [n, attentionStride]. */
  readonly attentionGate: number;
  /** [n, attentionStride], and as q8 tiles. */
  readonly attention: number;
  readonly attentionQ8: number;
  /** Null where no layer keeps states. */
  readonly states: StateWorkspace | null;
  /**
   * Σ squares of own queries and of own keys, or of what own heads and own neurons give, [2, n],
   * read by all ranks; then factors, [2, n].
   */
  readonly squares: number;
  /** [n, neurons] each; neurons of the dense block or of the largest expert. */
  readonly gate: number;
  readonly up: number;
  /** Mean and squares of own gates, f64 [n, 2], read by all ranks: gate_cutoff.ts. */
  readonly gateMoments: number;
  /** Which neurons fire, u32 [neurons], and what was counted so far: counts.ts. */
  readonly fired: number;
  readonly counts: number;
  /**
   * What predictors have between their matrices, [n, predictorStride], or a row for each route of
   * a token to an expert; this rank's part of it is read by all ranks. And [n] of it as q8 tiles.
   */
  readonly predictor: number;
  readonly predictorQ8: number;
  /** How well they predict, and which are used, f64 [layers, 4]: predictors.ts. */
  readonly recall: number;
  /** One of a few tokens by itself, [strides.embedding], and as q8 tiles; numbers 0, 1, …, u32. */
  readonly alone: number;
  readonly aloneQ8: number;
  readonly tokens: number;
  /** Scratch of products with neurons' rows; empty where no matrix lies so. */
  readonly neuronScratch: number;
  /** Rows of F16 and BF16 as f32, where steps are long: matrix.ts; 0: none. */
  readonly widened: number;
  /** Zeros where no matrix has limits. */
  readonly limited: LimitedWorkspace;
  /** What neurons give, [n, hiddenStride], and as q8 tiles. */
  readonly hidden: number;
  readonly hiddenQ8: number;
  /** This rank's partial sums of the residual update, [n, strides.embedding]; used in turns. */
  readonly partials: readonly [number, number];
  /** A copy of another rank's partial sum, [n, strides.embedding]. */
  readonly incoming: number;
  /** What experts read where it is a norm of the layer's input, [n, strides.embedding]. */
  readonly early: number;
  /** What the shared expert gives where it is normalised apart, [n, strides.embedding]. */
  readonly beside: number;
  /** What tokens give own layers, [n, own layers · numbers], read by all ranks; in arena 0. */
  readonly tokenInputs: number;
  /** Cosines and sines, [n, rotated dimensions], one table per rotary embedding of the model. */
  readonly ropes: readonly number[];
  /** Which blocks of keys and values sequences have, u32 [sequences, tableBlocks]: kv_bytes.ts. */
  readonly tables: number;
  /** Weights of norms that have none, f32 [widest]; 0: all have some. */
  readonly ones: number;
  /**
   * How fast scores of each of the model's heads fall, f32 [heads], or their biases by distance,
   * [heads, BIAS_SPAN]; 0: neither.
   */
  readonly slopes: number;
  /** Null: nothing guesses. */
  readonly guess: GuessSpace | null;
  /** Scratch of the attention kernel, bytes. */
  readonly scratch: number;
  /** Where rows see all others by distance, plan_conformer.ts; or in an image, `OffsetPlaces`. */
  readonly relative: number;
  readonly inGrid: number;
  /** Logits of this rank's vocabulary rows, [logitsRows, logitsStride]. */
  readonly logits: number;
  /** Ids that may be chosen, u32 [vocab]; empty but on the rank that leads. */
  readonly candidates: number;
  /** Patches of an image, [n, patch length], in arena 0; of a tower. */
  readonly patches: number;
  /** Between two convolutions: rows, [rows, strides.embedding], and their windows side by side. */
  readonly convolved: number;
  readonly windows: number;
  /** Of a plane's convolutions: what the second one gives, and tiles of what makes rows. */
  readonly convolvedAgain: number;
  readonly convolvedQ8: number;
  /** Null where there is none: of a tower `logits` are its sums, [rows, logitsStride]. */
  readonly projector: ProjectorWorkspace | null;
  /** Null where no layer has experts. */
  readonly routing: RoutingWorkspacePlan | null;
  /** Null where adapters add nothing to products. */
  readonly added: AddedWorkspace | null;
  /** Null unless the model is a packed one. */
  readonly stream: StreamWorkspacePlan | null;
}

/** Element strides shared by all arenas of a rank. */
export interface WorkspaceStrides {
  readonly embedding: number;
  readonly attention: number;
  readonly hidden: number;
  /**
   * This rank's vocabulary rows; all of the vocabulary on the rank that leads, which puts the
   * others' logits behind its own, where it computed them. Of a tower what comes out.
   */
  readonly logits: number;
  /** Of the largest predictor; 0 where there is none. */
  readonly predictor: number;
  /** Of what state spaces give; 0 where there are none. */
  readonly states: number;
  /** Of what goes around attention; 0 where nothing does. */
  readonly bypass: number;
}

export interface RankPlan {
  readonly rankIndex: number;
  readonly rankCount: number;
  /** Its share of tables, and of layers of which a GPU has nothing. */
  readonly shard: Shard;
  /** What lies on a GPU instead of in arenas: everything but what ends the joins. Null: nothing. */
  readonly gpu: GpuPlan | null;
  /** Layers whose neurons are all the GPU's in long steps, whoever has them in others. */
  readonly longSteps: LongSteps | null;
  readonly arenas: readonly ArenaPlan[];
  /** One per arena. */
  readonly workspaces: readonly WorkspacePlan[];
  readonly strides: WorkspaceStrides;
  /** Rows of the embedding table, in arena 0; or where some of them are brought at a time. */
  readonly embedding: MatrixPlan;
  /** Of a tower: what patches are multiplied by, too. Null: nothing. */
  readonly secondFrame: MatrixPlan | null;
  /** Of what patches give, in arena 0. Null: there is none. */
  readonly patchNorm: NormPlan | null;
  /** Of patches themselves. */
  readonly pixelNorm: NormPlan | null;
  /** The second of two convolutions, of which `embedding` is the first. Null: there is none. */
  readonly secondConvolution: MatrixPlan | null;
  /** As `ModelTensors.planeMatrices`; empty where there are none. */
  readonly planeMatrices: readonly MatrixPlan[];
  readonly subsampling: SubsamplingPlan | null;
  readonly network: NetworkPlan | null;
  /** The table, where it stays in a packed file; null: all own rows of it are in memory. */
  readonly embeddingInFile: RowsInFile | null;
  /** What tokens give layers; null: nothing. */
  readonly tokenInputs: TokenInputsPlan | null;
  /** Null: there is one residual stream. */
  readonly altUp: AltUpPlan | null;
  /** What makes one of streams that layers mix, in arena 0; null: they mix none. */
  readonly hyperEnd: HyperPlan | null;
  readonly gatedEnd: GatedMixPlan | null;
  /** What the second of two kept streams begins with, in arena 0; or null. */
  readonly secondStream: VectorPlan | null;
  /** Rows of the learned positions, in arena 0, or null. */
  readonly positions: MatrixPlan | null;
  /** Behind those of the model there is the guessing one, if any. */
  readonly layers: readonly LayerPlan[];
  /** Null: nothing guesses what comes behind the next token. */
  readonly guess: GuessPlan | null;
  /** The norm before the output of a guess, in `outputArena`; null: `outputNorm`. */
  readonly guessNorm: NormPlan | null;
  readonly outputArena: number;
  readonly embeddingNorm: NormPlan | null;
  /** What every token's embedding has more; null: nothing. */
  readonly tokenKind: VectorPlan | null;
  readonly outputNorm: NormPlan | null;
  /** Equals `embedding` when the model ties them; so it does in a tower, which has a projector. */
  readonly output: MatrixPlan;
  /** In `outputArena`; null: logits come out. */
  readonly projector: ProjectorPlan | null;
  /** Of file bytes that are repacked at a time. */
  readonly stagingBytes: number;
  /** Most tokens of one step. */
  readonly chunkTokens: number;
  /** Most tokens of one step that logits can be asked for. */
  readonly logitsRows: number;
  readonly contextLength: number;
  /** Sequences whose keys and values can be in memory at once, and be in one step. */
  readonly sequences: number;
  /** Blocks of keys and values that they share. */
  readonly kvBlocks: number;
  /** Places of states that they share; 0: no layer keeps any. */
  readonly statePlaces: number;
  readonly kvType: KvType;
  /** Neurons that do not fire are not computed, where a step is one token. */
  readonly isSparse: boolean;
  /** That add to products as tokens are computed; null: none do. */
  readonly adapters: AdaptersPlan | null;
  /** Null unless the model is a packed one. */
  readonly stream: StreamPlan | null;
}

/** Own rows of a table that stay in a packed file, one behind the other. */
export interface RowsInFile {
  readonly fileOffsetBytes: number;
  readonly fileRowBytes: number;
  /** So many are in memory at a time. */
  readonly rowsAtOnce: number;
  /** Where they land before they are packed, [rowsAtOnce, fileRowBytes]. */
  readonly rawOffsetBytes: number;
}
