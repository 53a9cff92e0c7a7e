/**
 * Plans of gated residual streams, of what chooses groups of keys, and of rows that several tokens
 * name: whole on every rank, groups on those with heads. Pure arithmetic.
 */
import { alignUp } from "../../base/check.ts";
import { POSITION_AXES } from "../../memory/control_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../memory/kv_layout.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type {
  GatedMixTensors,
  GroupIndexerTensors,
  NgramTensors,
} from "../../model/gated_types.ts";
import type { LayerTensors, ModelConfig } from "../../model/types.ts";
import { N } from "../../shapes/mod.ts";
import { kvBytes, tableBlocks } from "./kv_bytes.ts";
import type { IndexerSizes } from "./plan_indexer.ts";
import type { Placer } from "./plan_layer.ts";
import type { KvType, MatrixPlan, VectorPlan, WorkspaceStrides } from "./plan_types.ts";
import type { StepGraphInput, StepTensor } from "./step_graph.ts";

/** `GatedMixTensors`. */
export interface GatedMixPlan {
  readonly norm: VectorPlan;
  readonly down: MatrixPlan;
  readonly up: MatrixPlan;
  readonly inject: MatrixPlan | null;
}

/** `GroupIndexerTensors`. */
export interface GroupIndexerPlan {
  readonly query: MatrixPlan;
  readonly key: MatrixPlan;
  readonly queryNorm: VectorPlan;
  readonly keyNorm: VectorPlan;
}

/** `NgramTensors`; the table stays in the file. */
export interface NgramPlan {
  readonly table: string;
  readonly key: MatrixPlan;
  readonly value: MatrixPlan;
  readonly keyNorm: VectorPlan;
  readonly queryNorm: VectorPlan;
  readonly valueNorm: VectorPlan;
  readonly convolution: VectorPlan;
}

/** What a layer of such a model has. */
export interface GatedLayerPlan {
  readonly attention: GatedMixPlan;
  readonly feedForward: GatedMixPlan;
  /** Null: the layer chooses no groups. */
  readonly groupIndexer: GroupIndexerPlan | null;
  /** Null: before this layer nothing is looked up. */
  readonly ngrams: NgramPlan | null;
}

/** Null: streams are not gated. */
export function planGated(
  place: Placer,
  { gated, groupIndexer, ngrams }: LayerTensors,
  hasHeads: boolean,
): GatedLayerPlan | null {
  return gated === undefined ? null : {
    attention: planGatedMix(place, gated.attention),
    feedForward: planGatedMix(place, gated.feedForward),
    groupIndexer: groupIndexer ? planGroupIndexer(place, groupIndexer, hasHeads) : null,
    ngrams: ngrams ? planNgrams(place, ngrams) : null,
  };
}

/** How much goes to streams is a matrix of few rows: a quantised type is kept as floats. */
export function planGatedMix(
  place: Placer,
  { norm, down, up, inject }: GatedMixTensors,
): GatedMixPlan {
  return {
    norm: place.vector(norm),
    down: place.matrix(down, {}),
    up: place.matrix(up, {}),
    inject: inject && place.matrix(inject, { isFloat: true }),
  };
}

function planGroupIndexer(
  place: Placer,
  { query, key, queryNorm, keyNorm }: GroupIndexerTensors,
  hasHeads: boolean,
): GroupIndexerPlan {
  const part = hasHeads ? {} : { rows: { start: 0, end: 0 } };
  return {
    query: place.matrix(query, part),
    key: place.matrix(key, part),
    ...{ queryNorm: place.vector(queryNorm), keyNorm: place.vector(keyNorm) },
  };
}

function planNgrams(place: Placer, tensors: NgramTensors): NgramPlan {
  return {
    table: tensors.table.tensor,
    key: place.matrix(tensors.key, {}),
    value: place.matrix(tensors.value, {}),
    keyNorm: place.vector(tensors.keyNorm),
    queryNorm: place.vector(tensors.queryNorm),
    valueNorm: place.vector(tensors.valueNorm),
    convolution: place.vector(tensors.convolution),
  };
}

