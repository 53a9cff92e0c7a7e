/**
 * What layers of a conformer have in the place of attention, on one rank: its own heads, which
 * attend by relative positions to a few rows before their own (or to all: `WholeAttention`), or its
 * own channels, which are gated and convolved with what is near them. A step is all of a sound's
 * part, so that nothing is kept.
 */
import { check } from "../../base/check.ts";
import type { Control } from "../../memory/control.ts";
import { LONGEST_WAVE } from "../../model/conformer_types.ts";
import type { ModelConfig } from "../../model/types.ts";
import { floats } from "../bound/arena_views.ts";
import type { Conformer, Filter, Relative } from "../bound/conformer.ts";
import type { Layer } from "../bound/layer.ts";
import { project, quantize, readsQ8 } from "../bound/matrix.ts";
import { HEADS, rootFactors } from "../step/inner_norms.ts";
import type { Residual } from "../step/residual.ts";
import type { StepState } from "../step/step_state.ts";
import { WholeAttention } from "./whole_attention.ts";

/** A layer of a conformer that this block is for. */
export type ConformerLayer<C extends Conformer = Conformer> = Layer & { readonly conformer: C };

/** True for layers that this block is for. */
export function isOfConformer(layer: Layer): layer is ConformerLayer {
  return layer.conformer !== null;
}

/** True for those of them that filter. */
export function filters(layer: Layer): layer is ConformerLayer<Filter> {
  return layer.conformer?.kind === "filters";
}

/** Views of an arena's workspace, as long as it is; rows are as wide as a layer has it. */
interface Space {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly attention: Float32Array;
  /** [rowsSeen, strides.embedding], and what positions become of it. */
  readonly waves: Float32Array;
  readonly made: Float32Array;
}

export class ConformerBlock {
  readonly #state: StepState;
  readonly #residual: Residual;
  readonly #control: Control;
  readonly #config: NonNullable<ModelConfig["relative"]>;
  readonly #spaces: readonly Space[];
  /** Null: few rows are seen, `rowsSeen`, or the rank has no heads. */
  readonly #whole: WholeAttention | null;
  readonly #rowsSeen: number;
  /** What layers make of waves, [rowsSeen, own width], by layer, once each has run. */
  readonly #positions: Float32Array[] = [];
  /** A query as it is multiplied by positions, and by keys. */
  readonly #asked: Float64Array;
  readonly #askedOfKeys: Float64Array;
  /** Of one query. */
  readonly #scores: Float64Array;

  /** memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: {
      residual: Residual;
      control: Control;
      memories: readonly WebAssembly.Memory[];
      config: NonNullable<ModelConfig["relative"]>;
    },
  ) {
    const { plan: { workspaces, chunkTokens: n, strides }, config } = state;
    const rowsSeen = by.config.rowsSeen ?? 0;
    check(rowsSeen <= n, "there is room for positions of all rows that are seen");
    const areHalves = by.config.waves === "halves";
    check(areHalves === rowsSeen > 0, "few rows are seen by waves in halves, all by pairs");
    this.#rowsSeen = rowsSeen;
    this.#state = state;
    this.#residual = by.residual;
    this.#control = by.control;
    this.#config = by.config;
    const width = Math.max(0, ...state.plan.layers.map(widthOf(config.headDim)));
    this.#spaces = workspaces.map((space, arena) => {
      const view = (at: number, length: number) => floats(by.memories[arena], at, length);
      return {
        ...{ query: view(space.query, n * width), key: view(space.key, n * width) },
        ...{ value: view(space.value, n * width) },
        attention: view(space.attention, n * strides.attention),
        waves: view(space.normed, rowsSeen * strides.embedding),
        made: view(space.incoming, rowsSeen * width),
      };
    });
    const { memories, config: relative } = by;
    this.#whole = rowsSeen === 0 && width > 0
      ? new WholeAttention(state, { memories, views: this.#spaces, config: relative, width })
      : null;
    this.#asked = new Float64Array(config.headDim);
    this.#askedOfKeys = new Float64Array(config.headDim);
    this.#scores = new Float64Array(rowsSeen);
  }

  /**
   * value = conv(query ⊙ sigmoid(key)), own channels of both being of norm(residual), and where it
   * is not normalised what `even` makes of it.
   */
  filter(layer: ConformerLayer<Filter>): void {
    if (layer.headCount === 0) return;
    const { kernels, space, n } = this.#state;
    const { query, key } = layer;
    const { rowCount: width } = query;
    const x = this.#residual.read(layer.attentionNorm, layer.projectionsReadQ8);
    project(kernels, query, x, n, space.query, width);
    project(kernels, key, x, n, space.key, width);
    kernels.sigmoid_mul_f32(space.key, space.query, width, space.query, width, n, width);
    this.#convolve(layer.conformer, width);
    this.#count(layer.conformer, width);
    if (!layer.conformer.isNormalized) this.#even(layer.conformer, width);
  }

