// Part of a product in 8 bits that does more than multiply: what an invocation adds to it.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<u32>>;

// Of two rows, which read the same: two pieces of each.
struct Pair {
  a0: Weights, b0: Weights, a1: Weights, b1: Weights,
  factorsA0: vec4<f32>, factorsB0: vec4<f32>, factorsA1: vec4<f32>, factorsB1: vec4<f32>,
}

fn pairFrom(a: u32, b: u32, piece: u32) -> Pair {
  let startA = a * ROW_PIECES;
  let startB = b * ROW_PIECES;
  let next = min(piece + ROW_LANES, PIECES - 1u);
  return Pair(
    weightsAt(startA + piece), weightsAt(startB + piece),
    weightsAt(startA + next), weightsAt(startB + next),
    factorsOfHalves(startA + piece), factorsOfHalves(startB + piece),
    factorsOfHalves(startA + next), factorsOfHalves(startB + next),
  );
}

fn pairProducts(w: Pair, token: u32, piece: u32) -> vec2<f32> {
  let end = PIECES - 1u;
  let x0 = inputsAt(token, piece);
  let x1 = inputsAt(token, min(piece + ROW_LANES, end));
  let first = vec2(productOf(w.a0, w.factorsA0, x0), productOf(w.b0, w.factorsB0, x0));
  let second = vec2(productOf(w.a1, w.factorsA1, x1), productOf(w.b1, w.factorsB1, x1));
  return first + select(vec2(0.0), second, piece + ROW_LANES <= end);
}

const PAIR_PIECES = 2u; // that are asked for at once

// To the sum of squares, which lie with what is known of each piece.
fn squaresPart(token: u32, lane: u32) -> f32 {
  var sum = 0.0;
  if (!IS_DEFERRED) { return sum; }
  let start = 3u * token * PIECES + 2u * PIECES;
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += ROW_LANES) {
    sum += bitcast<f32>(x[start + piece].w);
  }
  return sum;
}
