/**
 * What a rank is to hold and where: plain data, made once before anything is allocated, posted to
 * the rank's thread, printable. Offsets are byte addresses in the arena they belong to.
 */
import type { ArenaPlan } from "../memory/arena.ts";
import type { Range, Shard } from "./shard.ts";
import type { WeightType } from "./weight_types.ts";

/** Types of a cached key or value element. */
export type KvType = "f16" | "f32";

/** A block of a matrix in packed rows: [rows, columns] of the tensor. */
export interface MatrixPlan {
  readonly tensor: string;
  readonly type: WeightType;
  readonly rows: Range;
  readonly columns: Range;
  readonly offsetBytes: number;
  readonly rowStrideBytes: number;
}

/** A piece of a vector, kept as f32. */
export interface VectorPlan {
  readonly tensor: string;
  readonly range: Range;
  readonly offsetBytes: number;
}

/** A layer's share: it lies in one arena as a whole. */
export interface LayerPlan {
  readonly arena: number;
  readonly attentionNorm: VectorPlan;
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly queryBias: VectorPlan | null;
  readonly keyBias: VectorPlan | null;
  readonly valueBias: VectorPlan | null;
  readonly attentionOutput: MatrixPlan;
  readonly feedForwardNorm: VectorPlan;
  readonly gate: MatrixPlan;
  readonly up: MatrixPlan;
  readonly down: MatrixPlan;
  /** Keys [contextLength, kvHeads, headDim] in the cache's type. */
  readonly keysOffsetBytes: number;
  readonly valuesOffsetBytes: number;
}

/**
 * Where a step's intermediates are. n = tokens of a step; all f32 unless said. Strides are in
 * elements; columns behind the width are zero where a matrix product reads them.
 */
export interface WorkspacePlan {
  /** Residual stream, [n, embeddingStride]. */
  readonly residual: number;
  /** Normalised residual, [n, embeddingStride], and the same as q8 tiles. */
  readonly normed: number;
  readonly normedQ8: number;
  /** [n, heads · headDim], [n, kvHeads · headDim] twice. */
  readonly query: number;
  readonly key: number;
  readonly value: number;
  /** [n, attentionStride], and as q8 tiles. */
  readonly attention: number;
  readonly attentionQ8: number;
  /** [n, neurons] each. */
  readonly gate: number;
  readonly up: number;
  /** act(gate) · up, [n, hiddenStride], and as q8 tiles. */
  readonly hidden: number;
  readonly hiddenQ8: number;
  /** This rank's partial sums of the residual update, [n, embeddingStride]; used in turns. */
  readonly partials: readonly [number, number];
  /** A copy of another rank's partial sum, [n, embeddingStride]. */
  readonly incoming: number;
  /** Cosines and sines, [n, rotated dimensions]. */
  readonly rope: number;
  /** Scratch of the attention kernel, bytes. */
  readonly scratch: number;
  /** Logits of this rank's vocabulary rows, [logitsRows, vocab rows]. */
  readonly logits: number;
}

/** Element strides shared by all arenas of a rank. */
export interface WorkspaceStrides {
  readonly embedding: number;
  readonly attention: number;
  readonly hidden: number;
}

export interface RankPlan {
  readonly rankIndex: number;
  readonly rankCount: number;
  readonly shard: Shard;
  readonly arenas: readonly ArenaPlan[];
  /** One per arena. */
  readonly workspaces: readonly WorkspacePlan[];
  readonly strides: WorkspaceStrides;
  /** Rows of the embedding table, in arena 0. */
  readonly embedding: MatrixPlan;
  readonly layers: readonly LayerPlan[];
  readonly outputArena: number;
  readonly outputNorm: VectorPlan;
  /** Equals `embedding` when the model ties them. */
  readonly output: MatrixPlan;
  /** One per arena: where file bytes land before they are repacked. */
  readonly stagingOffsets: readonly number[];
  readonly stagingBytes: number;
  /** Most tokens of one step. */
  readonly chunkTokens: number;
  /** Most tokens of one step that logits can be asked for. */
  readonly logitsRows: number;
  readonly contextLength: number;
  readonly kvType: KvType;
}
