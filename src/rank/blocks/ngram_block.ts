/**
 * Rows of a table that a token and those before it name together, on one rank, and what they add to
 * residual streams. The table stays in the file. What later tokens need, ids and rows that are
 * convolved, lies at the end of the places of the layer's states. Every rank does all of it alike.
 */
import { check } from "../../base/check.ts";
import type { Control } from "../../memory/control.ts";
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { dequantizeInto } from "../../model/quants/dequantize.ts";
import { rowBytes } from "../../model/dtypes.ts";
import { floats } from "../bound/arena_views.ts";
import type { Ngrams } from "../bound/bound_gated.ts";
import type { Layer } from "../bound/layer.ts";
import { type Activations, project, quantize } from "../bound/matrix.ts";
import { gatedStrides, ngramHistory } from "../plan/plan_gated.ts";
import type { StepState } from "../step/step_state.ts";
import { NgramRows } from "./ngram_rows.ts";
import type { TokenRows } from "./token_table.ts";

/** Below it nothing has a root. */
const LEAST = 1e-6;

export class NgramBlock {
  readonly #state: StepState;
  readonly #rows: TokenRows;
  readonly #stepIds: Int32Array;
  readonly #names: NgramRows;
  readonly #width: number;
  /** From one token's keys to the next one's. */
  readonly #stride: number;
  readonly #history: number;
  /** Rows of a token, as stored, and as numbers. */
  readonly #bytes: Uint8Array;
  readonly #values: Float32Array;
  readonly #named: Activations;
  readonly #namedFloats: Float32Array;
  readonly #keys: Float32Array;
  readonly #value: Float32Array;
  readonly #past: Float32Array;
  /** All of the arena: states, and their ids. */
  readonly #floats: Float32Array;
  readonly #numbers: Int32Array;
  /** Sums of one stream of a token: of squares of its key, itself, and the value; and products. */
  readonly #sums = new Float64Array(4);

  /** layer: the one before which tokens name rows; memories: this rank's, one per arena. */
  constructor(
    state: StepState,
    by: {
      layer: Layer;
      control: Control;
      rows: TokenRows;
      memories: readonly WebAssembly.Memory[];
    },
  ) {
    const { config, plan: { workspaces, chunkTokens, strides } } = state;
    const { ngrams } = config;
    check(ngrams !== undefined, "tokens name rows");
    this.#state = state;
    this.#rows = by.rows;
    this.#stepIds = by.control.stepIds();
    this.#names = new NgramRows(ngrams);
    this.#history = ngramHistory(config);
    this.#width = config.gatedStreams!.streamCount * config.embeddingLength;
    this.#bytes = new Uint8Array(rowBytes(by.rows.tensor.type, ngrams.rowLength));
    this.#values = new Float32Array(ngrams.rowLength);
    const { named, namedQ8, key, value, past } = workspaces[by.layer.arena].gated!;
    this.#stride = gatedStrides(config).all;
    const memory = by.memories[by.layer.arena];
    this.#named = { f32: named, stride: strides.embedding, q8: namedQ8 };
    this.#namedFloats = floats(memory, named, chunkTokens * strides.embedding);
    this.#keys = floats(memory, key, chunkTokens * this.#stride);
    this.#value = floats(memory, value, chunkTokens * strides.embedding);
    this.#past = floats(memory, past, (chunkTokens + this.#history) * this.#stride);
    this.#floats = new Float32Array(memory.buffer);
    this.#numbers = new Int32Array(memory.buffer);
  }

