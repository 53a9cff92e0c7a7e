/**
 * Lays out one rank's arenas: what it owns of every layer, its workspace and cache, one behind the
 * other. Pure: reads no weights, allocates nothing.
 */
import { alignUp, check } from "../base/check.ts";
import { GiB, MiB } from "../base/units.ts";
import type { GgufTensor } from "../gguf/types.ts";
import { ARENA_BYTES_MAX, ArenaBuilder } from "../memory/arena.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES, VALUE_PAD_ELEMENTS } from "../memory/kv_layout.ts";
import {
  FLOAT_ROW_PAD_WEIGHTS,
  REGION_ALIGN_BYTES,
  SUPERBLOCK_WEIGHTS,
} from "../memory/row_layout.ts";
import { predictedBlock } from "../model/powerinfer.ts";
import type { MatrixTensor, ModelDescription, VectorTensor } from "../model/types.ts";
import { COLUMN_ALIGN_BYTES, COLUMN_SCRATCH_BYTES } from "../memory/column_layout.ts";
import type { MatrixLayouts } from "./matrix_layouts.ts";
import {
  dense,
  forEachBlock,
  type LayerInput,
  type MatrixPart,
  neuronsOf,
  norm,
  type Placer,
  planLayer,
  usedPredictor,
} from "./plan_layer.ts";
import type {
  KvType,
  LayerPlan,
  MatrixPlan,
  RankPlan,
  VectorPlan,
  WorkspacePlan,
} from "./plan_types.ts";
import { checkUnit, type UnitOptions, type UnitPlan } from "./plan_units.ts";
import {
  type KernelSizes,
  logitsRows,
  planWorkspace,
  type Widths,
  widthsOf,
  type WorkspaceInput,
} from "./plan_workspace.ts";
import { lengthOf, type Range, type Shard } from "./shard.ts";
import { byColumnsRowBytes, packedRowBytes } from "./weight_types.ts";

/** Small enough for a core's cache: what was read is repacked from there. */
const STAGING_BYTES_MAX = MiB / 2;
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
  /** Left out: weights are tensors of the file. */
  readonly packed?: UnitOptions;
  /** For tests: arenas smaller than a memory can be. */
  readonly arenaBytesMax?: number;
  /** For tests: false gives every intermediate bytes of its own. */
  readonly sharesWorkspace?: boolean;
  /** What the kernels say they need. */
  readonly sizes: KernelSizes;
}

export interface PlannerInput {
  readonly model: ModelDescription;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly layouts: MatrixLayouts;
  readonly options: PlanOptions;
  readonly shard: Shard;
  readonly rankIndex: number;
  readonly kvType: KvType;
  readonly units: UnitPlan | null;
}

/** Lays out one rank's arenas. */
export class RankPlanner implements Placer {
  readonly arenaBytesMax: number;
  readonly #in: PlannerInput;
  readonly #arenas: ArenaBuilder[] = [];
  readonly #workspaces: WorkspacePlan[] = [];
  readonly #stagingBytes: number;
  /** The most of each in one layer. */
  readonly #widths: Widths;
  readonly #strides: RankPlan["strides"];
  readonly #layers: LayerPlan[] = [];
  /** Where units are staged in each arena, and where in it something is being laid, or null. */
  readonly #stages: number[] = [];
  #stagedBytes: number | null = null;
  #stageBytes: number | null = null;
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
    this.#widths = widthsOf([input.shard]);
    this.#strides = {
      embedding: alignUp(config.embeddingLength, SUPERBLOCK_WEIGHTS),
      attention: alignUp(this.#widths.heads * config.headDim, SUPERBLOCK_WEIGHTS),
      hidden: alignUp(this.#widths.neurons, SUPERBLOCK_WEIGHTS),
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
    const { model: { config }, layouts, options } = this.#in;
    const scratch = layouts.isSparse ? COLUMN_SCRATCH_BYTES : 0; // behind it: load_weights.ts
    const input = {
      config,
      widths: this.#widths,
      stagingBytes: this.#stagingBytes + scratch,
      strides: this.#strides,
      leads: this.#leads,
      ...options,
      stream: this.#streamOfArena(),
      hasNeurons: layouts.hasNeurons,
      isSparse: layouts.isSparse,
    };
    const workspace = planWorkspace(arena, input);
    this.#workspaces.push(workspace);
    this.#stages.push(workspace.stream?.stage ?? 0);
  }

  #streamOfArena(): WorkspaceInput["stream"] {
    const { units } = this.#in;
    if (units === null) return null;
    const { slotCount, arenaCount } = units.options;
    const stageBytes = this.#stageBytes ??= this.#largestStage();
    return { ...units.stream, slotCount: Math.floor(slotCount / arenaCount), stageBytes };
  }

