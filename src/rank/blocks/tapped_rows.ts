/**
 * Rows of a model that another one guesses with: what goes into some of its layers, taken from the
 * residual stream as a step walks by, on the rank that leads. Knows places; computes nothing.
 */
import {
  SEGMENT_POSITION,
  SEGMENT_ROWS,
  SEGMENT_SLOT,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { StepState } from "../step/step_state.ts";
import type { KeptRows } from "./kept_rows.ts";

export class TappedRows {
  readonly #state: StepState;
  readonly #rows: KeptRows;
  readonly #layers: readonly number[];
  /** One object for all rows that are kept: nothing is made per token. */
  readonly #span = { slot: 0, position: 0, count: 0 };

  /** layers: numbers of those whose inputs are kept, side by side; see `FusionConfig`. */
  constructor(state: StepState, rows: KeptRows, layers: readonly number[]) {
    this.#state = state;
    this.#rows = rows;
    this.#layers = layers;
  }

  /** The residual stream is what goes into a layer. */
  take(layer: number): void {
    const layers = this.#layers;
    const { config: { embeddingLength: d } } = this.#state;
    for (let i = 0; i < layers.length; i++) if (layers[i] === layer) this.#keep(i * d);
  }

  #keep(column: number): void {
    const { views, arena, segments, segmentCount, plan: { strides }, config } = this.#state;
    const rows = views.residual[arena], span = this.#span;
    let first = 0;
    for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
      span.slot = segments[at + SEGMENT_SLOT];
      span.position = segments[at + SEGMENT_POSITION];
      span.count = segments[at + SEGMENT_ROWS];
      this.#rows.keep(span, rows, first, strides.embedding, column, config.embeddingLength);
      first += span.count;
    }
  }
}
