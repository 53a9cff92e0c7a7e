/**
 * A layer's share on the GPU: its blocks as lists of dispatches. What is different between families
 * is decided here, once, when the lists are made. Steps of tokens of a sequence each have lists of
 * their own, of fewer dispatches where the layer allows it. Knows nothing of threads.
 */
import type { KvCache, OneInput, ProgramBuilder, Routes, Rows, When } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { LayerPlan, NormPlan } from "../plan/plan_types.ts";
import { denseParts } from "./dense_parts.ts";
import { addExpertsApart } from "./experts_apart.ts";
import {
  addChoice,
  addExperts,
  addShared,
  type ExpertsWeights,
  loadExperts,
  readersOf,
} from "./gpu_experts.ts";
import { addBypass, correctLayer, guessLayer, joinBypass, type LayerAltUp } from "./gpu_alt_up.ts";
import { addLayerInput } from "./gpu_inputs.ts";
import { endKept } from "./gpu_kept.ts";
import { loadMixers, type Mixer } from "./gpu_mixers.ts";
import { type LayerEnd, loadLayerEnd } from "./layer_end.ts";
import { addNorm, fire, type NormReaders } from "./layer_operations.ts";
import {
  addToStream,
  type Following,
  type LeaveAs,
  leaveProduct,
  nextHalf,
} from "./stream_updates.ts";
import type { GpuSpace } from "./gpu_space.ts";
import {
  type GpuNorm,
  type LayerLoading,
  loadNeurons,
  loadNorm,
  type NeuronPart,
  type NeuronWeights,
} from "./layer_weights.ts";

export interface GpuLayerInput extends LayerLoading {
  readonly space: GpuSpace;
  /** Null where no layer has experts on the GPU. */
  readonly routes: Routes | null;
  /** In steps of so many tokens all its neurons are computed; Infinity: see dense_parts.ts. */
  readonly allFromTokens: number;
  /** The residual stream is on the GPU, and what blocks leave is added to it there. */
  readonly isAlone: boolean;
}

/** Steps that a block's dispatches are for, and what is before and behind it in them. */
interface Steps extends Following {
  /** What the block reads, where the block before has left it; null: it makes its norm itself. */
  readonly before: OneInput | null;
}

/** What a layer leaves for the next one to read, by steps as below; null: the stream alone. */
export interface LayerLeft {
  readonly apart: OneInput | null;
  readonly together: OneInput | null;
}

export const NOTHING_LEFT: LayerLeft = { apart: null, together: null };

/** Steps of one token, or of one each of several sequences; and of several of one sequence. */
const APART: When = { isApart: true };
const TOGETHER: When = { isApart: false };
/** Beside others blocks leave partial sums, and nobody knows what comes next. */
const NOTHING_KNOWN = { before: null, next: null, factor: null };

export class GpuLayer {
  readonly index: number;
  readonly arena: number;
  readonly isParallel: boolean;
  readonly plan: LayerPlan;
  /** Heads of a token are normalised as one vector: ranks join for it. */
  readonly joinsNorms: boolean;
  readonly #in: GpuLayerInput;
  /** Of heads, or of what is in their place, and the norm that they read. */
  readonly #mixers: readonly Mixer[];
  readonly #mixersNorm: GpuNorm | null;
  readonly #neurons: NeuronWeights | null;
  readonly #experts: ExpertsWeights | null;
  readonly #postNorms: { attention: GpuNorm | null; feedForward: GpuNorm | null };
  readonly #end: LayerEnd;

  private constructor(
    input: GpuLayerInput,
    weights: {
      mixers: readonly Mixer[];
      mixersNorm: GpuNorm | null;
      neurons: NeuronWeights | null;
      experts: ExpertsWeights | null;
      postNorms: { attention: GpuNorm | null; feedForward: GpuNorm | null };
      end: LayerEnd;
    },
  ) {
    const { plan, config, index } = input;
    this.index = index;
    this.arena = plan.arena;
    this.isParallel = config.hasParallelBlocks;
    this.plan = plan;
    this.joinsNorms = [plan.queryNorm, plan.keyNorm].some((each) => each?.span === "projection");
    this.#in = input;
    this.#mixers = weights.mixers;
    this.#mixersNorm = weights.mixersNorm;
    this.#neurons = weights.neurons;
    this.#experts = weights.experts;
    this.#postNorms = weights.postNorms;
    this.#end = weights.end;
  }