  /** value = taps of the rows around each, of which there are none beyond the step's. */
  #convolve({ taps, tapsAhead, weights, bias }: Filter, width: number): void {
    const { arena, n } = this.#state;
    const { query: rows, value } = this.#spaces[arena];
    for (let row = 0; row < n; row++) {
      const to = row * width;
      const before = row + tapsAhead - taps + 1;
      const first = Math.max(0, -before), end = Math.min(taps, n - before);
      for (let i = 0; i < width; i++) {
        let sum = bias === null ? 0 : bias[i];
        for (let tap = first; tap < end; tap++) {
          sum += weights[tap * width + i] * rows[(before + tap) * width + i];
        }
        value[to + i] = sum;
      }
    }
  }

  /** value = (value - mean) / √variance, channel by channel. */
  #count({ counted }: Filter, width: number): void {
    if (counted === null) return;
    const { arena, n } = this.#state;
    const { mean, variance } = counted, { value } = this.#spaces[arena];
    for (let i = 0; i < width; i++) {
      const gain = 1 / Math.sqrt(variance[i]);
      for (let at = i; at < n * width; at += width) value[at] = gain * (value[at] - mean[i]);
    }
  }

  /** value = gains ⊙ value + sum. */
  #even({ gains, sum }: Filter, width: number): void {
    const { kernels, space, n } = this.#state;
    kernels.mul_weight_f32(space.value, width, gains, n, width);
    if (sum !== 0) kernels.add_bias_f32(space.value, width, sum, n, width);
  }

  /**
   * value = even(norm(value)), of the channels of all ranks: a small join more, where it is
   * normalised.
   * @returns false when the leader aborted the step.
   */
  normalize({ headCount, query: { rowCount: width }, conformer }: ConformerLayer<Filter>): boolean {
    if (!conformer.isNormalized) return true;
    const { kernels, space, config: { embeddingLength }, n } = this.#state;
    if (headCount > 0) {
      const { chunkTokens } = this.#state.plan;
      const squares = space.squares + 4 * HEADS * chunkTokens;
      kernels.row_squares_f32(space.value, width, n, width, squares);
    }
    // Nobody writes squares again before the join behind the output, which waits for all readers.
    if (!this.#control.join()) return false;
    if (headCount === 0) return true;
    const factors = rootFactors(this.#state, HEADS, embeddingLength);
    kernels.scale_rows_f32(space.value, width, factors, n, width);
    this.#even(conformer, width);
    return true;
  }

  /** attention = what own heads mix, or silu of own channels. */
  attend(layer: ConformerLayer): void {
    if (layer.headCount === 0) return;
    const { conformer } = layer;
    if (conformer.kind === "attends") {
      if (this.#whole !== null) this.#whole.run(conformer, layer.headCount);
      else this.#mix(layer, conformer);
      return;
    }
    const { kernels, space, plan: { strides: { attention: stride } }, n } = this.#state;
    const { rowCount: width } = layer.query;
    kernels.silu_f32(space.value, width, space.attention, stride, n, width);
  }

  /** Row by row and head by head: of few rows each, no product of matrices is worth it. */
  #mix(layer: Layer, relative: Relative): void {
    const { arena, n, plan: { strides: { attention: stride } } } = this.#state;
    const { headCount, headDim } = layer;
    const { attention } = this.#spaces[arena];
    const positions = this.#positions[layer.index] ??= this.#makePositions(relative);
    const width = headCount * headDim;
    for (let row = 0; row < n; row++) {
      const to = row * stride;
      attention.fill(0, to, to + stride);
      for (let at = 0; at < width; at += headDim) {
        this.#ask(relative, row * width + at);
        this.#score(positions, row, width, at);
        this.#take(row, width, at, to + at);
      }
    }
  }

  /** The query at `at`, as large as gains make it. */
  #ask({ queryGains, keyGains }: Relative, at: number): void {
    const { query } = this.#spaces[this.#state.arena];
    const asked = this.#asked, ofKeys = this.#askedOfKeys;
    for (let i = 0; i < asked.length; i++) {
      const value = queryGains === null ? query[at + i] : query[at + i] * queryGains[i];
      asked[i] = value;
      ofKeys[i] = keyGains === null ? value : value * keyGains[i];
    }
  }

  /** scores = what rows 0, 1, … before the row count, 1 all together. */
  #score(positions: Float32Array, row: number, width: number, at: number): void {
    const { arena, config: { attentionScale, attentionSoftCap: cap } } = this.#state;
    const { positionScale } = this.#config;
    const { key } = this.#spaces[arena];
    const asked = this.#asked, ofKeys = this.#askedOfKeys, scores = this.#scores;
    const count = Math.min(scores.length, row + 1);
    let most = -Infinity;
    for (let distance = 0; distance < count; distance++) {
      const ofKey = (row - distance) * width + at, ofPosition = distance * width + at;
      let product = 0, nearness = 0;
      for (let i = 0; i < asked.length; i++) {
        product += ofKeys[i] * key[ofKey + i];
        nearness += asked[i] * positions[ofPosition + i];
      }
      const score = attentionScale * product + positionScale * nearness;
      scores[distance] = cap === 0 ? score : cap * Math.tanh(score / cap);
      if (scores[distance] > most) most = scores[distance];
    }
    let total = 0;
    for (let i = 0; i < count; i++) total += scores[i] = Math.exp(scores[i] - most);
    for (let i = 0; i < count; i++) scores[i] /= total;
  }

  /** attention from `to` on = the mixture of values. */
  #take(row: number, width: number, at: number, to: number): void {
    const { value, attention } = this.#spaces[this.#state.arena];
    const scores = this.#scores, length = this.#asked.length;
    const count = Math.min(scores.length, row + 1);
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let distance = 0; distance < count; distance++) {
        sum += scores[distance] * value[(row - distance) * width + at + i];
      }
      attention[to + i] = sum;
    }
  }

  /** [rowsSeen, own width] = positions · waves of distances 0, 1, … */
  #makePositions({ positions }: Relative): Float32Array {
    const { kernels, space, arena, config: { embeddingLength: d }, plan } = this.#state;
    const rowsSeen = this.#rowsSeen;
    const { waves, made } = this.#spaces[arena];
    const { embedding: stride } = plan.strides;
    const half = Math.floor(d / 2);
    const step = Math.log(LONGEST_WAVE) / Math.max(half - 1, 1);
    waves.fill(0);
    for (let distance = 0; distance < rowsSeen; distance++) {
      for (let i = 0; i < half; i++) {
        const angle = distance * Math.exp(-i * step);
        waves[distance * stride + i] = Math.sin(angle);
        waves[distance * stride + half + i] = Math.cos(angle);
      }
    }
    const x = { f32: space.normed, stride, q8: space.normedQ8 };
    const { rowCount: width } = positions;
    if (readsQ8(positions)) quantize(kernels, x, rowsSeen, d);
    project(kernels, positions, x, rowsSeen, space.incoming, width);
    return made.slice(0, rowsSeen * width);
  }
}

/** Numbers of a layer's own heads. */
function widthOf(headDim: number) {
  return ({ heads: { start, end } }: { readonly heads: { start: number; end: number } }) =>
    (end - start) * headDim;
}
