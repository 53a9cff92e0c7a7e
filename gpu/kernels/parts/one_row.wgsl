// Part of a product with tokens of a sequence each, of which ROW_LANES neighbouring invocations make
// a row.
//
// What it reads may lack the factor of its norm: then sums of squares, by 32 columns, lie with it,
// and the factor multiplies what the sums come to.

override ROW_LANES: u32 = 32; // a power of two, at most 32
override IS_DEFERRED: bool = false; // the factor is missing
override NORM_WIDTH: u32 = 32; // columns that are normalised
override EPSILON: f32 = 0.0;

// The norm's factor, of the sum of all squares.
fn factorOf(squares: f32) -> f32 {
  if (!IS_DEFERRED) { return 1.0; }
  return inverseSqrt(squares / f32(NORM_WIDTH) + EPSILON);
}
