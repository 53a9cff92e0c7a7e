/**
 * Attention on one rank: its own heads from their projections to their share of the residual
 * update. Knows nothing of other blocks; where heads need a sum over ranks, it joins by itself.
 */
import { BIAS_SPAN } from "../../memory/bias_layout.ts";
import type { Control } from "../../memory/control.ts";
import {
  POSITION_AXES,
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SEES_ALL,
  SEGMENT_SLOT,
  SEGMENT_SOURCE,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { ALL_AHEAD } from "../../model/layer_config.ts";
import { addProducts } from "../step/added_products.ts";
import { rotateHeads, tableOf } from "../step/head_rows.ts";
import { HEADS, rootFactors, weigh } from "../step/inner_norms.ts";
import { BlockChooser } from "./block_chooser.ts";
import { attentionInput } from "./fusion_block.ts";
import { CompressedHeads } from "./compressed_heads.ts";
import { GroupChooser } from "./group_chooser.ts";
import { KeyChooser } from "./key_chooser.ts";
import { LatentHeads } from "./latent_heads.ts";
import type { HeadNorm } from "../bound/bound_norm.ts";
import type { Gate, Layer } from "../bound/layer.ts";
import { type Activations, project } from "../bound/matrix.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { attendingTokens } from "../plan/plan_workspace.ts";
import type { Residual } from "../step/residual.ts";
import { ColumnOrder } from "./column_order.ts";
import { lengthOf } from "../plan/shard.ts";
import type { StepState } from "../step/step_state.ts";

export class AttentionBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #control: Control;
  readonly #latents: LatentHeads | null;
  /** Null: keys are of single tokens, or the rank has no heads. */
  readonly #compressed: CompressedHeads | null;
  /** Null: all keys are attended to. Of keys, of blocks of them, and of groups. */
  readonly #chooser: KeyChooser | null;
  readonly #blockChooser: BlockChooser | null;
  readonly #groupChooser: GroupChooser | null;
  /** Null: patches stand as they come. */
  readonly #columns: ColumnOrder | null;
  readonly #attendingTokens: number;
  /** The first own head's number in the model. */
  readonly #firstHead: number;
  /** By layer: own key/value heads that a rank before this one owns, too. */
  readonly #sharedKvHeads: readonly number[];

  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      plans: readonly RankPlan[];
      memories: readonly WebAssembly.Memory[];
    },
  ) {
    const { plan: { layers, rankIndex, workspaces }, config } = state;
    this.#state = state;
    this.#control = by.control;
    const { residual, memories } = by;
    this.#residual = residual;
    const chooser = this.#chooser = config.indexer && workspaces.every(({ indexer }) => indexer)
      ? new KeyChooser(state, { config: config.indexer, memories })
      : null;
    this.#blockChooser = config.blockIndexer ? new BlockChooser(state, config.blockIndexer) : null;
    const hasHeads = layers.some(({ heads }) => lengthOf(heads) > 0);
    this.#groupChooser = config.groupIndexer && hasHeads ? new GroupChooser(state, memories) : null;
    this.#compressed = config.compression && hasHeads ? new CompressedHeads(state, by) : null;
    this.#latents = config.latent && new LatentHeads(state, { residual, chooser });
    this.#columns = ColumnOrder.of(state, memories);
    this.#attendingTokens = attendingTokens(config, state.plan.chunkTokens);
    this.#firstHead = layers[0]?.heads.start ?? 0;
    const before = by.plans.slice(0, rankIndex);
    this.#sharedKvHeads = layers.map(({ kvHeads }, index) => {
      const end = Math.max(0, ...before.map((plan) => plan.layers[index].kvHeads.end));
      return Math.min(lengthOf(kvHeads), Math.max(0, end - kvHeads.start));
    });
  }

  /** query, key, value = W · norm(residual) + bias, for this rank's heads. */
  project(layer: Layer): void {
    if (layer.headCount === 0) return;
    if (layer.latent !== null) return this.#latents!.project(layer, layer.latent);
    if (layer.compressed !== null) return this.#compressed!.project(layer, layer.compressed);
    const { query, attentionGate: gate } = layer;
    const { kernels, space, plan, config, n } = this.#state;
    const x = attentionInput(this.#state, this.#residual, layer);
    project(kernels, query, x, n, space.query, query.rowCount);
    addProducts(this.#state, query, x, space.query, query.rowCount);
    if (layer.hasKeys) this.#projectKeys(layer, x);
    if (gate !== null) {
      project(kernels, gate.matrix, x, n, space.attentionGate, plan.strides.attention);
    }
    if (layer.blockIndexer !== null) this.#blockChooser!.project(layer, layer.blockIndexer, x);
    if (layer.gated?.groupIndexer) this.#groupChooser!.project(layer.gated.groupIndexer, x);
    if (config.projectionClamp > 0) this.#clamp(layer);
  }

  #projectKeys({ key, value }: Layer, x: Activations): void {
    const { kernels, space, n } = this.#state;
    project(kernels, key, x, n, space.key, key.rowCount);
    addProducts(this.#state, key, x, space.key, key.rowCount);
    project(kernels, value, x, n, space.value, value.rowCount);
    addProducts(this.#state, value, x, space.value, value.rowCount);
  }

  #clamp({ query, key, value }: Layer): void {
    const { kernels, space, n, fractions: { projectionClamp: limit } } = this.#state;
    kernels.clamp_f32(space.query, query.rowCount, n, query.rowCount, limit);
    kernels.clamp_f32(space.key, key.rowCount, n, key.rowCount, limit);
    kernels.clamp_f32(space.value, value.rowCount, n, value.rowCount, limit);
  }

  /**
   * query = norm(query), key = norm(key), in a few models value = norm(value). A norm over all
   * heads of a token needs a sum over ranks: a small join more.
   * @returns false when the leader aborted the step.
   */
  normalizeHeads(layer: Layer): boolean {
    const { queryNorm, keyNorm, valueNorm } = layer;
    const spansRanks = queryNorm?.span === "projection" || keyNorm?.span === "projection";
    if (spansRanks && !this.#sumSquares(layer)) return false;
    if (queryNorm !== null) this.#normalizeQueries(queryNorm, layer);
    if (keyNorm !== null) this.#normalizeKeys(keyNorm, layer);
    if (valueNorm !== null) {
      this.#normalizeEach(valueNorm, this.#state.space.value, layer.kvHeadCount, layer.valueDim);
    }
    return true;
  }

  /** Turns queries and keys by their positions, where the layer encodes them. */
  rotate(layer: Layer): void {
    const { secondRope: second, headCount, kvHeadCount, headDim } = layer;
    const { query, key } = this.#state.space;
    if (layer.queryRope !== null) {
      rotateHeads(this.#state, layer.queryRope, query, headCount, headDim);
    }
    if (second !== null) rotateHeads(this.#state, second, query, headCount, headDim);
    if (!layer.hasKeys) return;
    if (layer.rope !== null) rotateHeads(this.#state, layer.rope, key, kvHeadCount, headDim);
    if (second !== null) rotateHeads(this.#state, second, key, kvHeadCount, headDim);
    if (layer.choosesKeys && headCount > 0) this.#chooserOf(layer).rotate(layer);
    if (layer.compressed !== null && headCount > 0) this.#compressed!.rotate(layer);
  }

  /** Writes the new keys and values into the cache, in place: no row is ever moved. */
  remember(layer: Layer): void {
    if (layer.kvHeadCount === 0 || !layer.hasKeys) return;
    if (layer.byColumns) this.#columns!.enter(layer);
    if (layer.choosesKeys) this.#chooserOf(layer).remember(layer);
    if (layer.compressed !== null) this.#compressed!.remember(layer, layer.compressed);
    this.#store(layer);
  }

  /** The same of a source, whose rows are the residual stream as it is, where the layer asks it. */
  rememberSource(layer: Layer): void {
    if (layer.kvHeadCount === 0 || layer.stage !== "asks") return;
    this.#projectKeys(layer, this.#residual.read(null, layer.projectionsReadQ8));
    this.#store(layer);
  }

  #store(layer: Layer): void {
    const { kernels, space, plan: { kvType, kvBlocks }, segments, segmentCount } = this.#state;
    const { headDim, valueDim, kvHeadCount: heads } = layer;
    const width = heads * headDim;
    const isInteger = kvType === "i16";
    const storeKeys = isInteger ? kernels.store_keys_i16 : kernels.store_keys_f32;
    const storeValues = isInteger ? kernels.store_values_i16 : kernels.store_values_f32;
    let { key } = space;
    // A latent is the end of its key; of compressed keys all of it is the value.
    const hasValues = layer.latent === null && layer.compressed === null;
    const valueWidth = hasValues ? heads * valueDim : width;
    let value = hasValues ? space.value : key + (headDim - valueDim) * 4;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS], position = this.#placeOf(layer, at);
      const table = tableOf(this.#state, segments[at + SEGMENT_SLOT]);
      storeKeys(key, width, layer.keys, table, kvBlocks, position, n, heads, headDim);
      storeValues(value, valueWidth, layer.values, table, kvBlocks, position, n, heads, valueDim);
      key += n * width * 4;
      value += n * valueWidth * 4;
    }
  }

  /**
   * attention = softmax(scale · query · keysᵀ) · values, causal unless the model is an encoder or
   * the segment's rows see each other, within the layer's window, of each sequence by itself.
   */
  attend(layer: Layer): void {
    const { headCount, headDim, valueDim, latent, compressed } = layer;
    if (headCount === 0) return;
    if (compressed?.keys) return this.#compressed!.attend(layer, compressed);
    const { kernels, space, plan, config, segments, segmentCount, fractions } = this.#state;
    const kernel = plan.kvType === "i16" ? kernels.attention_i16 : kernels.attention_f32;
    const width = headCount * headDim;
    let { query } = space;
    let attention = latent === null ? space.attention : space.latent!.mixed;
    if (layer.choosesKeys) this.#chooserOf(layer).attend(layer);
    const slopes = config.alibiMaxBias > 0 ? space.slopes + 4 * this.#firstHead : 0;
    const biases = config.scoreBiases ? this.#biasesOf(layer) : 0;
    const outStride = latent === null ? plan.strides.attention : headCount * valueDim;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const first = this.#placeOf(layer, at);
      const end = first + segments[at + SEGMENT_ROWS];
      const source = segments[at + SEGMENT_SOURCE];
      const table = tableOf(this.#state, segments[at + SEGMENT_SLOT]);
      // However far: kernels see no further than the segment's end, or the source's, or the text's.
      const seesText = layer.stage === "asks" || config.fill !== undefined;
      const ahead = segments[at + SEGMENT_SEES_ALL] === 1 ? ALL_AHEAD : layer.positionsAhead;
      // What is chosen for the others was attended to already.
      const whole = Math.max(first, Math.min(end, layer.seesAllBefore));
      const half = config.patches?.areAsked ? first + (end - first) / 2 : first;
      let window = first, windowEnd = layer.windowSide === 0 && half === first ? end : first;
      for (let position = first, n = 0; position < whole; position += n) {
        if (position === windowEnd) {
          window = position;
          windowEnd = this.#endOfWindow(position, position < half ? half : end, layer.windowSide);
        }
        n = Math.min(whole, windowEnd, position + this.#attendingTokens) - position;
        kernel(
          query,
          width,
          layer.keys,
          layer.values,
          layer.kvHeadCount,
          table,
          plan.kvBlocks,
          attention,
          outStride,
          space.scratch,
          n,
          position,
          headCount,
          layer.headOffset,
          layer.groupSize,
          headDim,
          valueDim,
          layer.slidingWindow,
          layer.scoreScale ?? fractions.attentionScale,
          fractions.attentionSoftCap,
          layer.sinks,
          // The first window is the largest, so that each is shorter than all that is before it.
          layer.windowSide === 0 ? layer.attentionChunk : window,
          slopes,
          biases,
          position < half ? ALL_AHEAD : ahead,
          seesText ? source : windowEnd,
        );
        query += n * width * 4;
        attention += n * outStride * 4;
        // Of a text of tens of thousands of tokens a layer takes as long as a watchdog waits.
        if (position + n < whole) this.#control.beat();
      }
      query += (end - whole) * width * 4;
      attention += (end - whole) * outStride * 4;
    }
  }

  /**
   * Where a segment's first row stands among the keys and values that the layer has: of what is
   * answered it has no source before it; what asks a source stands nowhere in it.
   */
  #placeOf({ stage }: Layer, at: number): number {
    const { segments } = this.#state;
    if (stage === "asks" && !this.#state.isReading) return 0;
    const position = segments[at + SEGMENT_POSITION];
    return stage === "writes" ? position - segments[at + SEGMENT_SOURCE] : position;
  }

  /** Address of the biases of own heads, by the layer's direction; 0: a source is nowhere near. */
  #biasesOf({ stage }: Layer): number {
    const { space, config: { headCount } } = this.#state;
    if (stage === "asks") return 0;
    return space.slopes + 4 * BIAS_SPAN * (this.#firstHead + (stage === "writes" ? headCount : 0));
  }

  /** Of the patches from `start` on, which of them is the first of another window. */
  #endOfWindow(start: number, end: number, side: number): number {
    if (side === 0) return end;
    const { positions } = this.#state;
    const at = start * POSITION_AXES;
    const row = Math.floor(positions[at + 1] / side), column = Math.floor(positions[at + 2] / side);
    for (let i = start + 1; i < end; i++) {
      const at = i * POSITION_AXES;
      if (Math.floor(positions[at + 1] / side) !== row) return i;
      if (Math.floor(positions[at + 2] / side) !== column) return i;
    }
    return end;
  }

  #chooserOf({ blockIndexer, gated }: Layer): KeyChooser | BlockChooser | GroupChooser {
    if (gated !== null) return this.#groupChooser!;
    return blockIndexer === null ? this.#chooser! : this.#blockChooser!;
  }

  /** partial += Wo · attention, over this rank's heads. */
  merge(layer: Layer): void {
    if (layer.byColumns && layer.headCount > 0) this.#columns!.leave(layer);
    if (layer.headCount > 0 && layer.compressed !== null) {
      return this.#compressed!.merge(layer, layer.compressed);
    }
    if (layer.headCount > 0 && layer.latent !== null) this.#latents!.makeValues(layer);
    if (layer.attentionGate !== null) this.#gateHeads(layer, layer.attentionGate);
    this.#scaleHeads(layer);
    if (layer.innerNorm !== 0) {
      const width = layer.headCount * layer.valueDim;
      weigh(this.#state, layer.innerNorm, this.#state.inputs.attention, { row: HEADS, width });
    }
    this.#residual.add(layer.attentionOutput, this.#state.inputs.attention);
    if (layer.attentionScale !== null) this.#residual.scalePartial(layer.attentionScale);
    if (layer.attentionGains !== 0) this.#residual.weighPartial(layer.attentionGains);
  }

  /** attention *= what heads' outcomes count. */
  #scaleHeads({ headCount, valueDim }: Layer): void {
    const { kernels, space, plan, config, fractions: { valueScale }, n } = this.#state;
    if (config.valueScale === 1 || headCount === 0) return;
    kernels.scale_f32(space.attention, plan.strides.attention, n, headCount * valueDim, valueScale);
  }

  /** attention ⊙= act(gate), number by number, or by one for each head. */
  #gateHeads({ headCount, mergedDim }: Layer, { matrix, isPerHead, activation }: Gate): void {
    if (headCount === 0) return;
    const { kernels, space: { attention, attentionGate }, plan, n } = this.#state;
    const { rowCount } = matrix;
    const stride = plan.strides.attention;
    if (activation === "sigmoid" && !isPerHead) {
      kernels.sigmoid_mul_f32(attentionGate, attention, stride, attention, stride, n, rowCount);
      return;
    }
    const act = activation === "sigmoid" ? kernels.sigmoid_f32 : kernels.softplus_f32;
    act(attentionGate, stride, attentionGate, stride, n, rowCount);
    for (let t = 0; t < n; t++) {
      const heads = attention + 4 * t * stride, gates = attentionGate + 4 * t * stride;
      if (isPerHead) kernels.scale_rows_f32(heads, mergedDim, gates, headCount, mergedDim);
      else kernels.mul_weight_f32(heads, stride, gates, 1, rowCount);
    }
  }

  /** Σ squares of this rank's queries and keys to where all ranks read them after the join. */
  #sumSquares(layer: Layer): boolean {
    const { kernels, space, plan: { chunkTokens }, n } = this.#state;
    const { headDim } = layer;
    const queryWidth = layer.headCount * headDim;
    const keyWidth = layer.kvHeadCount * headDim;
    // Counted by the rank that owns them, too.
    const skipped = this.#sharedKvHeads[layer.index] * headDim;
    const keys = space.key + skipped * 4;
    const keySquares = space.squares + chunkTokens * 4;
    kernels.row_squares_f32(space.query, queryWidth, n, queryWidth, space.squares);
    kernels.row_squares_f32(keys, keyWidth, n, keyWidth - skipped, keySquares);
    // Nobody writes squares again before the join after attention, which waits for all readers.
    return this.#control.join();
  }

  #normalizeQueries(norm: HeadNorm, { headCount: own, headDim }: Layer): void {
    const { space, config: { headCount } } = this.#state;
    if (norm.span === "head") return this.#normalizeEach(norm, space.query, own, headDim);
    const factors = rootFactors(this.#state, 0, headCount * headDim);
    this.#scaleRows(norm, space.query, own * headDim, factors);
  }

  #normalizeKeys(norm: HeadNorm, { kvHeadCount: own, headDim, groupSize }: Layer): void {
    const { space, config: { headCount } } = this.#state;
    if (norm.span === "head") return this.#normalizeEach(norm, space.key, own, headDim);
    const width = headCount / groupSize * headDim;
    this.#scaleRows(norm, space.key, own * headDim, rootFactors(this.#state, 1, width));
  }

  /** Each head by itself. */
  #normalizeEach(norm: HeadNorm, x: number, heads: number, headDim: number): void {
    if (heads === 0) return;
    const { kernels, space, config, fractions: { headEpsilon: epsilon }, n } = this.#state;
    const { kind } = config.headNorm ?? config.norm;
    const { weightStep } = norm;
    const weight = norm.weight || space.ones;
    const centred = kind === "layer" ? 1 : 0;
    const stride = heads * headDim;
    kernels.head_norm_f32(x, stride, n, heads, headDim, weight, weightStep, epsilon, centred);
    if (norm.bias !== 0) kernels.add_bias_f32(x, stride, norm.bias, n, stride);
    if (norm.gain === 0) return;
    for (let t = 0; t < n; t++) {
      kernels.scale_rows_f32(x + 4 * t * stride, headDim, norm.gain, heads, headDim);
    }
  }

  /** All heads as one vector: x · factor of the row · weight. */
  #scaleRows(norm: HeadNorm, x: number, width: number, factors: number): void {
    if (width === 0) return;
    const { kernels, n } = this.#state;
    kernels.scale_rows_f32(x, width, factors, n, width);
    kernels.mul_weight_f32(x, width, norm.weight, n, width);
  }
}
