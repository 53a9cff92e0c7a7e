// Part of a product of floats that does more than multiply: what an invocation adds to it.

@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;

// Of two rows, which read the same.
struct Pair { a: Four, b: Four }

fn pairFrom(a: u32, b: u32, piece: u32) -> Pair {
  return Pair(weightsFrom(a * ROW_PIECES, piece), weightsFrom(b * ROW_PIECES, piece));
}

fn pairProducts(w: Pair, token: u32, piece: u32) -> vec2<f32> {
  return vec2(fourProducts(w.a, token, piece), fourProducts(w.b, token, piece));
}

const PAIR_PIECES = 4u; // that are asked for at once

fn prepare(token: u32, lane: u32) {}

// The squares of 32 columns, which lie behind all of them.
fn squaresAt(token: u32, piece: u32) -> f32 {
  return x[X_START + token * X_STRIDE + NORM_WIDTH / 4u + piece / 4u][piece % 4u];
}
