/**
 * One rank: an owner of a part of every layer, with the arenas that hold it. Its methods are the
 * steps that forward.ts walks through; each works on the n tokens of the current step and leaves
 * its result in the workspace. Nothing is allocated per token.
 */
import type { Kernels } from "../../wasm/kernels.ts";
import { check } from "../base/check.ts";
import type { Control, StepWords } from "../memory/control.ts";
import { fillRopeTable, type RopeFrequencies } from "../model/rope.ts";
import type { ModelConfig } from "../model/types.ts";
import { ArenaViews, type StepViews } from "./arena_views.ts";
import { bindLayer, type Layer } from "./layer.ts";
import {
  type Activations,
  dequantizeRow,
  type Matrix,
  matrixOf,
  multiply,
  quantize,
  readsQ8,
} from "./matrix.ts";
import type { RankPlan, WorkspacePlan } from "./plan_types.ts";
import { lengthOf } from "./shard.ts";

export interface RankInput {
  readonly config: ModelConfig;
  /** The plans of all ranks: partial sums are read where the others left them. */
  readonly plans: readonly RankPlan[];
  readonly rankIndex: number;
  readonly ropeFrequencies: RopeFrequencies;
  /** Kernels bound to this rank's arenas, one each. */
  readonly kernels: readonly Kernels[];
  /** All ranks' arenas: [rank][arena]. */
  readonly memories: readonly (readonly WebAssembly.Memory[])[];
  readonly control: Control;
}

/** What matrix products read, per arena. */
interface Inputs {
  readonly normed: Activations;
  readonly attention: Activations;
  readonly hidden: Activations;
}

export class Rank {
  readonly plan: RankPlan;
  readonly #config: ModelConfig;
  readonly #frequencies: RopeFrequencies;
  readonly #kernelsOf: readonly Kernels[];
  readonly #inputsOf: readonly Inputs[];
  readonly #control: Control;
  readonly #views: ArenaViews;
  readonly #layers: readonly Layer[];
  readonly #embedding: Matrix;
  readonly #output: Matrix;
  readonly #stepIds: Int32Array;
  readonly #headCount: number;
  readonly #kvHeadCount: number;
  readonly #groupSize: number;
  /** Place of the first own query head in the group of the first own key/value head. */
  readonly #headOffset: number;
  /** Bytes of one cached position: [kvHeads, headDim]. */
  readonly #kvRowBytes: number;

  // The arena that the walk is in.
  #arena = 0;
  #kernels: Kernels;
  #space: WorkspacePlan;
  #inputs: Inputs;
  // The step.
  #n = 0;
  #position = 0;
  #logitsCount = 0;
  #stepViews: StepViews;
  /**
   * Which of the two partials is written. They alternate, also from step to step: a slower rank may
   * still read the other one while this rank is already past the join.
   */
  #turn = 0;