/** All that is loaded of a layer. */
export function gatedPieces(
  { attention, feedForward, groupIndexer: indexer, ngrams }: GatedLayerPlan,
): { readonly matrices: readonly MatrixPlan[]; readonly vectors: readonly VectorPlan[] } {
  const ends = [attention, feedForward].map(mixPieces);
  return {
    matrices: [
      ...ends.flatMap(({ matrices }) => matrices),
      ...indexer ? [indexer.query, indexer.key] : [],
      ...ngrams ? [ngrams.key, ngrams.value] : [],
    ],
    vectors: [
      ...ends.flatMap(({ vectors }) => vectors),
      ...indexer ? [indexer.queryNorm, indexer.keyNorm] : [],
      ...ngrams ? [ngrams.keyNorm, ngrams.queryNorm, ngrams.valueNorm, ngrams.convolution] : [],
    ],
  };
}

/** The same of what makes one stream of all. */
export function mixPieces(
  { norm, down, up, inject }: GatedMixPlan,
): ReturnType<typeof gatedPieces> {
  return { matrices: [down, up, ...inject ? [inject] : []], vectors: [norm] };
}

/** Elements from one token to the next: of all streams side by side, and of what gates come of. */
export function gatedStrides(
  { gatedStreams, embeddingLength }: ModelConfig,
): { readonly all: number; readonly low: number } {
  const { streamCount, rank } = gatedStreams!;
  return {
    all: alignUp(streamCount * embeddingLength, SUPERBLOCK_WEIGHTS),
    low: alignUp(rank, SUPERBLOCK_WEIGHTS),
  };
}

/** Tokens before the new ones that a convolution over what they name looks back to. */
export function ngramHistory({ ngrams }: ModelConfig): number {
  return ngrams === undefined ? 0 : (ngrams.taps - 1) * ngrams.length;
}

/**
 * Bytes that a layer's places have more: ids of the tokens before, i32, the last one first; then
 * rows of all streams that are convolved, the last one last.
 */
export function ngramPlaceBytes(config: ModelConfig, layer: number): number {
  if (config.ngrams?.layer !== layer) return 0;
  const width = config.gatedStreams!.streamCount * config.embeddingLength;
  return 4 * (config.ngrams.length - 1 + ngramHistory(config) * width);
}

/** What intermediates take, by the new tokens N. */
export function gatedBytes(
  config: ModelConfig,
  { strides, chunkTokens, sizes }: {
    readonly strides: WorkspaceStrides;
    readonly chunkTokens: number;
    readonly sizes: { q8_bytes(n: number, k: number): number };
  },
): Partial<StepGraphInput["bytes"]> {
  if (config.gatedStreams === undefined) return {};
  const { streamCount } = config.gatedStreams;
  const { all, low } = gatedStrides(config);
  return {
    streams: streamCount * chunkTokens * strides.embedding * 4,
    // What goes to each stream of a token, and numbers of its rows, u32.
    "hyper.words": (chunkTokens + 1) * streamCount * 4,
    "gated.rows": N.times(4 * all),
    "gated.gates": N.times(4 * all),
    "gated.low": N.times(4 * low),
    "gated.q8": sizes.q8_bytes(chunkTokens, Math.max(all, low)),
    ...config.ngrams && {
      "ngram.rows": N.times(4 * strides.embedding),
      "ngram.value": N.times(4 * strides.embedding),
      "ngram.key": N.times(4 * all),
      "ngram.q8": sizes.q8_bytes(chunkTokens, strides.embedding),
      "ngram.past": 4 * all * (chunkTokens + ngramHistory(config)),
    },
  };
}

