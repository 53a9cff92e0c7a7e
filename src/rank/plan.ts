/**
 * Decides what every rank holds and where it lies: the model's tensors cut by shard, laid into as
 * many arenas as they need. Pure: reads no weights, allocates nothing.
 */
import { alignUp, check } from "../base/check.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import { formatBytes, GiB, MiB } from "../base/units.ts";
import type { GgufTensor } from "../gguf/types.ts";
import { ARENA_BYTES_MAX, ArenaBuilder } from "../memory/arena.ts";
import {
  FLOAT_ROW_PAD_WEIGHTS,
  REGION_ALIGN_BYTES,
  SUPERBLOCK_WEIGHTS,
} from "../memory/row_layout.ts";
import type { ModelDescription } from "../model/types.ts";
import type {
  KvType,
  LayerPlan,
  MatrixPlan,
  RankPlan,
  VectorPlan,
  WorkspacePlan,
} from "./plan_types.ts";
import { lengthOf, planShards, type Range, type Shard } from "./shard.ts";
import {
  blockWeights,
  isWeightType,
  packedRowBytes,
  WEIGHT_TYPES,
  type WeightType,
} from "./weight_types.ts";

const STAGING_BYTES_MAX = 4 * MiB;
/** The attention kernels' contract: wasm/kernels.ts. */
const HEAD_DIM_UNIT = 4;

export interface PlanOptions {
  readonly rankCount: number;
  /** Tokens the key/value cache can hold. */
  readonly contextLength: number;
  /** Tokens of one step at most. */
  readonly chunkTokens: number;
  /** "auto": f32 when the matrices are f32, so that nothing is rounded; else f16. */
  readonly kvType: KvType | "auto";
  /** For tests: arenas smaller than a memory can be. */
  readonly arenaBytesMax?: number;
  /** What the kernels say they need. */
  readonly sizes: KernelSizes;
}

/** The two sizes that only the kernels know. */
export interface KernelSizes {
  q8_bytes(n: number, k: number): number;
  attention_scratch_bytes(
    n: number,
    positions: number,
    heads: number,
    groupSize: number,
    headDim: number,
  ): number;
}

/**
 * One plan per rank; all of them change arenas at the same layers.
 * @throws {UnsupportedModelError} when a tensor or the size of the heads has no kernel, or what
 *   must lie in one arena is larger than it.
 */
export function planRanks(
  model: ModelDescription,
  tensors: ReadonlyMap<string, GgufTensor>,
  options: PlanOptions,
): RankPlan[] {
  requireHeadKernel(model.config.headDim);
  const { layers } = model.tensors;
  const typesOf = (role: "attentionOutput" | "down" | "key") =>
    layers.map((layer) => weightType(tensors, layer[role]));
  // Layers differ in their types, and the cuts are the same in all: the coarsest blocks decide.
  const coarsest = (types: WeightType[]) => Math.max(...types.map(blockWeights));
  const shards = planShards(model.config, {
    rankCount: options.rankCount,
    blocks: {
      attentionOutput: coarsest(typesOf("attentionOutput")),
      down: coarsest(typesOf("down")),
    },
  });
  const isExact = typesOf("key").every((type) => type === "F32");
  const kvType = options.kvType !== "auto" ? options.kvType : isExact ? "f32" : "f16";
  const planners = shards.map((shard) =>
    new RankPlanner({ model, tensors, options, shard, kvType })
  );
  for (const planner of planners) planner.placeEmbedding();
  // A second arena would have no more room: the first one holds nothing else yet.
  requireFit(planners, "the embedding table");
  for (let index = 0; index < model.config.blockCount; index++) {
    placeOnAll(planners, (planner) => planner.placeLayer(index), `layer ${index}`);
  }
  placeOnAll(planners, (planner) => planner.placeOutput(), "the output projection");
  return planners.map((planner, rankIndex) => planner.build(rankIndex));
}

/** Places something in the current arena of every rank, or in a new one where one overflows. */
function placeOnAll(
  planners: readonly RankPlanner[],
  place: (planner: RankPlanner) => void,
  what: string,
): void {
  const marks = planners.map((planner) => planner.mark());
  planners.forEach(place);
  if (planners.every((planner) => planner.fits())) return;
  planners.forEach((planner, index) => planner.reset(marks[index]));
  for (const planner of planners) planner.openArena();
  planners.forEach(place);
  requireFit(planners, what);
}

function requireFit(planners: readonly RankPlanner[], what: string): void {
  if (planners.every((planner) => planner.fits())) return;
  throw new UnsupportedModelError(
    `Cannot place ${what}: a thread's share does not fit into ` +
      `${formatBytes(planners[0].arenaBytesMax)} with its workspace: ` +
      `use more threads or a shorter context`,
  );
}

