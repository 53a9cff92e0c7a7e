// Part of a product with tokens of a sequence each, of which ROW_LANES invocations make a row.
//
// SIDE of them are neighbours, which read neighbouring pieces; the 32 / SIDE rows beside read the same
// inputs at the same time, so that these are fetched once for all of them. What is left of a row have
// the next 32 invocations, and so on.
//
// What it reads may lack the factor of its norm: then sums of squares, by 32 columns, lie with it,
// and the factor multiplies what the sums come to.

override ROW_LANES: u32 = 32; // a power of two, at most 32
override SIDE: u32 = 8; // a power of two, at most ROW_LANES
override IS_DEFERRED: bool = false; // the factor is missing
override NORM_WIDTH: u32 = 32; // columns that are normalised
override EPSILON: f32 = 0.0;

// Sums of squares over every 32nd piece: [TOKENS, 32].
var<workgroup> squares: array<vec4<f32>, 64>;

// Adds up squares of TOKENS tokens, once for all rows of the workgroup; `sumUp` comes between this and
// who asks for a factor.
fn gatherSquares(first: u32, last: u32, lane: u32) {
  if (!IS_DEFERRED || lane >= 32u) { return; }
  for (var t = 0u; t < TOKENS; t++) {
    var sum = 0.0;
    for (var piece = lane; 32u * piece < NORM_WIDTH; piece += 32u) {
      sum += squaresAt(min(first + t, last), piece);
    }
    squares[8u * t + lane / 4u][lane % 4u] = sum;
  }
}

// The factor of the norm of token t of those.
fn factorOf(t: u32) -> f32 {
  if (!IS_DEFERRED) { return 1.0; }
  var all = squares[8u * t];
  for (var i = 1u; i < 8u; i++) { all += squares[8u * t + i]; }
  return inverseSqrt((all.x + all.y + all.z + all.w) / f32(NORM_WIDTH) + EPSILON);
}

// The row of a workgroup that an invocation belongs to.
fn rowOf(lane: u32) -> u32 {
  return lane / 32u / (ROW_LANES / SIDE) * (32u / SIDE) + lane % 32u / SIDE;
}

// Its place among those of its row.
fn slotOf(lane: u32) -> u32 {
  return lane / 32u % (ROW_LANES / SIDE) * SIDE + lane % SIDE;
}
