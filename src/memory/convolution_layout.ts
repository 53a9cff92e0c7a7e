/**
 * How the rows of a layer that convolves over the last `taps` tokens lie in an arena. It looks back
 * taps - 1 rows, so of most positions nothing is kept. Arithmetic only.
 *
 *   ring, one per sequence:  f32 [ring rows, width]: position p in row p modulo their number
 *   ends, one per block:     f32 [taps - 1, width]:  the last rows of its 32 positions
 *
 * The ring holds the rows of a step and the taps - 1 before it: a step that does not count, or
 * whose last tokens do not, is written over. Blocks are those of keys and values (kv_layout.ts):
 * who takes over a block's content takes over its ends, and goes on behind it with a ring that
 * holds nothing.
 */

/** Rows of a ring: a sequence may go back as many positions as a step has tokens at most. */
export function ringRows(chunkTokens: number, taps: number): number {
  return chunkTokens + taps - 1;
}

/** Bytes of a sequence's ring, and of a block's ends. */
export function convolutionBytes(
  of: { readonly taps: number; readonly chunkTokens: number; readonly width: number },
): { ringBytes: number; endsBytes: number } {
  const rowBytes = 4 * of.width;
  return {
    ringBytes: ringRows(of.chunkTokens, of.taps) * rowBytes,
    endsBytes: (of.taps - 1) * rowBytes,
  };
}
