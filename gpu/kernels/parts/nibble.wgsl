// Part of a shader whose weights are 4-bit codes.
//
// A code q becomes the float h = 1 + q/16 by two bit operations (E0M4): (q << 19) | 0x3F800000.
// w = A·h + B; A = 16·scale, B = offset − A. A piece is 16 bytes, 32 columns of a row: byte 4j + b
// of it holds column 4j + b in its low and column 16 + 4j + b in its high half.

// A and B, of scale and offset.
fn lineOf(factors: vec2<f32>) -> vec2<f32> {
  return vec2(16.0 * factors.x, factors.y - 16.0 * factors.x);
}

// A and B of the lower and of the higher half of a piece.
fn linesOfHalves(piece: u32) -> vec4<f32> {
  let factors = factorsOfHalves(piece);
  return vec4(lineOf(factors.xy), lineOf(factors.zw));
}

fn floats(bits: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((bits & vec4(0x780000u)) | vec4(0x3F800000u));
}

// Columns 4j … 4j + 3 of a piece, j its word's number; lines = linesOfHalves().
fn lowWeights(w: u32, lines: vec4<f32>) -> vec4<f32> {
  return lines.x * floats(vec4(w << 19u, w << 11u, w << 3u, w >> 5u)) + lines.y;
}

// Columns 16 + 4j ….
fn highWeights(w: u32, lines: vec4<f32>) -> vec4<f32> {
  return lines.z * floats(vec4(w << 15u, w << 7u, w >> 1u, w >> 9u)) + lines.w;
}