interface PlannerInput {
  readonly model: ModelDescription;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly options: PlanOptions;
  readonly shard: Shard;
  readonly kvType: KvType;
}

/** Lays out one rank's arenas. */
class RankPlanner {
  readonly arenaBytesMax: number;
  readonly #in: PlannerInput;
  readonly #arenas: ArenaBuilder[] = [];
  readonly #workspaces: WorkspacePlan[] = [];
  readonly #stagingOffsets: number[] = [];
  readonly #stagingBytes: number;
  readonly #strides: RankPlan["strides"];
  readonly #layers: LayerPlan[] = [];
  #embedding: MatrixPlan | null = null;
  #output: Pick<RankPlan, "output" | "outputArena" | "outputNorm"> | null = null;

  constructor(input: PlannerInput) {
    this.#in = input;
    this.arenaBytesMax = Math.min(input.options.arenaBytesMax ?? 4 * GiB, ARENA_BYTES_MAX - MiB);
    const { config } = input.model;
    const largest = Math.max(...[...input.tensors.values()].map((tensor) => tensor.sizeBytes));
    this.#stagingBytes = alignUp(Math.min(largest, STAGING_BYTES_MAX), REGION_ALIGN_BYTES);
    this.#strides = {
      embedding: alignUp(config.embeddingLength, SUPERBLOCK_WEIGHTS),
      attention: alignUp(lengthOf(input.shard.heads) * config.headDim, SUPERBLOCK_WEIGHTS),
      hidden: alignUp(lengthOf(input.shard.neurons), SUPERBLOCK_WEIGHTS),
    };
    this.openArena();
  }

  get #arena(): ArenaBuilder {
    return this.#arenas[this.#arenas.length - 1];
  }

  mark(): { endBytes: ReturnType<ArenaBuilder["mark"]>; layers: number } {
    return { endBytes: this.#arena.mark(), layers: this.#layers.length };
  }

  reset(mark: ReturnType<RankPlanner["mark"]>): void {
    this.#arena.reset(mark.endBytes);
    this.#layers.length = mark.layers;
  }

  fits(): boolean {
    return this.#arena.endBytes <= this.arenaBytesMax;
  }

  openArena(): void {
    const arena = new ArenaBuilder();
    this.#arenas.push(arena);
    this.#workspaces.push(planWorkspace(arena, this.#in, this.#strides));
    this.#stagingOffsets.push(arena.allocate("staging", "activations", this.#stagingBytes));
  }

  placeEmbedding(): void {
    const { model: { config, tensors }, shard } = this.#in;
    const all = { start: 0, end: config.embeddingLength };
    const table = this.#matrix(tensors.tokenEmbedding, shard.vocab, all);
    this.#embedding = table;
    if (!config.tiedEmbeddings) return;
    // The table is the output, too, and the norm that feeds it lies beside it.
    const outputNorm = this.#vector(tensors.outputNorm, all);
    this.#output = { output: table, outputArena: 0, outputNorm };
  }

  placeLayer(index: number): void {
    const { model: { config, tensors }, shard, options, kvType } = this.#in;
    const names = tensors.layers[index];
    const all = { start: 0, end: config.embeddingLength };
    const query = scale(shard.heads, config.headDim);
    const keyValue = scale(shard.kvHeads, config.headDim);
    const bias = (name: string | null, range: Range) => name && this.#vector(name, range) || null;
    const kvBytes = options.contextLength * lengthOf(keyValue) * (kvType === "f16" ? 2 : 4);
    this.#layers.push({
      arena: this.#arenas.length - 1,
      attentionNorm: this.#vector(names.attentionNorm, all),
      query: this.#matrix(names.query, query, all),
      key: this.#matrix(names.key, keyValue, all),
      value: this.#matrix(names.value, keyValue, all),
      queryBias: bias(names.queryBias, query),
      keyBias: bias(names.keyBias, keyValue),
      valueBias: bias(names.valueBias, keyValue),
      attentionOutput: this.#matrix(names.attentionOutput, all, query),
      feedForwardNorm: this.#vector(names.feedForwardNorm, all),
      gate: this.#matrix(names.gate, shard.neurons, all),
      up: this.#matrix(names.up, shard.neurons, all),
      down: this.#matrix(names.down, all, shard.neurons),
      keysOffsetBytes: this.#arena.allocate(`blk.${index}.keys`, "kv", kvBytes),
      valuesOffsetBytes: this.#arena.allocate(`blk.${index}.values`, "kv", kvBytes),
    });
  }

  placeOutput(): void {
    const { model: { config, tensors }, shard } = this.#in;
    if (config.tiedEmbeddings) return;
    const all = { start: 0, end: config.embeddingLength };
    this.#output = {
      outputNorm: this.#vector(tensors.outputNorm, all),
      output: this.#matrix(tensors.output, shard.vocab, all),
      outputArena: this.#arenas.length - 1,
    };
  }

  build(rankIndex: number): RankPlan {
    const { options, shard, kvType } = this.#in;
    check(this.#embedding !== null && this.#output !== null, "everything is placed");
    return {
      rankIndex,
      rankCount: options.rankCount,
      shard,
      arenas: this.#arenas.map((arena) => arena.build()),
      workspaces: this.#workspaces,
      strides: this.#strides,
      embedding: this.#embedding,
      layers: this.#layers,
      ...this.#output,
      stagingOffsets: this.#stagingOffsets,
      stagingBytes: this.#stagingBytes,
      chunkTokens: options.chunkTokens,
      logitsRows: logitsRows(options.chunkTokens),
      contextLength: options.contextLength,
      kvType,
    };
  }

  #vector(tensor: string, range: Range): VectorPlan {
    const bytes = alignUp(lengthOf(range), FLOAT_ROW_PAD_WEIGHTS) * 4;
    return { tensor, range, offsetBytes: this.#arena.allocate(tensor, "weights", bytes) };
  }

  #matrix(tensor: string, rows: Range, columns: Range): MatrixPlan {
    const type = weightType(this.#in.tensors, tensor);
    const rowStrideBytes = packedRowBytes(type, lengthOf(columns));
    const bytes = rowStrideBytes * lengthOf(rows);
    return {
      tensor,
      type,
      rows,
      columns,
      rowStrideBytes,
      offsetBytes: this.#arena.allocate(tensor, "weights", bytes),
    };
  }
}

