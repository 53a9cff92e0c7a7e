/**
 * Decides what every rank holds and where it lies: the model's tensors cut by shard, laid into as
 * many arenas as they need. Pure: reads no weights, allocates nothing.
 */
import { alignUp, check } from "../base/check.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import { formatBytes, GiB, MiB } from "../base/units.ts";
import type { GgufTensor } from "../gguf/types.ts";
import { ARENA_BYTES_MAX, ArenaBuilder } from "../memory/arena.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES, VALUE_PAD_ELEMENTS } from "../memory/kv_layout.ts";
import {
  FLOAT_ROW_PAD_WEIGHTS,
  REGION_ALIGN_BYTES,
  SUPERBLOCK_WEIGHTS,
} from "../memory/row_layout.ts";
import { predictorObstacle } from "../model/powerinfer.ts";
import type {
  LayerTensors,
  MatrixTensor,
  ModelDescription,
  PredictorTensors,
  VectorTensor,
} from "../model/types.ts";
import { COLUMN_ALIGN_BYTES, COLUMN_SCRATCH_BYTES } from "../memory/column_layout.ts";
import { MatrixLayouts } from "./matrix_layouts.ts";
import { type MatrixPart, norm, type Placer, planLayer } from "./plan_layer.ts";
import type {
  KvType,
  LayerPlan,
  MatrixPlan,
  RankPlan,
  VectorPlan,
  WorkspacePlan,
} from "./plan_types.ts";
import { type KernelSizes, largestBlock, logitsRows, planWorkspace } from "./plan_workspace.ts";
import { lengthOf, planShards, type Range, type Shard } from "./shard.ts";
import {
  blockWeights,
  byColumnsRowBytes,
  packedRowBytes,
  type WeightType,
} from "./weight_types.ts";

/** Small enough for a core's cache: what was read is repacked from there. */
const STAGING_BYTES_MAX = MiB / 2;
/** The attention kernels' contract: wasm/kernels.ts. */
const HEAD_DIM_UNIT = 4;

export interface PlanOptions {
  readonly rankCount: number;
  /** Tokens the key/value cache can hold. */
  readonly contextLength: number;
  /** Tokens of one step at most. */
  readonly chunkTokens: number;
  /** "auto": f32 when the matrices are f32, so that nothing is rounded; else i16. */
  readonly kvType: KvType | "auto";
  /** False: every neuron is computed, also those whose activation is zero. */
  readonly isSparse?: boolean;
  /** Quiet neurons are left out, too: those with an |act(gate)| of at most this, by layer. */
  readonly thresholds?: readonly number[];
  /** False: predictors that the model has are not loaded. */
  readonly hasPredictors?: boolean;
  /** For tests: arenas smaller than a memory can be. */
  readonly arenaBytesMax?: number;
  /** What the kernels say they need. */
  readonly sizes: KernelSizes;
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
  const layouts = new MatrixLayouts(model, tensors, {
    skips: options.isSparse !== false,
    hushes: options.thresholds !== undefined,
  });
  const typesOf = (matrixOf: (layer: LayerTensors) => MatrixTensor) =>
    layers.map((layer) => layouts.typeOf(matrixOf(layer).tensor));
  // Layers differ in their types, and the cuts are the same in all: the coarsest blocks decide.
  const coarsest = (types: WeightType[]) =>
    types.reduce((most, type) => Math.max(most, blockWeights(type)), 1);
  const shards = planShards(model.config, {
    rankCount: options.rankCount,
    contextLength: options.contextLength,
    blocks: {
      attentionOutput: coarsest(typesOf((layer) => layer.attentionOutput)),
      down: coarsest(layouts.cutDownTypes),
    },
  });
  const isExact = typesOf((layer) => layer.key).every((type) => type === "F32");
  const kvType = options.kvType !== "auto" ? options.kvType : isExact ? "f32" : "i16";
  const planners = shards.map((shard, rankIndex) =>
    new RankPlanner({ model, tensors, layouts, options, shard, rankIndex, kvType })
  );
  for (const planner of planners) planner.placeEmbedding();
  // A second arena would have no more room: the first one holds nothing else yet.
  requireFit(planners, "the embedding table");
  for (let index = 0; index < model.config.blockCount; index++) {
    placeOnAll(planners, (planner) => planner.placeLayer(index), `layer ${index}`);
  }
  placeOnAll(planners, (planner) => planner.placeOutput(), "the output projection");
  return planners.map((planner) => planner.build());
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
  readonly layouts: MatrixLayouts;
  readonly options: PlanOptions;
  readonly shard: Shard;
  readonly rankIndex: number;
  readonly kvType: KvType;
}

