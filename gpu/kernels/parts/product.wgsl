// Part of a matrix product: what it is of, and where its results go; `bias` and `to` are the
// shader's.

override ROWS: u32; // rows that are computed
override PIECES: u32; // pieces of a row that are multiplied
override ROW_PIECES: u32; // pieces of a row that there are
override X_START: u32; // vec4s
override X_STRIDE: u32; // vec4s
override TO_START: u32; // f32s
override TO_STRIDE: u32; // f32s
override BIAS_START: u32 = 0;
override HAS_BIAS: bool = false;
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;
override SCORED: bool = false; // tokens that are scored instead of all

// to[token, row] (+)= SCALE · (sum + bias[firstBias + row]).
fn put(token: u32, row: u32, firstBias: u32, sum: f32) {
  let at = TO_START + token * TO_STRIDE + row;
  to[at] = select(0.0, to[at], ACCUMULATE) + SCALE * withBias(firstBias + row, sum);
}

fn withBias(row: u32, sum: f32) -> f32 {
  if (HAS_BIAS) { return sum + bias[BIAS_START + row]; }
  return sum;
}
