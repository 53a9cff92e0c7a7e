// Part of a product with one token of floats: what an invocation adds to it.

@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;

// To a row.
fn rowPart(row: u32, lane: u32) -> f32 {
  let start = row * ROW_PIECES;
  var sum = 0.0;
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += 4u * ROW_LANES) {
    sum += product(weightsFrom(start, piece), 0u, piece);
  }
  return sum;
}

// To two rows, which read the same.
fn pairPart(a: u32, b: u32, lane: u32) -> vec2<f32> {
  let startA = a * ROW_PIECES;
  let startB = b * ROW_PIECES;
  var sums = vec2(0.0);
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += 4u * ROW_LANES) {
    let ofA = weightsFrom(startA, piece);
    let ofB = weightsFrom(startB, piece);
    sums += vec2(product(ofA, 0u, piece), product(ofB, 0u, piece));
  }
  return sums;
}

// To the sum of squares, which lie behind the columns.
fn squaresPart(lane: u32) -> f32 {
  var sum = 0.0;
  if (!IS_DEFERRED) { return sum; }
  for (var i = lane % ROW_LANES; 32u * i < NORM_WIDTH; i += ROW_LANES) {
    sum += x[X_START + NORM_WIDTH / 4u + i / 4u][i % 4u];
  }
  return sum;
}
