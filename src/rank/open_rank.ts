/** Makes a rank out of what was posted to its thread, and runs the steps its leader publishes. */
import type { Kernels } from "../../wasm/kernels.ts";
import { instantiateKernels } from "../../wasm/mod.ts";
import { check } from "../base/check.ts";
import { RequestError } from "../base/errors.ts";
import { openTensors } from "../adapter/merge_rows.ts";
import type { TensorReader } from "../gguf/tensor_reader.ts";
import type { GgufPart, GgufTensor } from "../gguf/types.ts";
import { type BoardSetup, type FileStamp, KernelQueue } from "../io/mod.ts";
import { Control, type StepWords } from "../memory/control.ts";
import { SharedText } from "../memory/shared_text.ts";
import type { Observation } from "../memory/observation.ts";
import {
  STEP_KIND_DRAFT,
  STEP_KIND_EXIT,
  STEP_KIND_FORWARD,
  STEP_KIND_GUESS,
  STEP_KIND_READ,
  STEP_KIND_REHEARSE,
} from "../memory/control_layout.ts";
import { ropeFrequencies } from "../model/rope.ts";
import { biasTables } from "../model/score_biases.ts";
import type { ModelConfig } from "../model/types.ts";
import type { TowerInput } from "../model/vision_types.ts";
import { GivenTable } from "./step/given_rows.ts";
import type { KeptRows } from "./blocks/kept_rows.ts";
import { openKept } from "./blocks/open_kept.ts";
import { ropeFactors, vectorOf } from "./load/small_vectors.ts";
import { loadWeights } from "./load/load_weights.ts";
import type { Gpu } from "../../gpu/mod.ts";
import type { GpuRank } from "./gpu/gpu_rank.ts";
import type { GpuHost, GpuSetup } from "./gpu/gpu_setup.ts";
import type { TokenChain } from "./gpu/token_chain.ts";
import { openQueue } from "./stream/open_queue.ts";
import { controlSize } from "./plan/control_size.ts";
import type { RankPlan } from "./plan/plan_types.ts";
import type { RankSteps } from "./rank_steps.ts";
import { type PackedUnits, Streaming } from "./stream/streaming.ts";
import { Rank } from "./rank.ts";
import type { StepStateInput } from "./step/step_state.ts";
import { tableInFile } from "./plan/table_in_file.ts";
import type { TokenRows } from "./blocks/token_table.ts";
import { tuneKernels } from "./load/tune.ts";
import { type Walked, walkOf } from "./walk.ts";

/** Everything a thread needs to become a rank; plain data and shared objects, can be posted. */
export interface RankSetup {
  readonly rankIndex: number;
  readonly plans: readonly RankPlan[];
  readonly config: ModelConfig;
  /** Tensors that the plans name, and the files they are in. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly parts: readonly GgufPart[];
  readonly module: WebAssembly.Module;
  /** [rank][arena]. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  readonly controlBuffer: SharedArrayBuffer;
  /** Where ranks show what their neurons do; null unless the engine is to be observed. */
  readonly observation: Observation | null;
  /** The GPU that a rank of the plans is on; null: none is. */
  readonly gpu: GpuSetup | null;
  /** What a packed model streams from, and where it asks for reads; null: it is no packed one. */
  readonly streams: {
    readonly packed: PackedUnits;
    readonly board: BoardSetup;
    /** Threads that read; 0: none, the kernel does it. */
    readonly ioWorkers: number;
    /** What the file must be. */
    readonly stamp: FileStamp | null;
    /** A `SharedText`: why the last step is void. */
    readonly failure: SharedArrayBuffer;
  } | null;
}

/** A second model that the same ranks compute, in steps of a kind of their own. */
export type DraftSetup = Pick<RankSetup, "plans" | "config" | "tensors" | "parts" | "memories">;