/** Steps that want every position's logits are short, so that the logits stay small. */
function logitsRows(chunkTokens: number): number {
  return Math.min(16, chunkTokens);
}

function planWorkspace(
  arena: ArenaBuilder,
  input: PlannerInput,
  strides: RankPlan["strides"],
): WorkspacePlan {
  const { model: { config }, shard, options: { chunkTokens: n, contextLength, sizes } } = input;
  const bytes = (name: string, size: number) => arena.allocate(name, "activations", size);
  const floats = (name: string, perToken: number) => bytes(name, n * perToken * 4);
  const queryWidth = lengthOf(shard.heads) * config.headDim;
  const keyValueWidth = lengthOf(shard.kvHeads) * config.headDim;
  const neurons = lengthOf(shard.neurons);
  const groupSize = config.headCount / config.headCountKv;
  return {
    residual: floats("residual", strides.embedding),
    normed: floats("normed", strides.embedding),
    normedQ8: bytes("normed.q8", sizes.q8_bytes(n, config.embeddingLength)),
    query: floats("query", queryWidth),
    key: floats("key", keyValueWidth),
    value: floats("value", keyValueWidth),
    attention: floats("attention", strides.attention),
    attentionQ8: bytes("attention.q8", sizes.q8_bytes(n, Math.max(1, queryWidth))),
    gate: floats("gate", neurons),
    up: floats("up", neurons),
    hidden: floats("hidden", strides.hidden),
    hiddenQ8: bytes("hidden.q8", sizes.q8_bytes(n, Math.max(1, neurons))),
    partials: [floats("partial.0", strides.embedding), floats("partial.1", strides.embedding)],
    incoming: floats("incoming", strides.embedding),
    rope: floats("rope", config.rope.dimensionCount),
    scratch: bytes(
      "attention.scratch",
      sizes.attention_scratch_bytes(
        n,
        contextLength,
        Math.max(1, lengthOf(shard.heads)),
        groupSize,
        config.headDim,
      ),
    ),
    logits: bytes("logits", logitsRows(n) * lengthOf(shard.vocab) * 4),
  };
}

/** Attention reads heads four dimensions at a time. */
function requireHeadKernel(headDim: number): void {
  if (headDim % HEAD_DIM_UNIT === 0) return;
  throw new UnsupportedModelError(
    `Cannot run this model: its heads have ${headDim} dimensions, this version needs a multiple ` +
      `of ${HEAD_DIM_UNIT}: use a model of another shape`,
  );
}

/** The tensor's type, if there are kernels for it. */
function weightType(tensors: ReadonlyMap<string, GgufTensor>, name: string): WeightType {
  const tensor = tensors.get(name);
  check(tensor !== undefined, `tensor ${name} was checked to exist`);
  if (!isWeightType(tensor.type)) {
    throw new UnsupportedModelError(
      `Cannot load tensor "${name}": its type ${tensor.type} is not supported yet: ` +
        `use a file quantised as one of ${WEIGHT_TYPES.join(", ")}`,
    );
  }
  return tensor.type;
}

function scale(range: Range, factor: number): Range {
  return { start: range.start * factor, end: range.end * factor };
}
