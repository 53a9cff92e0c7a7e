/**
 * Lays out one rank's arenas: what it owns of every layer, its workspace and cache, one behind the
 * other. Pure: reads no weights, allocates nothing.
 */
import { alignUp, check } from "../../base/check.ts";
import { GiB, MiB } from "../../base/units.ts";
import { ARENA_BYTES_MAX, ArenaBuilder } from "../../memory/arena.ts";
import { REGION_ALIGN_BYTES, SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import { configOf } from "../../model/layer_config.ts";
import type { MatrixTensor, ModelDescription, VectorTensor } from "../../model/types.ts";
import { COLUMN_SCRATCH_BYTES } from "../../memory/column_layout.ts";
import { placeCodebooks } from "./plan_codebooks.ts";
import { cacheBytes, kvBlocksOf, statePlacesOf } from "./kv_bytes.ts";
import { type MatrixPart, type Placer, planLayer } from "./plan_layer.ts";
import { dense, largestPredictor } from "./plan_neurons.ts";
import type { CacheName } from "./layer_weights.ts";
import { indexedKeysOf } from "./plan_indexer.ts";
import { layerInputOf, streamedBlocks } from "./layer_input_of.ts";
import type { LayerPlan, MatrixPlan, RankPlan, VectorPlan, WorkspacePlan } from "./plan_types.ts";
import type { PlannerInput } from "./plan_options.ts";
import { NO_SCRATCH, type PlaceBytes, placeMatrix, placeVector } from "./place_matrix.ts";
import { bypassLength, planStreams } from "./plan_alt_up.ts";
import { planGuess } from "./plan_guess.ts";
import { planPatches, planTokenInputs } from "./plan_inputs.ts";
import { hasExpertsApart, hasPlainNorms, norm } from "./plan_norm.ts";
import { onDevice, planProjector, type ProjectorShare, projectorShare } from "./plan_projector.ts";
import { sameWeights, sharing } from "./same_weights.ts";
import { planGpu } from "./brought_plan.ts";
import { DevicePlacer } from "./device_placer.ts";
import { chainedStatePlaces } from "./kept_shapes.ts";
import { planOnGpu } from "./plan_on_gpu.ts";
import { logitsRows } from "./logits_rows.ts";
import {
  NO_WIDTHS,
  planWorkspace,
  stridesOf,
  type Widths,
  widthsOf,
  type WorkspaceInput,
} from "./plan_workspace.ts";
import { leaveInFile } from "./rows_in_file.ts";
import { lengthOf, type Range } from "./shard.ts";
import { blockWeights } from "./weight_types.ts";

/** Floats that kernels on a GPU write at a time. */
const GPU_ROW_UNIT = 4;
/** Small enough for a core's cache: what was read is repacked from there. */
const STAGING_BYTES_MAX = MiB / 2;
/** Lays out one rank's arenas. */
export class RankPlanner implements Placer {
  readonly arenaBytesMax: number;
  readonly #in: PlannerInput;
  readonly #arenas: ArenaBuilder[] = [];
  readonly #workspaces: WorkspacePlan[] = [];
  readonly #stagingBytes: number;
  /** The most of each in one layer. */
  readonly #strides: RankPlan["strides"];
  readonly #layers: LayerPlan[] = [];
  /** Where units are staged in each arena, and where in it something is being laid, or null. */
  readonly #stages: number[] = [];
  #stagedBytes: number | null = null;
  #stageBytes: number | null = null;
  /** Where weights go that are on the GPU; null: nowhere, they are in the arenas. */
  readonly #device: DevicePlacer | null;
  /** The most of each in one layer; of what is on the GPU no workspace is in an arena. */
  readonly #widths: Widths;
  #deviceKvBytes = 0;
  #embedding: Pick<RankPlan, "embedding" | "embeddingInFile"> | null = null;
  #positions: MatrixPlan | null = null;
  #embeddingNorm: RankPlan["embeddingNorm"] = null;
  #tokenKind: RankPlan["tokenKind"] = null;
  #tokenInputs: RankPlan["tokenInputs"] = null;
  #streams: ReturnType<typeof planStreams> | null = null;
  #guess: RankPlan["guess"] = null;
  #output: Pick<RankPlan, "output" | "outputArena" | "outputNorm" | "guessNorm"> | null = null;
  /** Null unless the model is a tower. */
  readonly #projector: ProjectorShare | null;
  #projectorPlan: RankPlan["projector"] = null;
  #ofPatches: ReturnType<typeof planPatches> | null = null;
  /** Where layers that leave nothing have their keys and values, by arena. */
  readonly #caches: Pick<LayerPlan, CacheName>[] = [];

  constructor(input: PlannerInput) {
    this.#in = input;
    this.arenaBytesMax = Math.min(input.options.arenaBytesMax ?? 4 * GiB, ARENA_BYTES_MAX - MiB);
    const { layouts, model: { config } } = input;
    const largest = Math.max(...[...input.tensors.values()].map((tensor) => tensor.sizeBytes));
    const staged = Math.max(Math.min(largest, STAGING_BYTES_MAX), layouts.leastStagingBytes);
    this.#stagingBytes = alignUp(staged, REGION_ALIGN_BYTES);
    this.#device = input.isOnGpu ? new DevicePlacer((tensor) => layouts.typeOf(tensor)) : null;
    this.#widths = input.isOnGpu ? NO_WIDTHS : widthsOf(input.layerShards, config);
    const { rankIndex, model, options: { rankCount, chunkTokens } } = input;
    const blockOf = ({ tensor }: MatrixTensor) => blockWeights(layouts.typeOf(tensor));
    this.#projector = projectorShare(model, { rankIndex, rankCount, chunkTokens, blockOf });
    const outputs = this.#leads ? config.vocabSize : lengthOf(input.shard.vocab);
    this.#strides = stridesOf(config, this.#widths, {
      logits: this.#projector?.outputLength ??
        alignUp(outputs, input.isOnGpu ? GPU_ROW_UNIT : 1),
      predictor: alignUp(largestPredictor(input.model, this.#hasPredictors), SUPERBLOCK_WEIGHTS),
      bypass: alignUp(bypassLength(input.model.tensors.layers), SUPERBLOCK_WEIGHTS),
    });
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
    placeCodebooks(arena, this.#in.tensors.values());
    const { model: { config, tensors }, layouts, options, kvType, adapters } = this.#in;
    const scratch = layouts.isSparse ? COLUMN_SCRATCH_BYTES : 0; // behind it: load_weights.ts
    const input = {
      ...{ config, widths: this.#widths },
      stagingBytes: this.#stagingBytes + scratch,
      ...{ strides: this.#strides, leads: this.#leads },
      projector: this.#device === null
        ? this.#projector
        : this.#projector && onDevice(this.#projector),
      ...{ ...options, kvType, adapters, stream: this.#streamOfArena() },
      ...{ hasNeurons: layouts.hasNeurons, isSparse: layouts.isSparse },
      hasHalves: !this.#in.isOnGpu && layouts.hasHalves,
      ...{ hasPlainNorms: hasPlainNorms(tensors), hasExpertsApart: hasExpertsApart(tensors) },
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
    let most = 0;
    this.#stages.push(0); // places do not matter yet
    for (const { index, block, neurons, neuronsOnGpu } of streamedBlocks(this.#in)) {
      const input = this.#layerInput(index);
      this.inStage(() => {
        dense(this, block, { ...input, neurons, neuronsOnGpu, order: null });
        most = Math.max(most, this.#stagedBytes!);
      });
    }
    this.#stages.pop();
    return most;
  }

  #layerInput(index: number) {
    return layerInputOf(this.#in, index, { hasPredictors: this.#hasPredictors, arena: this });
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
    const { tokenEmbedding: table, positionEmbedding: positions } = tensors;
    // Patches come to the leader: it has all of what makes rows of them.
    const rows = this.#projector === null
      ? shard.embedding
      : { start: 0, end: this.#leads ? table.rows : 0 };
    // A GPU that has a tower has both ends of it.
    const place = this.#projector === null ? this : this.#device ?? this;
    this.#embedding = this.#leaveInFile(table) ??
      { embedding: place.matrix(table, { rows }), embeddingInFile: null };
    this.#ofPatches = planPatches(place, tensors, { rows, share: this.#projector, ...options });
    if (positions !== null) {
      check(options.contextLength <= positions.rows, "the context was checked: it has positions");
      this.#positions = this.matrix(positions, { rows: shard.positions });
    }
    this.#embeddingNorm = norm(place, tensors.embeddingNorm);
    this.#tokenKind = tensors.tokenKind ? this.vector(tensors.tokenKind) : null;
    const inputsPlace = this.#isAlone ? this.#device! : this;
    this.#tokenInputs = planTokenInputs(inputsPlace, this.#in.model, this.#in);
    const { rankIndex, options: { rankCount } } = this.#in;
    const places = { inputs: inputsPlace, whole: this };
    this.#streams = planStreams(places, this.#in.model, { rankIndex, rankCount });
    if (!config.tiedEmbeddings || this.#projector !== null) return;
    // The table is the output, too, and the norm that feeds it lies beside it.
    const outputNorm = norm(this.#device ?? this, tensors.outputNorm);
    const isSame = (this.#device === null || config.isEncoder) &&
      isSameRange(shard.vocab, shard.embedding);
    const output = isSame
      ? this.#embedding.embedding
      : (this.#device ?? this).matrix(tensors.tokenEmbedding, { rows: shard.vocab });
    const guessNorm = norm(this, tensors.guess?.outputNorm ?? null);
    this.#output = { output, outputArena: 0, outputNorm, guessNorm };
  }

  /** The table stays in the file, as embedding_rows.ts has it; null: it does not. */
  #leaveInFile(table: MatrixTensor): Pick<RankPlan, "embedding" | "embeddingInFile"> | null {
    const { units, model: { config }, tensors, shard, options: { chunkTokens } } = this.#in;
    if (units === null || !units.isStreamed || config.tiedEmbeddings) return null;
    const whole = this.inStage(() => this.matrix(table, { rows: shard.embedding }));
    const [{ staging: offsetBytes }] = this.#workspaces;
    const place = { offsetBytes, sizeBytes: this.#stagingBytes, rowsMax: chunkTokens };
    return leaveInFile(whole, tensors.get(table.tensor)!, place);
  }

  placeLayer(index: number): void {
    if (this.#device !== null) return this.#placeOnGpu(index, this.#device);
    const { model: { config, tensors }, options, kvType } = this.#in;
    const shard = this.#in.layerShards[index];
    const { convolutionTaps: taps, keysOf, offsets } = config.layers[index];
    // Heads that know places in an image read keys and values as they are made.
    const kvHeads = (keysOf ?? offsets) === undefined ? lengthOf(shard.kvHeads) : 0;
    const cached = { kvHeads, config: configOf(config, index), taps };
    const { keysBytes, valuesBytes } = cacheBytes(kvType, cached, options);
    const arena = this.#arenas.length - 1;
    const shared = sameWeights(this.#layers, index, { ...this.#in, arena });
    const { stateSpace, timeMix, finch, keyDeltas, lightning, ...weights } = shared ??
      planLayer(this, this.#layerInput(index));
    this.#layers.push({
      ...weights,
      arena,
      ...sharing(shared, tensors.layers[index], this),
      stateSpace: stateSpace && this.#withPlaces(index, stateSpace),
      timeMix: timeMix && this.#withPlaces(index, timeMix),
      finch: finch && this.#withPlaces(index, finch),
      keyDeltas: keyDeltas && this.#withPlaces(index, keyDeltas),
      lightning: lightning && this.#withPlaces(index, lightning),
      ...this.#placeCache(index, { arena, keysBytes, valuesBytes }),
    });
  }

  /** Of a tower all layers of an arena have one, or of what reads: it is of no use behind them. */
  #placeCache(
    index: number,
    { arena, keysBytes, valuesBytes }: ReturnType<typeof cacheBytes> & { readonly arena: number },
  ): Pick<LayerPlan, CacheName> {
    const { layers } = this.#in.model.config;
    const isShort = this.#projector !== null || layers[index].stage === "reads";
    if (isShort && this.#caches[arena] !== undefined) return this.#caches[arena];
    const indexedBytes = indexedKeysOf(this.#in, index);
    const cache = {
      keysOffsetBytes: this.#arena.allocate(`blk.${index}.keys`, "kv", keysBytes),
      valuesOffsetBytes: this.#arena.allocate(`blk.${index}.values`, "kv", valuesBytes),
      indexedKeysOffsetBytes: indexedBytes === 0
        ? 0
        : this.#arena.allocate(`blk.${index}.indexed`, "kv", indexedBytes),
    };
    if (isShort) this.#caches[arena] = cache;
    return cache;
  }

  /** What keeps states, with places for them. */
  #withPlaces<P extends { readonly placeBytes: number }>(index: number, plan: P) {
    const bytes = this.#statePlaces * plan.placeBytes;
    return { ...plan, placesOffsetBytes: this.#arena.allocate(`blk.${index}.states`, "kv", bytes) };
  }

  #placeOnGpu(index: number, device: DevicePlacer): void {
    const arena = this.#arenas.length - 1;
    const shared = sameWeights(this.#layers, index, { ...this.#in, arena });
    const { layer, keptBytes } = planOnGpu(this.#in, index, {
      ...{ arena, shared, statePlaces: this.#statePlaces },
      weights: shared ?? planLayer(device, this.#layerInput(index)),
      place: this.#isAlone ? device : this,
    });
    this.#deviceKvBytes = this.#in.model.config.isEncoder
      ? Math.max(this.#deviceKvBytes, keptBytes) // layers share it
      : this.#deviceKvBytes + keptBytes;
    this.#layers.push(layer);
  }

  placeOutput(): void {
    const { model, model: { config, tensors }, shard } = this.#in;
    if (this.#projector !== null) return this.#placeProjector(this.#projector, model);
    if (config.tiedEmbeddings) return;
    const place = this.#device ?? this;
    this.#output = {
      outputNorm: norm(place, tensors.outputNorm),
      output: place.matrix(tensors.output, { rows: shard.vocab }),
      outputArena: this.#arenas.length - 1,
      guessNorm: norm(this, this.#in.model.tensors.guess?.outputNorm ?? null),
    };
  }

  /** What the layer behind the last one guesses with. */
  placeGuess(): void {
    const { model: { tensors }, rankIndex, options: { rankCount } } = this.#in;
    const arena = this.#arenas.length - 1;
    this.#guess = planGuess(this, tensors, { arena, rankIndex, rankCount });
  }

  #placeProjector(share: ProjectorShare, model: ModelDescription): void {
    const place = this.#device ?? this;
    this.#output = {
      outputNorm: norm(place, model.tensors.outputNorm),
      output: this.#embedding!.embedding,
      outputArena: this.#arenas.length - 1,
      guessNorm: null,
    };
    this.#projectorPlan = planProjector(place, model, share, {
      ...{ adds: this.#leads, sizes: this.#in.options.sizes },
    });
  }

  vector(vector: VectorTensor, range?: Range, picked?: MatrixPart["picked"]): VectorPlan {
    return placeVector(this.#bytes, vector, { range, picked });
  }

  matrix(matrix: MatrixTensor, part: MatrixPart): MatrixPlan {
    // Before its workspace is laid out, an arena is only measured.
    const scratch = this.#workspaces.at(-1) ?? NO_SCRATCH;
    const { layouts } = this.#in;
    return placeMatrix(this.#bytes, matrix, { ...part, layouts, scratch });
  }

  get #bytes(): PlaceBytes {
    return (name, sizeBytes, alignBytes) => this.#allocate(name, sizeBytes, alignBytes);
  }

  /** Predictors that the model has are wanted. */
  get #hasPredictors(): boolean {
    const { layouts, options } = this.#in;
    return layouts.isSparse && options.hasPredictors !== false;
  }

  get #isAlone(): boolean {
    return this.#in.isOnGpu && this.#in.options.rankCount === 1;
  }

  get #statePlaces(): number {
    const { model: { config }, options } = this.#in;
    return this.#isAlone
      ? chainedStatePlaces(config, options.sequences)
      : statePlacesOf(config, options);
  }

  build(): RankPlan {
    const { options, shard, rankIndex, kvType, adapters, model: { config } } = this.#in;
    const kvBytes = this.#deviceKvBytes;
    check(this.#embedding !== null && this.#output !== null, "everything is placed");
    return {
      ...{ rankIndex, rankCount: options.rankCount, shard },
      gpu: this.#device && planGpu(this.#in, this.#device, { kvBytes, isAlone: this.#isAlone }),
      longSteps: options.gpu?.longSteps ?? null,
      arenas: this.#arenas.map((arena) => arena.build()),
      ...{ workspaces: this.#workspaces, strides: this.#strides },
      ...{ ...this.#embedding, ...this.#ofPatches! },
      ...{ embeddingNorm: this.#embeddingNorm, tokenKind: this.#tokenKind },
      ...{ tokenInputs: this.#tokenInputs, positions: this.#positions, ...this.#streams! },
      ...{ layers: this.#layers, guess: this.#guess, ...this.#output },
      ...{ projector: this.#projectorPlan, stagingBytes: this.#stagingBytes },
      logitsRows: this.#projector?.rowsMax ?? logitsRows(config, options.chunkTokens),
      ...{ chunkTokens: options.chunkTokens, contextLength: options.contextLength },
      sequences: options.sequences ?? 1,
      kvBlocks: kvBlocksOf(options),
      ...{ statePlaces: this.#statePlaces, kvType, adapters },
      isSparse: this.#in.layouts.isSparse,
      stream: this.#in.units?.stream ?? null,
    };
  }
}

function isSameRange(a: Range, b: Range): boolean {
  return a.start === b.start && a.end === b.end;
}