/** Lays out one rank's arenas. */
class RankPlanner implements Placer {
  readonly arenaBytesMax: number;
  readonly #in: PlannerInput;
  readonly #arenas: ArenaBuilder[] = [];
  readonly #workspaces: WorkspacePlan[] = [];
  readonly #stagingOffsets: number[] = [];
  readonly #stagingBytes: number;
  readonly #strides: RankPlan["strides"];
  readonly #layers: LayerPlan[] = [];
  #embedding: MatrixPlan | null = null;
  #positions: MatrixPlan | null = null;
  #output: Pick<RankPlan, "output" | "outputArena" | "outputNorm"> | null = null;

  constructor(input: PlannerInput) {
    this.#in = input;
    this.arenaBytesMax = Math.min(input.options.arenaBytesMax ?? 4 * GiB, ARENA_BYTES_MAX - MiB);
    const { layouts, model: { config } } = input;
    const largest = Math.max(...[...input.tensors.values()].map((tensor) => tensor.sizeBytes));
    const staged = Math.max(Math.min(largest, STAGING_BYTES_MAX), layouts.leastStagingBytes);
    this.#stagingBytes = alignUp(staged, REGION_ALIGN_BYTES);
    this.#strides = {
      embedding: alignUp(config.embeddingLength, SUPERBLOCK_WEIGHTS),
      attention: alignUp(lengthOf(input.shard.heads) * config.headDim, SUPERBLOCK_WEIGHTS),
      hidden: alignUp(largestBlock(input.shard), SUPERBLOCK_WEIGHTS),
      logits: this.#leads ? config.vocabSize : lengthOf(input.shard.vocab),
      predictor: alignUp(this.#largestPredictor(), SUPERBLOCK_WEIGHTS),
    };
    this.openArena();
  }

