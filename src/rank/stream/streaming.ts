/**
 * What a rank of a packed model streams with: its units, a cache of slots and a reader for each
 * arena, its queue of reads. Fills what is resident, then serves the feed-forward blocks, and rows
 * of an embedding table that is not in memory.
 */
import type { Kernels } from "../../../wasm/kernels.ts";
import type { PackedModel } from "../../bundle/types.ts";
import { NeuronCache } from "../../cache/mod.ts";
import { CacheSplit } from "./cache_split.ts";
import { NeuronReads } from "./neuron_reads.ts";
import { countsView } from "../step/counts_view.ts";
import { EmbeddingRows } from "./embedding_rows.ts";
import type { Reads } from "../../io/mod.ts";
import { type Dense, hasAllGates, type Streamed } from "../bound/bound_blocks.ts";
import type { Layer } from "../bound/layer.ts";
import { loadUnits } from "../load/load_units.ts";
import type { SharedText } from "../../memory/shared_text.ts";
import { type OwnUnit, ownUnits, streamedUnits } from "../plan/own_units.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { StagedUnits } from "./staged_units.ts";
import type { StepState } from "../step/step_state.ts";
import type { Residual } from "../step/residual.ts";
import { StreamedBlock } from "./streamed_block.ts";
import { UnitPlaces } from "./unit_places.ts";
import { UnitReader } from "../load/unit_reader.ts";

/** What ranks need to know of a packed file; plain data. */
export type PackedUnits = Pick<PackedModel, "path" | "units">;

export interface StreamingInput {
  readonly plan: RankPlan;
  readonly packed: PackedUnits;
  readonly queue: Reads;
  /** Where the leader finds why a step is void. */
  readonly failure: SharedText;
  /** This rank's, one per arena. */
  readonly memories: readonly WebAssembly.Memory[];
  readonly kernels: readonly Kernels[];
}

export class Streaming {
  /** Null: the embedding table is in memory. */
  readonly embeddingRows: EmbeddingRows | null;
  readonly #input: StreamingInput;
  readonly #units: ReadonlyMap<number, OwnUnit>;
  readonly #caches: readonly NeuronCache[];
  /** By arena; empty where the border in slots is the same for any number of sequences. */
  readonly #splits: readonly CacheSplit[];
  readonly #reads: NeuronReads;
  readonly #readers: readonly UnitReader[];
  readonly #stages: StagedUnits;
  #neurons: StreamedBlock | null = null;
  /** By layer. */
  #predicted: readonly (Layer | null)[] = [];

  constructor(input: StreamingInput) {
    const { plan, packed, queue, failure, memories, kernels } = input;
    const stream = plan.stream!;
    this.#input = input;
    this.#units = ownUnits(plan, packed.units);
    this.#caches = memories.map((_, arena) => this.#cacheOf(arena));
    const counts = countsView(plan, memories[0]);
    this.#reads = new NeuronReads({ stream, queue, counts });
    this.#splits = new Set(stream.hotClusters).size === 1
      ? []
      : memories.map((_, arena) => this.#splitOf(arena));
    this.embeddingRows = plan.embeddingInFile &&
      new EmbeddingRows({ plan, kernels: kernels[0], queue, counts, failure });
    this.#readers = memories.map((memory, arena) =>
      new UnitReader({
        ...{ arena, memory, kernels: kernels[arena], stream, queue, counts },
        space: plan.workspaces[arena].stream!,
      })
    );
    this.#stages = new StagedUnits(memories.map((memory, arena) => ({
      memory,
      reader: this.#readers[arena],
      // What is in memory is not asked for ahead.
      units: streamedUnits(plan, this.#units, arena),
      counts,
      places: new UnitPlaces(stream.stagePlaces, packed.units.length),
      placeBytes: plan.workspaces[arena].stream!.placeBytes,
    })));
  }

  /**
   * Fills whole units, gates, factors, and slots.
   * @throws {ModelFormatError} when the file cannot be read any more.
   */
  load(onProgress: (bytes: number) => void): void {
    const { plan, packed, queue, memories } = this.#input;
    loadUnits({
      ...{ plan, queue, onProgress, units: this.#units },
      path: packed.path,
      arenas: memories.map((memory, arena) => ({
        memory,
        reader: this.#readers[arena],
        cache: this.#caches[arena],
      })),
    });
  }

  /**
   * The layer, where neurons of it are on disk with their gates, and predicted, to be asked for
   * ahead; else null.
   */
  predicted(layer: number): Layer | null {
    return this.#predicted[layer] ?? null;
  }

  /** Makes ready for steps. */
  attach(
    state: StepState,
    { residual, layers }: { residual: Residual; layers: readonly Layer[] },
  ): void {
    const { memories, failure, plan } = this.#input;
    const { steps } = plan.stream!;
    this.#predicted = layers.map((layer) => {
      const { feedForward } = layer;
      if (feedForward === null) return null;
      const blocks = feedForward.kind === "experts" ? feedForward.experts : [feedForward];
      const isOnDisk = blocks.some(({ kind }) => kind === "streamed") && !blocks.some(hasAllGates);
      return steps.pipeline && isOnDisk && feedForward.predictor !== null ? layer : null;
    });
    const reads = this.#reads;
    const streams = this.#caches.map((cache) => ({ cache, units: this.#units }));
    this.#neurons = new StreamedBlock(state, { residual, memories, reads, streams, failure });
  }

  /** Begins a step, while so many sequences are under way. */
  beginStep(sequences: number): void {
    for (const cache of this.#caches) cache.beginStep(); // what it uses, it uses later than before
    for (const split of this.#splits) split.follow(sequences);
  }

  /** For blocks that one token lists. */
  get neurons(): StreamedBlock {
    return this.#neurons!;
  }

  /** A unit as a whole, until the next call. next, passes: staged_units.ts. */
  bring(block: Streamed, arena: number, next: number, passes: boolean): Dense {
    const { pipeline } = this.#input.plan.stream!.steps;
    const failure = this.#stages.bring(block, arena, pipeline ? next : -1, passes);
    if (failure !== "") this.#input.failure.leave(failure);
    return block.inPlace;
  }

  #splitOf(arena: number): CacheSplit {
    const { plan, memories } = this.#input;
    const { slotBytes, hotClusters: goals } = plan.stream!;
    return new CacheSplit({
      ...{ arena, goals, reads: this.#reads, cache: this.#caches[arena] },
      units: streamedUnits(plan, this.#units, arena),
      slots: {
        bytes: new Uint8Array(memories[arena].buffer),
        at: plan.workspaces[arena].stream!.slots,
        slotBytes,
      },
    });
  }

  #cacheOf(arena: number): NeuronCache {
    const { plan, packed } = this.#input;
    const own = packed.units.map((_, unit) => this.#units.get(unit) ?? null);
    const inArena = own.map((unit) => unit?.arena === arena ? unit : null);
    const { slotCount } = plan.workspaces[arena].stream!;
    return new NeuronCache({
      slotCount,
      hotClusters: plan.stream!.hotClusters[0],
      unitNeurons: inArena.map((unit) => unit?.count ?? 0),
      unitStripes: inArena.map((unit) => unit?.stripes ?? 1),
      unitOrders: inArena.map((unit) => unit?.order ?? new Uint32Array()),
    });
  }
}
