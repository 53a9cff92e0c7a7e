// Part of a shader whose weights are 4-bit codes.
//
// A level q (parts/levels.wgsl) becomes the float h = 1 + q/16 by two bit operations (E0M4):
// (q << 19) | 0x3F800000. w = A·h + B; A = 16·scale, B = offset − A. Where levels are not the codes
// themselves they have five bits: q/32, and 32·scale. A piece is 16 bytes, 32 columns of a row: byte
// 4j + b of it holds column 4j + b in its low and column 16 + 4j + b in its high half.

// Levels of a step of h by 1.
fn span() -> f32 { return select(32.0, 16.0, LEVELS == 0u); }

// A and B, of scale and offset.
fn lineOf(factors: vec2<f32>) -> vec2<f32> {
  let slope = span() * factors.x;
  return vec2(slope, factors.y - slope);
}

// A and B of the lower and of the higher half of a piece.
fn linesOfHalves(piece: u32) -> vec4<f32> {
  let factors = factorsOfHalves(piece);
  return vec4(lineOf(factors.xy), lineOf(factors.zw));
}

fn floats(bits: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((bits & vec4(0x780000u)) | vec4(0x3F800000u));
}

// Of four levels of five bits, a byte each.
fn floatsOfBytes(w: u32) -> vec4<f32> {
  let bits = vec4(w << 18u, w << 10u, w << 2u, w >> 6u);
  return bitcast<vec4<f32>>((bits & vec4(0x7C0000u)) | vec4(0x3F800000u));
}

// h of columns 4j … 4j + 3 of a piece, j its word's number.
fn lowFloats(w: u32) -> vec4<f32> {
  if (LEVELS == 0u) { return floats(vec4(w << 19u, w << 11u, w << 3u, w >> 5u)); }
  return floatsOfBytes(levelsOf(w).x);
}

// Of columns 16 + 4j ….
fn highFloats(w: u32) -> vec4<f32> {
  if (LEVELS == 0u) { return floats(vec4(w << 15u, w << 7u, w >> 1u, w >> 9u)); }
  return floatsOfBytes(levelsOf(w).y);
}

// Their weights; lines = linesOfHalves().
fn lowWeights(w: u32, lines: vec4<f32>) -> vec4<f32> { return lines.x * lowFloats(w) + lines.y; }

fn highWeights(w: u32, lines: vec4<f32>) -> vec4<f32> { return lines.z * highFloats(w) + lines.w; }
