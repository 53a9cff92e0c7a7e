// Part of a product with one token in 8 bits: what an invocation adds to it.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<u32>>;

// To a row.
fn rowPart(row: u32, lane: u32) -> f32 {
  let start = row * ROW_PIECES;
  var sum = 0.0;
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += 4u * ROW_LANES) {
    sum += fourProducts(start, 0u, piece);
  }
  return sum;
}

// To two rows, which read the same: two pieces of each are asked for at once.
fn pairPart(a: u32, b: u32, lane: u32) -> vec2<f32> {
  let end = PIECES - 1u;
  let startA = a * ROW_PIECES;
  let startB = b * ROW_PIECES;
  var sums = vec2(0.0);
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += 2u * ROW_LANES) {
    let next = min(piece + ROW_LANES, end);
    let a0 = weightsAt(startA + piece);
    let b0 = weightsAt(startB + piece);
    let a1 = weightsAt(startA + next);
    let b1 = weightsAt(startB + next);
    let factorsA0 = factorsOfHalves(startA + piece);
    let factorsB0 = factorsOfHalves(startB + piece);
    let factorsA1 = factorsOfHalves(startA + next);
    let factorsB1 = factorsOfHalves(startB + next);
    let x0 = inputsAt(0u, piece);
    let x1 = inputsAt(0u, next);
    let first = vec2(productOf(a0, factorsA0, x0), productOf(b0, factorsB0, x0));
    let second = vec2(productOf(a1, factorsA1, x1), productOf(b1, factorsB1, x1));
    sums += first + select(vec2(0.0), second, piece + ROW_LANES <= end);
  }
  return sums;
}

// To the sum of squares, which lie with what is known of each piece.
fn squaresPart(lane: u32) -> f32 {
  var sum = 0.0;
  if (!IS_DEFERRED) { return sum; }
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += ROW_LANES) {
    sum += bitcast<f32>(x[2u * PIECES + piece].w);
  }
  return sum;
}