  /** Loads the share. @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
  static async load(input: GpuLayerInput): Promise<GpuLayer> {
    const { plan, isAlone, allFromTokens } = input;
    const postNorm = async (norm: NormPlan | null) => isAlone ? await loadNorm(input, norm) : null;
    const mixers = await loadMixers(input);
    return new GpuLayer(input, {
      mixers,
      mixersNorm: mixers.length === 0 ? null : await loadNorm(input, plan.attentionNorm),
      neurons: await loadNeurons(input, denseParts(plan, allFromTokens)),
      experts: await loadExperts(input),
      postNorms: {
        attention: await postNorm(plan.attentionPostNorm),
        feedForward: await postNorm(plan.feedForwardPostNorm),
      },
      end: await loadLayerEnd(input),
    });
  }

  /** Its keys and values, which layers behind it may read; null: it has none. */
  get cache(): KvCache | null {
    return this.#mixers.find(({ cache }) => cache !== null)?.cache ?? null;
  }

  get hasMixers(): boolean {
    return this.#mixers.length > 0;
  }

  get hasNeurons(): boolean {
    return this.#neurons !== null || this.#experts !== null;
  }

  /** It computes neurons in steps of so many tokens and more. */
  get neuronsFromTokens(): number {
    if (this.#experts !== null) return 1;
    return this.#neurons?.parts[0].fromTokens ?? Infinity;
  }

  /** What reads the stream where the layer begins; null: nothing, or not through a norm. */
  get readers(): NormReaders | null {
    if (!this.hasMixers) return this.#readersBetween;
    const norm = this.#mixersNorm;
    return norm && { norm, matrices: this.#mixers.flatMap(({ readers }) => readers) };
  }

  /** f32 [d], added to the stream behind the layer; null: nothing is, or not here. */
  get direction(): GPUBuffer | null {
    return this.#end.direction;
  }

  /** Where the output is behind it, it can leave half of that norm: nothing else ends it. */
  get leavesHalves(): boolean {
    return Object.values({ ...this.#end, ...this.#postNorms }).every((each) => each === null);
  }

  /** The same between its blocks. */
  get #readersBetween(): NormReaders | null {
    const { norm = null } = this.#neurons ?? this.#experts ?? {};
    if (norm === null || this.isParallel) return null;
    if (this.#experts !== null) {
      // Those that are normalised apart read several norms.
      const isOne = this.#experts.apart === null;
      return isOne ? { norm, matrices: readersOf(this.#experts, this.#in.config) } : null;
    }
    const { parts } = this.#neurons!;
    const projections = parts.flatMap((part) => part.projections);
    return { norm, matrices: projections.map(({ stacked: { matrix } }) => matrix) };
  }

  /**
   * Both blocks, where the stream is here.
   * @param before what the layer before has left.
   * @param next what reads the stream behind this layer; null: not known.
   * @returns what it leaves for that.
   */
  addBlocks(
    builder: ProgramBuilder,
    { before, next }: { before: LayerLeft; next: NormReaders | null },
  ): LayerLeft {
    const { input, scale: factor, altUp, kept } = this.#end;
    if (altUp !== null) return this.#addAmongStreams(builder, altUp);
    const end = { next, factor };
    const behind = input === null && kept === null ? end : { next: null, factor: null };
    const between = this.hasNeurons ? { next: this.#readersBetween, factor: null } : behind;
    let [apart, together]: (OneInput | null)[] = [null, null];
    const walk = (isApart: boolean, first: OneInput | null) => {
      const left = this.#attend(builder, { isApart, before: first, ...between });
      return this.#fire(builder, { isApart, before: left, ...behind });
    };
    builder.during(APART, () => apart = walk(true, before.apart));
    builder.during(TOGETHER, () => together = walk(false, before.together));
    if (kept !== null) {
      endKept(builder, kept, this.#in);
      return NOTHING_LEFT;
    }
    if (input === null) return { apart, together };
    const left = addLayerInput(builder, input, { ...this.#in, end: { ...end, isApart: false } });
    return { apart: left, together: left };
  }

  /** Both blocks, of the first of several streams. */
  #addAmongStreams(builder: ProgramBuilder, altUp: LayerAltUp): LayerLeft {
    guessLayer(builder, altUp, this.#in);
    const x = this.#normalize(builder, this.#mixersNorm);
    addBypass(builder, altUp, this.#in, x);
    for (const when of [APART, TOGETHER]) {
      const steps = { isApart: when === APART, ...NOTHING_KNOWN };
      builder.during(when, () => {
        this.#attend(builder, { ...steps, before: x });
        joinBypass(builder, this.#in);
        this.#fire(builder, steps);
      });
    }
    correctLayer(builder, altUp, this.#end.input, this.#in);
    return NOTHING_LEFT;
  }

  /** Own heads, beside others: their share goes to the partial sum. */
  addAttention(builder: ProgramBuilder): void {
    const attend = (isApart: boolean) => this.#attend(builder, { isApart, ...NOTHING_KNOWN });
    builder.during(APART, () => attend(true));
    builder.during(TOGETHER, () => attend(false));
  }

  /** Own neurons, in the same way. */
  addNeurons(builder: ProgramBuilder): void {
    const fire = (isApart: boolean) => this.#fire(builder, { isApart, ...NOTHING_KNOWN });
    builder.during(APART, () => fire(true));
    builder.during(TOGETHER, () => fire(false));
  }

  /** Neurons that were brought for the step, behind own ones in the same partial sum. */
  addBrought(builder: ProgramBuilder, { norm, parts }: NeuronWeights): void {
    // In long steps all own neurons are computed, and the layer has one part that is brought.
    const isFirst = !this.hasNeurons && !(this.isParallel && this.hasMixers);
    const x = this.#normalize(builder, norm);
    const steps = { isApart: false, ...NOTHING_KNOWN };
    this.#addPart(builder, parts[0], { x, as: isFirst ? "partial" : "rest", steps });
  }

  /**
   * Own heads, and what is in their place or beside them: what they leave is a partial sum, or is
   * added to the stream where it is here.
   */
  #attend(builder: ProgramBuilder, steps: Steps): OneInput | null {
    const { space, isAlone } = this.#in;
    if (!this.hasMixers) return steps.before ?? null;
    if (this.#choosesEarly) {
      const inputNorm = this.#experts?.inputNorm ?? null;
      if (inputNorm !== null) {
        addNorm(builder, this.#in.config, inputNorm, { from: space.residual, to: space.early });
      }
      this.#choose(builder, inputNorm === null ? space.residual : space.early);
    }
    const x = steps.before ?? this.#normalize(builder, this.#mixersNorm);
    for (const mixer of this.#mixers) mixer.add(builder, { x, isApart: steps.isApart });
    const isSum = isAlone && !this.isParallel;
    const postNorm = this.#postNorms.attention;
    check(this.#mixers.length === 1 || postNorm === null, "a norm of one outcome");
    let left: OneInput | null = null;
    for (const [index, { output, gives }] of this.#mixers.entries()) {
      const isLast = index === this.#mixers.length - 1;
      left = leaveProduct(builder, this.#in, output, {
        ...{ x: gives, postNorm },
        as: isSum ? "sum" : index === 0 ? "partial" : "rest",
        following: isLast ? steps : { isApart: steps.isApart, next: null, factor: null },
      });
    }
    return left;
  }

  /** Own neurons; behind attention in the same partial sum where both blocks are one. */
  #fire(builder: ProgramBuilder, steps: Steps): OneInput | null {
    const { space, isAlone } = this.#in;
    if (!this.hasNeurons) return steps.before;
    let left: OneInput | null = null;
    const isBehind = this.isParallel && this.hasMixers;
    const leaves = isAlone && !this.isParallel ? "sum" : "partial";
    if (this.#experts !== null) {
      left = this.#mix(builder, this.#experts, { as: isBehind ? "rest" : leaves, steps });
    } else if (this.#neurons !== null) {
      const { norm, parts } = this.#neurons;
      const isShared = this.#readsAttentions(norm);
      let x: OneInput = steps.before ?? space.normed;
      builder.during({ tokens: [this.neuronsFromTokens, Infinity] }, () => {
        if (!isShared && !steps.before) x = this.#normalize(builder, norm);
      });
      for (const part of parts) {
        const as = isBehind || part !== parts[0] ? "rest" : leaves;
        builder.during({ tokens: [part.fromTokens, Infinity] }, () => {
          left = this.#addPart(builder, part, { x, as, steps });
        });
      }
    }
    if (!isAlone || !this.isParallel) return left;
    const by = this.#postNorms.feedForward;
    return addToStream(builder, this.#in, space.partial, { by, following: steps });
  }

  /** Attention has normalised for itself already what a block reads that has this norm. */
  #readsAttentions(norm: GpuNorm | null): boolean {
    return this.isParallel && this.plan.feedForwardNorm === null && norm !== null && this.hasMixers;
  }

  /** Experts are chosen here by the residual stream as it is before attention. */
  get #choosesEarly(): boolean {
    const { router = null } = this.#experts ?? {};
    return router !== null && this.#in.config.experts?.routerInput !== "feedForward";
  }

  #choose(builder: ProgramBuilder, x: OneInput): void {
    addChoice(builder, this.#experts!, { ...this.#in, routes: this.#in.routes! }, x);
  }

  /** Own experts. */
  #mix(
    builder: ProgramBuilder,
    weights: ExpertsWeights,
    { as, steps }: { as: LeaveAs; steps: Steps },
  ): OneInput | null {
    const { space, config: { residualScale: scale } } = this.#in;
    const by = this.#postNorms.feedForward;
    const { norm, apart } = weights;
    const place = { ...this.#in, routes: this.#in.routes! };
    if (apart !== null) {
      const sum = addExpertsApart(builder, { ...weights, apart }, place, steps.isApart);
      return addToStream(builder, this.#in, sum, { by, following: steps });
    }
    const x = steps.before ??
      (this.#readsAttentions(norm) ? space.normed : this.#normalize(builder, norm));
    if (!this.#choosesEarly) this.#choose(builder, x);
    const isAdded = as === "sum" && by === null && steps.factor === null;
    const target = isAdded
      ? { to: space.residual, accumulate: true, scale, next: nextHalf(this.#in, steps) }
      : { to: space.partial, accumulate: as === "rest", scale: 1, next: null };
    const { isApart } = steps;
    const { inputNorm, shared } = weights;
    if (inputNorm !== null && shared !== null) {
      addShared(builder, shared, weights, place, { x, target, isApart });
    }
    const left = inputNorm === null
      ? addExperts(builder, weights, place, { x, target, isApart })
      : addExperts(builder, { ...weights, shared: null }, place, {
        ...{ x: space.early, isApart },
        target: { ...target, accumulate: target.accumulate || shared !== null },
      });
    if (as !== "sum" || isAdded) return left;
    return addToStream(builder, this.#in, space.partial, { by, following: steps });
  }

  #addPart(
    builder: ProgramBuilder,
    part: NeuronPart,
    { x, as, steps }: { x: OneInput; as: LeaveAs; steps: Steps },
  ): OneInput | null {
    const { config, space: { neurons: both, hidden } } = this.#in;
    fire(builder, part, { config, x, isApart: steps.isApart, both, hidden });
    const postNorm = this.#postNorms.feedForward;
    const leaves = { x: hidden, as, postNorm, following: steps };
    return leaveProduct(builder, this.#in, part.down, leaves);
  }

  /** What a block reads: a norm of the stream, or the stream itself. */
  #normalize(builder: ProgramBuilder, of: GpuNorm | null): Rows {
    const { space } = this.#in;
    if (of === null) return space.residual;
    addNorm(builder, this.#in.config, of, { from: space.residual, to: space.normed });
    return space.normed;
  }
}