/** What a rank reads while it loads. */
interface Opening {
  readonly setup: RankSetup;
  readonly plan: RankPlan;
  readonly control: Control;
  readonly kernels: readonly Kernels[];
  readonly reader: TensorReader;
  readonly tell: (bytes: number) => void;
  readonly given: GivenTable;
  readonly kept: KeptRows | null;
}

/** What is given back when the rank is not needed any more. */
interface Held {
  readonly gpu?: Gpu;
  readonly gpuRank?: GpuRank;
  readonly queue?: KernelQueue;
  readonly tokenRows?: TokenRows | null;
}

/** A rank with its weights loaded. */
export class RankRunner {
  readonly plan: RankPlan;
  readonly control: Control;
  readonly setup: RankSetup;
  /** Bound to this rank's arenas, one each. */
  readonly kernels: readonly Kernels[];
  /** Rows that prompts bring along, of whoever leads. */
  readonly given: GivenTable;
  /** What guesses are made of, of whoever leads; null: nothing guesses. */
  readonly kept: KeptRows | null;
  /** Who takes the steps. */
  readonly rank: Pick<RankSteps, "begin">;
  readonly #walked: Walked;
  readonly #held: Held;
  /** 0: it is not to be lost. */
  #stepsToLoss: number;

  private constructor(
    { setup, plan, control, kernels, given, kept }: Opening,
    walked: Walked,
    held: Held = {},
  ) {
    this.rank = walked.rank;
    this.setup = setup;
    this.plan = plan;
    this.control = control;
    this.kernels = kernels;
    this.given = given;
    this.kept = kept;
    this.#walked = walked;
    this.#held = held;
    this.#stepsToLoss = setup.gpu?.lossAtStep ?? 0;
  }

  /**
   * Loads the rank's weights. Blocks the thread while it does.
   * @throws {ModelFormatError} when the model's files changed or cannot be read.
   * @throws {Error} when another thread has failed meanwhile.
   */
  static open(
    setup: RankSetup,
    onProgress: (bytes: number) => void,
    control = controlOf(setup),
  ): RankRunner {
    using reader = openTensors({ parts: setup.parts });
    const opening = prepare(setup, reader, control, onProgress);
    const { plan, kernels, tell } = opening;
    const memories = setup.memories[setup.rankIndex];
    const queue = setup.streams && openQueue(setup, setup.streams);
    const streaming = setup.streams && new Streaming({
      ...{ plan, kernels, memories },
      packed: setup.streams.packed,
      queue: queue!,
      failure: new SharedText(setup.streams.failure),
    });
    try {
      streaming?.load(tell);
    } catch (error) {
      if (queue instanceof KernelQueue) queue.close();
      throw error;
    }
    const tokenRows = openTokenRows(setup, plan);
    const rank = new Rank({
      ...stepInput(opening),
      kernels: tuneKernels(plan, {
        pairs: kernels,
        makeFours: () =>
          memories.map((memory) => instantiateKernels(setup.module, memory, { sumsByFours: true })),
      }),
      control,
      observation: setup.observation,
      streaming,
      tokenRows,
      ...opening.kept && { keptRows: opening.kept },
    });
    const walked = walkOf(rank, {
      finalRows: () => rank.finalRows(),
      takePatches: (input) => rank.takePatches(input),
      lastRows: () => rank.lastRows(),
      tap: (rows, layers) => rank.tap(rows, layers),
    });
    const held = { tokenRows, ...queue instanceof KernelQueue && { queue } };
    return new RankRunner(opening, walked, held);
  }

  /** Loads the rank's weights of a second model, whose steps come through the same words. */
  static openDraft(
    main: RankRunner,
    draft: DraftSetup,
    onProgress: (bytes: number) => void,
  ): RankRunner {
    const alone = { observation: null, gpu: null, streams: null };
    const setup = { ...main.setup, ...draft, ...alone };
    const runner = RankRunner.open(setup, onProgress, main.control);
    const { fusion } = draft.config.guess ?? {};
    if (fusion && runner.kept) main.#walked.tap!(runner.kept, fusion.layers);
    return runner;
  }