  constructor(input: RankInput) {
    const { config, plans, rankIndex, memories } = input;
    const plan = plans[rankIndex];
    this.plan = plan;
    this.#config = config;
    this.#frequencies = input.ropeFrequencies;
    this.#kernelsOf = input.kernels;
    this.#inputsOf = plan.workspaces.map((space) => inputsOf(space, plan));
    this.#control = input.control;
    this.#views = new ArenaViews({
      plan,
      memories,
      workspaces: plans.map((other) => other.workspaces),
      rotatedDimensions: config.rope.dimensionCount,
    });
    this.#layers = plan.layers.map(bindLayer);
    this.#embedding = matrixOf(plan.embedding);
    this.#output = matrixOf(plan.output);
    this.#stepIds = input.control.stepIds();
    this.#headCount = lengthOf(plan.shard.heads);
    this.#kvHeadCount = lengthOf(plan.shard.kvHeads);
    this.#groupSize = config.headCount / config.headCountKv;
    this.#headOffset = plan.shard.heads.start - plan.shard.kvHeads.start * this.#groupSize;
    this.#kvRowBytes = this.#kvHeadCount * config.headDim * (plan.kvType === "f16" ? 2 : 4);
    this.#kernels = this.#kernelsOf[0];
    this.#space = plan.workspaces[0];
    this.#inputs = this.#inputsOf[0];
    this.#stepViews = this.#views.forTokens(1);
  }

  get layerCount(): number {
    return this.#layers.length;
  }

  /** For how many of the step's last tokens logits are wanted. */
  get logitsCount(): number {
    return this.#logitsCount;
  }

  /** Takes over the step's words and prepares the rotary tables of all arenas. */
  begin(step: StepWords): void {
    check(step.tokenCount >= 1 && step.tokenCount <= this.plan.chunkTokens, "tokens of a step");
    check(step.position + step.tokenCount <= this.plan.contextLength, "the step fits the cache");
    check(step.logitsCount <= this.plan.logitsRows, "logits of a step");
    this.#n = step.tokenCount;
    this.#position = step.position;
    this.#logitsCount = step.logitsCount;
    this.#stepViews = this.#views.forTokens(step.tokenCount);
    this.#enterArena(0);
    const rotated = this.#config.rope.dimensionCount;
    for (let arena = 0; arena < this.#views.rope.length; arena++) {
      const table = this.#views.rope[arena];
      for (let t = 0; t < this.#n; t++) {
        fillRopeTable(this.#frequencies, this.#position + t, table, t * rotated);
      }
    }
  }

  /** partial = embedding rows of the tokens whose rows this rank owns, zero for the others. */
  embed(): void {
    const { start, end } = this.plan.shard.vocab;
    const stride = this.plan.strides.embedding;
    this.#clearPartial();
    const partial = this.#space.partials[this.#turn];
    for (let t = 0; t < this.#n; t++) {
      const id = this.#stepIds[t];
      check(id >= 0 && id < this.#config.vocabSize, "a token id was checked at the door");
      if (id < start || id >= end) continue;
      const { normedQ8 } = this.#space; // free until the first norm
      dequantizeRow(
        this.#kernels,
        this.#embedding,
        id - start,
        partial + t * stride * 4,
        normedQ8,
      );
    }
    this.#stepViews.residual[this.#arena].fill(0);
  }

  /** Goes to the layer's arena, taking the residual stream along. */
  enterLayer(index: number): Layer {
    const layer = this.#layers[index];
    this.#carryTo(layer.arena);
    return layer;
  }

  /** query, key, value = W · norm(residual) + bias, for this rank's heads. */
  project(layer: Layer): void {
    if (this.#headCount === 0) return;
    const { query, key, value } = layer;
    const n = this.#n;
    const x = this.#normalize(layer.attentionNorm, layer.projectionsReadQ8);
    multiply(this.#kernels, query, x, n, this.#space.query, query.rowCount);
    multiply(this.#kernels, key, x, n, this.#space.key, key.rowCount);
    multiply(this.#kernels, value, x, n, this.#space.value, value.rowCount);
    this.#addBias(this.#space.query, layer.queryBias, query.rowCount);
    this.#addBias(this.#space.key, layer.keyBias, key.rowCount);
    this.#addBias(this.#space.value, layer.valueBias, value.rowCount);
  }

  /** Turns queries and keys by their positions. */
  rotate(): void {
    this.#rotateHeads(this.#space.query, this.#headCount);
    this.#rotateHeads(this.#space.key, this.#kvHeadCount);
  }

  /** Writes the new keys and values into the cache, in place: no row is ever moved. */
  remember(layer: Layer): void {
    this.#store(this.#space.key, layer.keys);
    this.#store(this.#space.value, layer.values);
  }

  /** attention = softmax(query · keysᵀ / √headDim) · values, causal. */
  attend(layer: Layer): void {
    if (this.#headCount === 0) return;
    const kernel = this.plan.kvType === "f16"
      ? this.#kernels.attention_f16
      : this.#kernels.attention_f32;
    kernel(
      this.#space.query,
      this.#headCount * this.#config.headDim,
      layer.keys,
      layer.values,
      this.#kvRowBytes,
      this.#space.attention,
      this.plan.strides.attention,
      this.#space.scratch,
      this.#n,
      this.#position,
      this.#headCount,
      this.#headOffset,
      this.#groupSize,
      this.#config.headDim,
      this.#config.slidingWindow,
      1 / Math.sqrt(this.#config.headDim),
    );
  }

  /** partial = Wo · attention, over this rank's heads. */
  mergeHeads(layer: Layer): void {
    this.#merge(layer.attentionOutput, this.#inputs.attention);
  }

  /** hidden = silu(Wgate · x) · (Wup · x), x = norm(residual), for this rank's neurons. */
  activate(layer: Layer): void {
    const { gate, up } = layer;
    const n = this.#n;
    if (gate.rowCount === 0) return;
    const x = this.#normalize(layer.feedForwardNorm, layer.neuronsReadQ8);
    multiply(this.#kernels, gate, x, n, this.#space.gate, gate.rowCount);
    multiply(this.#kernels, up, x, n, this.#space.up, up.rowCount);
    this.#kernels.silu_mul_f32(
      this.#space.gate,
      this.#space.up,
      gate.rowCount,
      this.#space.hidden,
      this.plan.strides.hidden,
      n,
      gate.rowCount,
    );
  }

  /** partial = Wdown · hidden, over this rank's neurons. */
  mergeNeurons(layer: Layer): void {
    this.#merge(layer.down, this.#inputs.hidden);
  }

  /**
   * residual += Σ partials over ranks, in rank order on every rank, so that all copies of the
   * residual stream stay equal bit for bit.
   * @returns false when the leader aborted the step.
   */
  join(): boolean {
    if (!this.#control.join()) return false;
    const stride = this.plan.strides.embedding;
    const d = this.#config.embeddingLength;
    const partials = this.#stepViews.partials[this.#arena][this.#turn];
    for (let rank = 0; rank < partials.length; rank++) {
      let addend = this.#space.partials[this.#turn];
      if (rank !== this.plan.rankIndex) {
        addend = this.#space.incoming;
        this.#stepViews.incoming[this.#arena].set(partials[rank]);
      }
      this.#kernels.add_f32(this.#space.residual, stride, addend, stride, this.#n, d);
    }
    this.#turn ^= 1;
    return true;
  }

  /** logits [logitsCount, own vocabulary rows] = Wout · norm(residual) of the last tokens. */
  scoreVocabulary(): void {
    this.#carryTo(this.plan.outputArena);
    const n = this.#logitsCount;
    const x = this.#inputs.normed;
    const stride = this.plan.strides.embedding;
    const first = this.#space.residual + (this.#n - n) * stride * 4;
    this.#rmsNorm(first, this.plan.outputNorm.offsetBytes, n);
    if (readsQ8(this.#output)) quantize(this.#kernels, x, n, this.#output.columnCount);
    multiply(this.#kernels, this.#output, x, n, this.#space.logits, this.#output.rowCount);
  }

  /** Waits for the others; everybody's logits are readable after it. */
  meet(): boolean {
    return this.#control.join();
  }

  #enterArena(arena: number): void {
    this.#arena = arena;
    this.#kernels = this.#kernelsOf[arena];
    this.#space = this.plan.workspaces[arena];
    this.#inputs = this.#inputsOf[arena];
  }

  #carryTo(arena: number): void {
    if (arena === this.#arena) return;
    this.#stepViews.residual[arena].set(this.#stepViews.residual[this.#arena]);
    this.#enterArena(arena);
  }

  #normalize(weight: number, wantsQ8: boolean): Activations {
    const x = this.#inputs.normed;
    this.#rmsNorm(this.#space.residual, weight, this.#n);
    if (wantsQ8) quantize(this.#kernels, x, this.#n, this.#config.embeddingLength);
    return x;
  }

  #rmsNorm(from: number, weight: number, n: number): void {
    const { embeddingLength: d, rmsEpsilon } = this.#config;
    const stride = this.plan.strides.embedding;
    this.#kernels.rms_norm_f32(from, stride, weight, this.#space.normed, stride, n, d, rmsEpsilon);
  }

  #addBias(x: number, bias: number, width: number): void {
    if (bias !== 0) this.#kernels.add_bias_f32(x, width, bias, this.#n, width);
  }

  #rotateHeads(x: number, heads: number): void {
    if (heads === 0) return;
    const { headDim, rope } = this.#config;
    const neox = rope.kind === "neox" ? 1 : 0;
    const stride = heads * headDim;
    const table = this.#space.rope;
    this.#kernels.rope_f32(x, stride, this.#n, heads, headDim, rope.dimensionCount, table, neox);
  }

  #store(from: number, cache: number): void {
    const width = this.#kvHeadCount * this.#config.headDim;
    if (width === 0) return;
    const to = cache + this.#position * this.#kvRowBytes;
    if (this.plan.kvType === "f16") {
      this.#kernels.store_f16(from, width, to, this.#kvRowBytes, this.#n, width);
    } else {
      this.#kernels.store_f32(from, width, to, this.#kvRowBytes, this.#n, width);
    }
  }

  #merge(matrix: Matrix, x: Activations): void {
    if (matrix.columnCount === 0) return this.#clearPartial();
    if (readsQ8(matrix)) quantize(this.#kernels, x, this.#n, matrix.columnCount);
    const partial = this.#space.partials[this.#turn];
    multiply(this.#kernels, matrix, x, this.#n, partial, this.plan.strides.embedding);
  }

  #clearPartial(): void {
    this.#stepViews.partials[this.#arena][this.#turn][this.plan.rankIndex].fill(0);
  }
}

function inputsOf(space: WorkspacePlan, plan: RankPlan): Inputs {
  const { embedding, attention, hidden } = plan.strides;
  return {
    normed: { f32: space.normed, stride: embedding, q8: space.normedQ8 },
    attention: { f32: space.attention, stride: attention, q8: space.attentionQ8 },
    hidden: { f32: space.hidden, stride: hidden, q8: space.hiddenQ8 },
  };
}