/** Where a step's intermediates are, f32 unless said. */
export interface GatedWorkspace {
  /** Streams side by side, normalised, [n, stride], their gates, and these and `low` as q8. */
  readonly rows: number;
  readonly gates: number;
  readonly q8: number;
  /** What gates are made of, [n, stride]. */
  readonly low: number;
  /** What tokens name, [n, strides.embedding], and as q8; its value; keys, [n, stride]. */
  readonly named: number;
  readonly namedQ8: number;
  readonly value: number;
  readonly key: number;
  /** What is convolved: of earlier tokens, then of a segment's, [history + n, stride]. */
  readonly past: number;
}

/** Null where streams are not gated. */
export function gatedWorkspace(
  { gatedStreams }: ModelConfig,
  at: (name: StepTensor) => number,
): GatedWorkspace | null {
  return gatedStreams === undefined ? null : {
    ...{ rows: at("gated.rows"), gates: at("gated.gates") },
    ...{ q8: at("gated.q8"), low: at("gated.low") },
    ...{ named: at("ngram.rows"), namedQ8: at("ngram.q8") },
    ...{ value: at("ngram.value"), key: at("ngram.key"), past: at("ngram.past") },
  };
}

/**
 * How what a layer keeps beside keys and values lies: floats of one block of 32 positions, of each
 * what groups' keys are means of, [headDim], and where it stands by axes; then the groups' keys.
 */
export interface GroupLayout {
  readonly ratio: number;
  readonly rowFloats: number;
  readonly groups: number;
  readonly keysAt: number;
  readonly blockFloats: number;
}

/** Null: the layer chooses no groups. */
export function groupLayout(config: ModelConfig, layer: number): GroupLayout | null {
  const ratio = config.layers[layer].groupRatio;
  if (ratio === undefined) return null;
  const { headDim } = config.groupIndexer!;
  const groups = KV_BLOCK_POSITIONS / ratio, rowFloats = headDim + POSITION_AXES;
  const keysAt = KV_BLOCK_POSITIONS * rowFloats;
  return { ratio, rowFloats, groups, keysAt, blockFloats: keysAt + groups * headDim };
}

/** Bytes of all that in so many blocks. */
export function groupKeptBytes(config: ModelConfig, layer: number, blocks: number): number {
  return 4 * blocks * (groupLayout(config, layer)?.blockFloats ?? 0);
}

/** Most positions that a token attends to. */
export function groupPositions({ groupIndexer, layers }: ModelConfig): number {
  const ratios = layers.map(({ groupRatio = 1 }) => groupRatio);
  return groupIndexer!.keyCount + Math.max(...ratios) - 1;
}

/** Most groups that a token scores. */
export function scoredGroups({ layers }: ModelConfig, contextLength: number): number {
  const counts = layers.map(({ groupRatio: ratio }) =>
    ratio === undefined ? 0 : Math.ceil(contextLength / ratio)
  );
  return Math.max(...counts);
}

/** What choosing takes, by the new tokens N. */
export function groupIndexerBytes(
  config: ModelConfig,
  { contextLength, kvType, sizes }: {
    readonly contextLength: number;
    readonly kvType: KvType;
    readonly sizes: IndexerSizes;
  },
): StepGraphInput["bytes"] {
  const { headCount, headDim } = config.groupIndexer!;
  const positions = groupPositions(config), blocks = tableBlocks(positions);
  const { keysBytes, valuesBytes } = kvBytes(kvType, { kvHeads: 1, config, blocks });
  return {
    "indexer.query": N.times(4 * headCount * headDim),
    "indexer.key": N.times(4 * headDim),
    "indexer.scores": 4 * scoredGroups(config, contextLength),
    "indexer.scratch": Math.max(
      4 * KV_BLOCK_POSITIONS * headCount,
      sizes.choose_scratch_bytes(),
    ),
    "indexer.lists": 4 * positions,
    ...{ "indexer.keys": keysBytes, "indexer.values": valuesBytes },
    // Those side by side, and one head's of the cache.
    "indexer.table": 4 * (blocks + tableBlocks(contextLength)),
  };
}