  /**
   * Opens the GPU and loads the rank's weights onto it.
   * @throws {GpuUnavailableError | GpuOutOfMemoryError} when there is none that has room for them.
   */
  static async openOnGpu(
    setup: RankSetup,
    onProgress: (bytes: number) => void,
    host: GpuHost = {},
  ): Promise<RankRunner> {
    check(setup.gpu !== null, "a plan with a GPU says which");
    // More than half of what a thread would load, and nothing to a thread that has no GPU.
    const { openGpu, tuneKernels: tuneGpuKernels } = await import("../../gpu/mod.ts");
    const { GpuRank } = await import("./gpu/gpu_rank.ts");
    const gpu = await openGpu({
      adapter: setup.gpu.mayBeSoftware ? "fallback-allowed" : "default",
      priority: setup.gpu.priority,
      memoryBytes: setup.gpu.memoryBytes ?? undefined,
    });
    try {
      // Software would take longer to try the shaders than it could save.
      const { tuning } = setup.gpu;
      if (!gpu.info.isFallback || tuning !== null) await tuneGpuKernels(gpu, tuning);
      using reader = host.reader ?? openTensors({ parts: setup.parts });
      const opening = prepare(setup, reader, controlOf(setup), onProgress);
      const { control, tell } = opening;
      const { tensors, module, streams } = setup;
      const { awaitsLogits } = host;
      const tokenRows = openTokenRows(setup, opening.plan, host.reader);
      const rank = await GpuRank.open({
        ...stepInput(opening),
        ...{ gpu, control, tensors, reader, onProgress: tell, awaitsLogits, tokenRows },
        packed: streams && { ...streams.packed, module },
        // Software is never fast enough for it, and slow to compile what it takes.
        hasChain: setup.gpu.waitMs === null ? !gpu.info.isFallback : setup.gpu.waitMs > 0,
      });
      const walked = walkOf(rank, {
        ...rank.hasFinalRows && { finalRows: () => rank.finalRows() },
        takePatches: (input) => rank.takePatches(input),
      });
      return new RankRunner(opening, walked, { gpu, gpuRank: rank, tokenRows });
    } catch (error) {
      gpu.close();
      throw error;
    }
  }

  /** Several tokens a wait; null: there is no GPU that could. */
  get chain(): TokenChain | null {
    return this.#held.gpuRank?.chain ?? null;
  }

  /**
   * The step's logits are in the arena then, where they are awaited.
   * @throws {GpuLostError} when the GPU is gone or the step came to nothing.
   */
  async arrived(): Promise<void> {
    await this.#held.gpuRank?.arrived();
  }