  get #leads(): boolean {
    return this.#in.rankIndex === 0;
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
    const { model: { config }, layouts, shard, options } = this.#in;
    const input = {
      config,
      shard,
      strides: this.#strides,
      leads: this.#leads,
      ...options,
      hasNeurons: layouts.hasNeurons,
      isSparse: layouts.isSparse,
    };
    this.#workspaces.push(planWorkspace(arena, input));
    const scratch = layouts.isSparse ? COLUMN_SCRATCH_BYTES : 0; // behind it: load_weights.ts
    const bytes = this.#stagingBytes + scratch;
    this.#stagingOffsets.push(arena.allocate("staging", "activations", bytes));
  }

  placeEmbedding(): void {
    const { model: { config, tensors }, shard, options } = this.#in;
    this.#embedding = this.matrix(tensors.tokenEmbedding, { rows: shard.vocab });
    const { positionEmbedding: positions } = tensors;
    if (positions !== null) {
      check(options.contextLength <= positions.rows, "the context was checked: it has positions");
      this.#positions = this.matrix(positions, { rows: shard.positions });
    }
    if (!config.tiedEmbeddings) return;
    // The table is the output, too, and the norm that feeds it lies beside it.
    const outputNorm = norm(this, tensors.outputNorm);
    this.#output = { output: this.#embedding, outputArena: 0, outputNorm };
  }

  placeLayer(index: number): void {
    const { model: { config, tensors }, shard, rankIndex, options, kvType } = this.#in;
    const blocks = Math.ceil(options.contextLength / KV_BLOCK_POSITIONS);
    const kvBytes = (rowElements: number) =>
      blocks * lengthOf(shard.kvHeads) * kvPieceBytes(kvType, rowElements);
    const keysBytes = kvBytes(config.headDim);
    const valuesBytes = kvBytes(alignUp(config.headDim, VALUE_PAD_ELEMENTS));
    this.#layers.push({
      arena: this.#arenas.length - 1,
      ...planLayer(this, {
        config,
        shard,
        rankIndex,
        rankCount: options.rankCount,
        tensors: tensors.layers[index],
        index,
        isSilent: this.#in.layouts.isSilent,
        predictor: this.#predictorOf(index),
        threshold: options.thresholds?.[index] ?? null,
      }),
      keysOffsetBytes: this.#arena.allocate(`blk.${index}.keys`, "kv", keysBytes),
      valuesOffsetBytes: this.#arena.allocate(`blk.${index}.values`, "kv", valuesBytes),
    });
  }

  placeOutput(): void {
    const { model: { config, tensors }, shard } = this.#in;
    if (config.tiedEmbeddings) return;
    this.#output = {
      outputNorm: norm(this, tensors.outputNorm),
      output: this.matrix(tensors.output, { rows: shard.vocab }),
      outputArena: this.#arenas.length - 1,
    };
  }

  vector(vector: VectorTensor, range: Range = { start: 0, end: vector.length }): VectorPlan {
    const { tensor, start } = vector;
    const bytes = alignUp(lengthOf(range), FLOAT_ROW_PAD_WEIGHTS) * 4;
    return {
      tensor,
      range: shift(range, start),
      offsetBytes: this.#arena.allocate(tensor, "weights", bytes),
    };
  }

  matrix(matrix: MatrixTensor, part: MatrixPart): MatrixPlan {
    const { tensor, bias } = matrix;
    const { rows = { start: 0, end: matrix.rows }, columns = { start: 0, end: matrix.columns } } =
      part;
    const { layouts } = this.#in;
    const type = part.isWidened ? "F32" : layouts.typeOf(tensor);
    const isTransposed = part.isTransposed === true;
    const layout = layouts.layoutOf(matrix, part);
    const [packed, along] = layout === "neurons" ? [columns, rows] : [rows, columns];
    const rowStrideBytes = layout === "columns"
      ? byColumnsRowBytes(type, lengthOf(along))
      : packedRowBytes(type, lengthOf(along));
    const bytes = rowStrideBytes * lengthOf(packed);
    const workspace = this.#workspaces[this.#workspaces.length - 1];
    return {
      tensor,
      type,
      rows: isTransposed ? rows : shift(rows, matrix.rowStart),
      columns: isTransposed ? shift(columns, matrix.rowStart) : columns,
      rowStrideBytes,
      offsetBytes: this.#arena.allocate(
        tensor,
        "weights",
        bytes,
        layout === "columns" ? COLUMN_ALIGN_BYTES : REGION_ALIGN_BYTES,
      ),
      bias: bias === null || part.takesBias === false ? null : this.vector(bias, rows),
      layout,
      isTransposed,
      scratchOffsetBytes: layout === "neurons" ? workspace.neuronScratch : 0,
    };
  }

  /** The predictor that layer `index` will use, or null. */
  #predictorOf(index: number): PredictorTensors | null {
    const { model: { config, tensors }, layouts, options } = this.#in;
    const { feedForward } = tensors.layers[index];
    const isWanted = layouts.isSparse && options.hasPredictors !== false;
    if (!isWanted || feedForward.kind !== "dense") return null;
    return predictorObstacle(config.feedForward, feedForward) === null
      ? feedForward.predictor
      : null;
  }

  /** Largest rank of a predictor; 0: there is none. */
  #largestPredictor(): number {
    const layers = this.#in.model.tensors.layers;
    return Math.max(...layers.map((_, index) => this.#predictorOf(index)?.first.rows ?? 0));
  }

  build(): RankPlan {
    const { options, shard, rankIndex, kvType } = this.#in;
    check(this.#embedding !== null && this.#output !== null, "everything is placed");
    return {
      rankIndex,
      rankCount: options.rankCount,
      shard,
      arenas: this.#arenas.map((arena) => arena.build()),
      workspaces: this.#workspaces,
      strides: this.#strides,
      embedding: this.#embedding,
      positions: this.#positions,
      layers: this.#layers,
      ...this.#output,
      stagingOffsets: this.#stagingOffsets,
      stagingBytes: this.#stagingBytes,
      chunkTokens: options.chunkTokens,
      logitsRows: logitsRows(options.chunkTokens),
      contextLength: options.contextLength,
      kvType,
      isSparse: this.#in.layouts.isSparse,
    };
  }
}

/** Attention reads heads four dimensions at a time. */
function requireHeadKernel(headDim: number): void {
  if (headDim % HEAD_DIM_UNIT === 0) return;
  throw new UnsupportedModelError(
    `Cannot run this model: its heads have ${headDim} dimensions, this version needs a multiple ` +
      `of ${HEAD_DIM_UNIT}: use a model of another shape`,
  );
}

function shift(range: Range, by: number): Range {
  return { start: range.start + by, end: range.end + by };
}

/** Bytes of one head's keys or values of one block of positions. */
function kvPieceBytes(type: KvType, rowElements: number): number {
  const elements = KV_BLOCK_POSITIONS * rowElements;
  return type === "i16" ? elements * 2 + KV_SCALES_BYTES : elements * 4;
}
