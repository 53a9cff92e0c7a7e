/** Makes a rank out of what was posted to its thread, and runs the steps its leader publishes. */
import type { Kernels } from "../../wasm/kernels.ts";
import { instantiateKernels } from "../../wasm/mod.ts";
import { check } from "../base/check.ts";
import { TensorReader } from "../gguf/mod.ts";
import type { GgufPart, GgufTensor } from "../gguf/types.ts";
import { type BoardSetup, ReadQueue, SPAN_BYTES_MAX } from "../io/mod.ts";
import { Control, type StepWords } from "../memory/control.ts";
import { SharedText } from "../memory/shared_text.ts";
import type { Observation } from "../memory/observation.ts";
import {
  STEP_KIND_EXIT,
  STEP_KIND_FORWARD,
  STEP_KIND_READ,
  STEP_KIND_REHEARSE,
} from "../memory/control_layout.ts";
import { dequantize } from "../model/dequantize.ts";
import { ropeFrequencies } from "../model/rope.ts";
import type { ModelConfig, RopeConfig } from "../model/types.ts";
import { forward } from "./forward.ts";
import { loadWeights } from "./load_weights.ts";
import type { RankPlan } from "./plan_types.ts";
import { type PackedUnits, Streaming } from "./streaming.ts";
import { Rank } from "./rank.ts";
import { tuneKernels } from "./tune.ts";

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
  /** What a packed model streams from, and where it asks for reads; null: it is no packed one. */
  readonly streams: {
    readonly packed: PackedUnits;
    readonly board: BoardSetup;
    /** Threads that read. */
    readonly ioWorkers: number;
    /** A `SharedText`: why the last step is void. */
    readonly failure: SharedArrayBuffer;
  } | null;
}

/** A rank with its weights loaded. */
export class RankRunner {
  readonly rank: Rank;
  readonly control: Control;
  readonly setup: RankSetup;
  /** Bound to this rank's arenas, one each. */
  readonly kernels: readonly Kernels[];

  private constructor(setup: RankSetup, onProgress: (bytes: number) => void) {
    const { rankIndex, plans, config, tensors, parts, memories } = setup;
    const plan = plans[rankIndex];
    this.setup = setup;
    this.control = new Control(setup.controlBuffer, {
      rankCount: plans.length,
      chunkTokens: plan.chunkTokens,
      leads: rankIndex === 0,
      otherThreads: setup.streams?.ioWorkers,
    });
    this.kernels = memories[rankIndex].map((memory) => instantiateKernels(setup.module, memory));
    using reader = TensorReader.open({ parts });
    const factors = config.ropes.map((rope) => ropeFactors(rope, tensors, reader));
    const { kernels } = this;
    const tell = (bytes: number) => {
      if (this.control.failedRank() >= 0) throw new Error("Loading was given up elsewhere");
      onProgress(bytes);
    };
    const own = memories[rankIndex];
    loadWeights({ plan, tensors, reader, kernels, memories: own, onProgress: tell });
    const streaming = setup.streams && new Streaming({
      ...{ plan, kernels, memories: own },
      packed: setup.streams.packed,
      queue: new ReadQueue(setup.streams.board, rankIndex, {
        path: setup.streams.packed.path,
        gapBytesMax: plan.stream!.gapBytes,
        spanBytesMax: SPAN_BYTES_MAX,
      }),
      failure: new SharedText(setup.streams.failure),
    });
    streaming?.load(tell);
    this.rank = new Rank({
      config,
      plans,
      rankIndex,
      ropeFrequencies: config.ropes.map((rope, index) => ropeFrequencies(rope, factors[index])),
      kernels: tuneKernels(plan, kernels),
      memories,
      control: this.control,
      observation: setup.observation,
      streaming,
    });
  }

  /**
   * Loads the rank's weights. Blocks the thread while it does.
   * @throws {ModelFormatError} when the model's files changed or cannot be read.
   * @throws {Error} when another thread has failed meanwhile.
   */
  static open(setup: RankSetup, onProgress: (bytes: number) => void): RankRunner {
    return new RankRunner(setup, onProgress);
  }

  /** A follower's life: step after step until the leader says exit. Blocks the thread. */
  followSteps(): void {
    const step: StepWords = { kind: 0, tokenCount: 0, position: 0, logitsCount: 0 };
    for (;;) {
      this.control.awaitStep(step);
      if (step.kind === STEP_KIND_EXIT) return;
      this.runStep(step);
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
    const isKnown = step.kind === STEP_KIND_FORWARD || step.kind === STEP_KIND_REHEARSE;
    check(isKnown, "a step is read, forward, rehearsal or exit");
    this.rank.begin(step);
    return forward(this.rank);
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

/** Frequency divisors of the rotary embedding, where the model carries them. */
function ropeFactors(
  rope: RopeConfig,
  tensors: ReadonlyMap<string, GgufTensor>,
  reader: TensorReader,
): Float32Array | null {
  if (rope.factors === null) return null;
  const { tensor: name, start, length } = rope.factors;
  const tensor = tensors.get(name);
  check(tensor !== undefined, `tensor ${name} was posted with the plan`);
  return dequantize(tensor.type, reader.readAll(tensor)).subarray(start, start + length);
}