  /**
   * The residual stream of the step that has ended behind the model's last norm, all its tokens,
   * [n, strides.embedding]: a view that the next step overwrites.
   * @throws {RequestError} 501 where it lies on a GPU that the thread cannot wait for.
   */
  finalRows(): Float32Array {
    if (this.#walked.finalRows !== undefined) return this.#walked.finalRows();
    throw new RequestError(
      "Cannot make a vector of the text while the GPU has the whole model: start with --gpu off",
      { status: 501, code: "unsupported" },
    );
  }

  /** Rows of the step that has ended, as guesses read them, [n, strides.embedding]: a view. */
  lastRows(): Float32Array {
    check(this.#walked.lastRows !== undefined, "threads guess");
    return this.#walked.lastRows();
  }

  /** What a tower's next step is of. */
  takePatches(input: TowerInput): void {
    check(this.#walked.takePatches !== undefined, "a rank that leads");
    this.#walked.takePatches(input);
  }

  /** Gives back what is not freed with the thread: a GPU, reads of the kernel. */
  close(): void {
    this.#held.gpu?.close();
    this.#held.queue?.close();
    this.#held.tokenRows?.reader.close();
  }

  /**
   * A follower's life: step after step until the leader says exit. Blocks the thread.
   * draft: takes the steps that are the second model's.
   */
  followSteps(draft: RankRunner | null = null): void {
    const step = this.control.newStep();
    for (;;) {
      this.control.awaitStep(step);
      if (step.kind === STEP_KIND_EXIT) return;
      const isGuess = step.kind === STEP_KIND_GUESS && draft?.plan.guess;
      const runner = step.kind === STEP_KIND_DRAFT || isGuess ? draft : this;
      check(runner !== null, "guesses of a model that was loaded");
      runner.runStep(step);
    }
  }

  /**
   * Runs one step to its end, together with all other ranks.
   * @returns false when the step was aborted.
   */
  runStep(step: StepWords): boolean {
    if (step.kind === STEP_KIND_READ) {
      this.#readWeights();
      return this.control.join();
    }
    const isKnown = step.kind === STEP_KIND_FORWARD || step.kind === STEP_KIND_REHEARSE ||
      step.kind === STEP_KIND_DRAFT || step.kind === STEP_KIND_GUESS;
    check(isKnown, "a step is read, forward, rehearsal, draft, guess or exit");
    if (this.#stepsToLoss > 0 && --this.#stepsToLoss === 0) this.#held.gpu?.device.destroy();
    return this.#walked.walk(step);
  }

  /** Reads all weights once and does nothing with them: the roof of decoding. */
  #readWeights(): void {
    const { plans, rankIndex } = this.setup;
    plans[rankIndex].arenas.forEach((arena, index) => {
      for (const region of arena.regions) {
        if (region.kind !== "weights") continue;
        this.kernels[index].read_only(region.offsetBytes, region.sizeBytes & ~255);
      }
    });
  }
}

/** What a table that stays in the file is read with, for as long as the rank lives. */
export function openTokenRows(
  { tensors, parts }: Pick<RankSetup, "tensors" | "parts">,
  plan: RankPlan,
  reader?: TensorReader,
): TokenRows | null {
  const table = tableInFile(plan);
  if (table === undefined) return null;
  const tensor = tensors.get(table);
  check(tensor !== undefined, "a table was posted with the plan");
  return { tensor, reader: reader ?? openTensors({ parts }) };
}

/** Loads what lies in arenas, on a GPU's rank a part of it. */
function prepare(
  setup: RankSetup,
  reader: TensorReader,
  control: Control,
  onProgress: (bytes: number) => void,
): Opening {
  const { rankIndex, plans, tensors, memories, module } = setup;
  const plan = plans[rankIndex];
  const kernels = memories[rankIndex].map((memory) => instantiateKernels(module, memory));
  const tell = (bytes: number) => {
    if (control.failedRank() >= 0) throw new Error("Loading was given up elsewhere");
    onProgress(bytes);
  };
  loadWeights({ plan, tensors, reader, kernels, memories: memories[rankIndex], onProgress: tell });
  const given = new GivenTable(setup.config);
  const kept = openKept(setup, reader);
  return { setup, plan, control, kernels, reader, tell, given, kept };
}

/** The rank's hold on the words that steer all of them. */
function controlOf({ controlBuffer, plans, rankIndex, streams }: RankSetup): Control {
  const plan = plans[rankIndex];
  return new Control(controlBuffer, {
    rankCount: plans.length,
    ...controlSize(plan),
    leads: rankIndex === 0,
    // Once a model is in memory as a whole, who read it sleeps.
    otherThreads: plan.stream?.slotBytes ? streams?.ioWorkers : 0,
  });
}

function stepInput({ setup, kernels, reader, given }: Opening): StepStateInput {
  const { config, plans, rankIndex, memories, tensors } = setup;
  return {
    ...{ config, plans, rankIndex, memories, kernels },
    ...rankIndex === 0 && { given },
    ropeFrequencies: config.ropes.map((rope) =>
      ropeFrequencies(rope, ropeFactors(rope, tensors, reader))
    ),
    ...config.scoreBiases && {
      scoreBiases: biasTables(config.scoreBiases)
        .map((table) => vectorOf(table, tensors, reader)),
    },
  };
}
