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
  let x0 = rowAt(token, piece);
  let x1 = rowAt(token, min(piece + ROW_LANES, end));
  let first = vec2(productOf(w.a0, w.factorsA0, x0), productOf(w.b0, w.factorsB0, x0));
  let second = vec2(productOf(w.a1, w.factorsA1, x1), productOf(w.b1, w.factorsB1, x1));
  return first + select(vec2(0.0), second, piece + ROW_LANES <= end);
}

const PAIR_PIECES = 2u; // that are asked for at once

// The workgroup has a copy of the token's row: not of several, nor where memory is short. From there
// neighbours read without the detours of a buffer: bounds, and rows of memory of which they use a half.
override IS_COPIED: bool = false;
override COPY_ROOM: u32 = 1; // 3 · PIECES where IS_COPIED
// [3, PIECES]: columns 0 … 15, columns 16 … 31, and what is known.
var<workgroup> copied: array<vec4<u32>, COPY_ROOM>;

// All of the workgroup come here, before `rowAt`.
fn prepare(token: u32, lane: u32) {
  if (!IS_COPIED) { return; }
  let row = 3u * token * PIECES;
  for (var i = lane; i < PIECES; i += LANES) {
    copied[i] = x[row + 2u * i];
    copied[PIECES + i] = x[row + 2u * i + 1u];
    copied[2u * PIECES + i] = x[row + 2u * PIECES + i];
  }
  workgroupBarrier();
}

fn rowAt(token: u32, piece: u32) -> Inputs {
  if (!IS_COPIED) { return inputsAt(token, piece); }
  let known = bitcast<vec4<f32>>(copied[2u * PIECES + piece]);
  return Inputs(copied[piece], copied[PIECES + piece], known);
}

// The squares of 32 columns, which lie with what else is known of them.
fn squaresAt(token: u32, piece: u32) -> f32 {
  return bitcast<f32>(x[3u * token * PIECES + 2u * PIECES + piece].w);
}