  /** Bytes of the largest streamed unit's share as a dense block. */
  #largestStage(): number {
    const { units, model: { tensors } } = this.#in;
    if (units === null) return 0;
    let most = 0;
    this.#stages.push(0); // places do not matter yet
    for (let index = 0; index < tensors.layers.length; index++) {
      const input = this.#layerInput(index);
      forEachBlock(tensors.layers[index].feedForward, (expert, block) => {
        const unit = units.numberOf(index, expert);
        if (unit === null || units.streamed(unit) === null) return;
        checkUnit(units.options.units[unit], block);
        this.inStage(() => {
          dense(this, block, { ...input, neurons: neuronsOf(this.#in.shard, expert) });
          most = Math.max(most, this.#stagedBytes!);
        });
      });
    }
    this.#stages.pop();
    return most;
  }

  #layerInput(index: number): LayerInput & { layer: number; adds: boolean } {
    const { model: { config, tensors }, shard, rankIndex, options, layouts, units } = this.#in;
    return {
      ...{ config, shard, rankIndex, index, units },
      rankCount: options.rankCount,
      layer: index,
      adds: rankIndex === 0,
      tensors: tensors.layers[index],
      isSilent: layouts.isSilent,
      hasPredictors: this.#hasPredictors,
      threshold: options.thresholds?.[index] ?? null,
    };
  }

  inStage<T>(place: () => T): T {
    this.#stagedBytes = 0;
    const placed = place();
    this.#stagedBytes = null;
    return placed;
  }

  region(name: string, sizeBytes: number): number {
    return this.#allocate(name, sizeBytes, REGION_ALIGN_BYTES);
  }

  #allocate(name: string, sizeBytes: number, alignBytes: number): number {
    if (this.#stagedBytes === null) {
      return this.#arena.allocate(name, "weights", sizeBytes, alignBytes);
    }
    const at = alignUp(this.#stagedBytes, alignBytes);
    this.#stagedBytes = at + sizeBytes;
    return this.#stages[this.#stages.length - 1] + at;
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
    const { model: { config }, shard, options, kvType } = this.#in;
    const blocks = Math.ceil(options.contextLength / KV_BLOCK_POSITIONS);
    const kvBytes = (rowElements: number) =>
      blocks * lengthOf(shard.kvHeads) * kvPieceBytes(kvType, rowElements);
    const keysBytes = kvBytes(config.headDim);
    const valuesBytes = kvBytes(alignUp(config.headDim, VALUE_PAD_ELEMENTS));
    this.#layers.push({
      arena: this.#arenas.length - 1,
      ...planLayer(this, this.#layerInput(index)),
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
      offsetBytes: this.#allocate(tensor, bytes, REGION_ALIGN_BYTES),
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
    const workspace = this.#workspaces.at(-1);
    return {
      tensor,
      type,
      rows: isTransposed ? rows : shift(rows, matrix.rowStart),
      columns: isTransposed ? shift(columns, matrix.rowStart) : columns,
      rowStrideBytes,
      offsetBytes: this.#allocate(
        tensor,
        bytes,
        layout === "columns" ? COLUMN_ALIGN_BYTES : REGION_ALIGN_BYTES,
      ),
      bias: bias === null || part.takesBias === false ? null : this.vector(bias, rows),
      layout,
      isTransposed,
      // Before its workspace is laid out, an arena is only measured.
      scratchOffsetBytes: layout === "neurons" ? workspace?.neuronScratch ?? 0 : 0,
    };
  }

  /** Predictors that the model has are wanted. */
  get #hasPredictors(): boolean {
    const { layouts, options } = this.#in;
    return layouts.isSparse && options.hasPredictors !== false;
  }

  /** Largest rank of a predictor; 0: there is none. */
  #largestPredictor(): number {
    const { config, tensors: { layers } } = this.#in.model;
    const by = { config, hasPredictors: this.#hasPredictors };
    return Math.max(
      ...layers.map((layer) => usedPredictor(predictedBlock(layer), by)?.first.rows ?? 0),
    );
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
      stagingBytes: this.#stagingBytes,
      chunkTokens: options.chunkTokens,
      logitsRows: logitsRows(options.chunkTokens),
      contextLength: options.contextLength,
      kvType,
      isSparse: this.#in.layouts.isSparse,
      stream: this.#in.units?.stream ?? null,
    };
  }
}

function shift(range: Range, by: number): Range {
  return { start: range.start + by, end: range.end + by };
}

/** Bytes of one head's keys or values of one block of positions. */
function kvPieceBytes(type: KvType, rowElements: number): number {
  const elements = KV_BLOCK_POSITIONS * rowElements;
  return type === "i16" ? elements * 2 + KV_SCALES_BYTES : elements * 4;
}
