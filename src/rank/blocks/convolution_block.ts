/**
 * A short convolution on one rank, in the place of attention: its own channels, from the rows that
 * they keep to what the output projection reads. What makes them is projected as queries, keys and
 * values are. Knows nothing of other blocks, and needs no other rank.
 */
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import { ringRows } from "../../memory/convolution_layout.ts";
import type { Convolution, Layer } from "../bound/layer.ts";
import { tableOf } from "../step/head_rows.ts";
import type { StepState } from "../step/step_state.ts";

/** A layer that convolves. */
type ConvolvingLayer = Layer & { readonly convolution: Convolution };

/** True for layers that this block is for. */
export function convolves(layer: Layer): layer is ConvolvingLayer {
  return layer.convolution !== null;
}

export class ConvolutionBlock {
  readonly #state: StepState;

  constructor(state: StepState) {
    this.#state = state;
  }

  /** Writes the new rows, key ⊙ value, to where later tokens find them. */
  remember({ headCount, keys, values, convolution: { taps } }: ConvolvingLayer): void {
    if (headCount === 0) return;
    const { kernels, space, plan, config, segments, segmentCount } = this.#state;
    const width = headCount * config.headDim;
    const rows = ringRows(plan.chunkTokens, taps);
    let { key, value } = space;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS], slot = segments[at + SEGMENT_SLOT];
      kernels.store_products_f32(
        key,
        value,
        width,
        keys + slot * rows * width * 4,
        rows,
        values,
        taps - 1,
        tableOf(this.#state, slot),
        plan.kvBlocks,
        segments[at + SEGMENT_POSITION],
        n,
        width,
      );
      key += n * width * 4;
      value += n * width * 4;
    }
  }

  /** attention = query ⊙ convolution of the rows, of each sequence by itself. */
  attend({ headCount, keys, values, convolution: { taps, weights } }: ConvolvingLayer): void {
    if (headCount === 0) return;
    const { kernels, space, plan, config, segments, segmentCount } = this.#state;
    const width = headCount * config.headDim;
    const rows = ringRows(plan.chunkTokens, taps);
    let { query, attention } = space;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      const n = segments[at + SEGMENT_ROWS], slot = segments[at + SEGMENT_SLOT];
      kernels.short_convolution_f32(
        query,
        width,
        keys + slot * rows * width * 4,
        rows,
        values,
        taps,
        tableOf(this.#state, slot),
        plan.kvBlocks,
        weights,
        attention,
        plan.strides.attention,
        segments[at + SEGMENT_POSITION],
        n,
        width,
      );
      query += n * width * 4;
      attention += n * plan.strides.attention * 4;
    }
  }
}