  /**
   * streams += what the step's tokens name.
   * @throws {ModelFormatError} when the file cannot be read any more, or was written to.
   */
  add(ngrams: Ngrams): void {
    const { kernels, n, plan: { strides }, space, segments, segmentCount } = this.#state;
    this.#rows.reader.requireUnchanged();
    let row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS], from = segments[at + SEGMENT_STATE_FROM];
      this.#name(ngrams, row, count, from);
      this.#keepIds(ngrams, segments[at + SEGMENT_STATE_TO]);
      row += count;
    }
    const x = this.#named;
    if (ngrams.readsQ8) quantize(kernels, x, n, this.#state.config.embeddingLength);
    project(kernels, ngrams.key, x, n, space.gated!.key, this.#stride);
    project(kernels, ngrams.value, x, n, space.gated!.value, strides.embedding);
    row = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const count = segments[at + SEGMENT_ROWS], from = segments[at + SEGMENT_STATE_FROM];
      this.#begin(ngrams, from);
      for (let t = 0; t < count; t++) this.#gate(ngrams, row + t, t);
      for (let t = 0; t < count; t++) this.#convolve(ngrams, row + t, t);
      this.#keepRows(ngrams, segments[at + SEGMENT_STATE_TO], count);
      row += count;
    }
  }

  /** Rows of the table side by side, of the tokens of a segment. */
  #name(ngrams: Ngrams, first: number, count: number, from: number): void {
    const { config: { rowLength, givenToken, heads } } = ngrams;
    const { plan: { strides: { embedding: stride } }, config: { embeddingLength: d } } =
      this.#state;
    const { reader, tensor } = this.#rows;
    if (from < 0) this.#names.begin();
    else {
      const ids = ngrams.places + from * ngrams.placeFloats;
      this.#names.goOn(this.#numbers, ids);
    }
    for (let t = first; t < first + count; t++) {
      const id = this.#stepIds[t];
      this.#names.take(id < 0 ? givenToken : id);
      for (let head = 0; head < heads.length; head++) {
        reader.read(tensor, this.#names.rows[head] * this.#bytes.length, this.#bytes);
        dequantizeInto(tensor.type, this.#bytes, this.#values);
        this.#namedFloats.set(this.#values, t * stride + head * rowLength);
      }
      this.#namedFloats.fill(0, t * stride + d, (t + 1) * stride);
    }
  }

  #keepIds({ places, placeFloats }: Ngrams, to: number): void {
    this.#names.leave(this.#numbers, places + to * placeFloats);
  }

  /** What was convolved before a segment's tokens; zeros at the beginning of a sequence. */
  #begin({ places, placeFloats, config: { length } }: Ngrams, from: number): void {
    const size = this.#history * this.#width;
    if (from < 0) return void this.#past.fill(0, 0, size);
    const at = places + from * placeFloats + length - 1;
    for (let i = 0; i < size; i++) this.#past[i] = this.#floats[at + i];
  }

  /** streams[row] += gate · value, of each stream; what is convolved, normalised, goes to past. */
  #gate({ keyWeights, queryWeights, valueWeights }: Ngrams, row: number, t: number): void {
    const { config, views, arena, plan: { strides: { embedding: stride } } } = this.#state;
    const { embeddingLength: d, norm: { epsilon } } = config;
    const streams = views.streams[arena];
    const sums = this.#sums, value = row * stride;
    for (let s = 0; s < streams.length; s++) {
      const stream = streams[s], key = row * this.#stride + s * d, weights = s * d;
      sums.fill(0);
      for (let i = 0; i < d; i++) {
        const k = this.#keys[key + i], q = stream[value + i], v = this.#value[value + i];
        sums[0] += k * k;
        sums[1] += q * q;
        sums[2] += v * v;
        sums[3] += k * keyWeights[weights + i] * q * queryWeights[weights + i];
      }
      const lengths = Math.sqrt((sums[0] / d + epsilon) * (sums[1] / d + epsilon) * d);
      const score = sums[3] / lengths;
      const root = Math.sign(score) * Math.sqrt(Math.max(Math.abs(score), LEAST));
      const gate = 1 / (1 + Math.exp(-root));
      const factor = gate / Math.sqrt(gate * gate * sums[2] / d + epsilon);
      const to = (this.#history + t) * this.#width + s * d;
      for (let i = 0; i < d; i++) {
        const v = this.#value[value + i];
        this.#past[to + i] = v * factor * valueWeights[weights + i];
        stream[value + i] += v * gate;
      }
    }
  }

  /** streams[row] += silu(convolution), channel by channel. */
  #convolve({ taps: weights, config: { taps, length } }: Ngrams, row: number, t: number): void {
    const { config: { embeddingLength: d }, views, arena, plan } = this.#state;
    const streams = views.streams[arena], at = row * plan.strides.embedding;
    const width = this.#width, past = this.#past;
    const last = (this.#history + t) * width, step = length * width;
    for (let s = 0; s < streams.length; s++) {
      const stream = streams[s];
      for (let i = 0; i < d; i++) {
        const channel = s * d + i;
        let sum = 0;
        for (let tap = 0; tap < taps; tap++) {
          sum += weights[channel * taps + tap] * past[last + channel - (taps - 1 - tap) * step];
        }
        stream[at + i] += sum / (1 + Math.exp(-sum));
      }
    }
  }

  /** The last rows that were convolved. */
  #keepRows({ places, placeFloats, config }: Ngrams, to: number, count: number): void {
    const size = this.#history * this.#width, from = count * this.#width;
    const at = places + to * placeFloats + config.length - 1;
    for (let i = 0; i < size; i++) this.#floats[at + i] = this.#past[from + i];
  }
}
