/** Rows of a step mixed with the rows before them, sequence by sequence. */
import {
  SEGMENT_ROWS,
  SEGMENT_STATE_FROM,
  SEGMENT_STATE_TO,
  SEGMENT_WORDS,
} from "../../memory/control_layout.ts";
import type { StepState } from "./step_state.ts";

/** Rows that are mixed with those of the token before, which a sequence's place keeps. */
export interface RowShift {
  /** Address of f32 [d]: how much of it is the row before; or a row of weights for each token. */
  readonly weights: number;
  /** Floats from one token's weights to the next one's; 0: all have the same. */
  readonly weightsStride: number;
  /** Where the first place keeps the last row, and bytes from one place to the next. */
  readonly places: number;
  readonly placeBytes: number;
}

/**
 * out = x + weights ⊙ (row before − x), n rows of strides.embedding; out may be x. Last rows of
 * segments are kept where `keeps`.
 */
export function shiftRows(
  { kernels, segments, segmentCount, config: { embeddingLength: d }, plan }: StepState,
  { weights, weightsStride, places, placeBytes }: RowShift,
  x: number,
  out: number,
  keeps: boolean,
): void {
  const stride = plan.strides.embedding;
  let row = 0;
  for (let at = 0; at < segmentCount * SEGMENT_WORDS; at += SEGMENT_WORDS) {
    const n = segments[at + SEGMENT_ROWS];
    const from = segments[at + SEGMENT_STATE_FROM], to = segments[at + SEGMENT_STATE_TO];
    kernels.shift_rows_f32(
      x + row * stride * 4,
      stride,
      from < 0 ? 0 : places + from * placeBytes,
      keeps ? places + to * placeBytes : 0,
      weights + row * weightsStride * 4,
      weightsStride,
      out + row * stride * 4,
      stride,
      n,
      d,
    );
    row += n;
  }
}
