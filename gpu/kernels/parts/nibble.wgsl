// Part of a shader whose weights are 4-bit codes.
//
// A level q (parts/levels.wgsl) becomes the float h = 1 + q/16 by two bit operations (E0M4):
// (q << 19) | 0x3F800000. w = A·h + B; A = 16·scale, B = offset − A. FP4's levels have five bits: q/32
// and 32·scale; those of IQ types have eight, IQ4's with signs: h = 1 + (q + 128)/256, A = 256·scale, B = offset − 1.5·A,
// so that no offset is left of the weights' own, and they are as exact as their scale. A piece is 16 bytes, 32 columns of a row: byte
// 4j + b of it holds column 4j + b in its low and column 16 + 4j + b in its high half.

// A and B, of scale and offset.
fn lineOf(factors: vec2<f32>) -> vec2<f32> {
  if (LEVELS >= 2u) { return vec2(256.0 * factors.x, factors.y - 384.0 * factors.x); }
  let slope = select(32.0, 16.0, LEVELS == 0u) * factors.x;
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

// Of four levels, a byte each.
fn floatsOfBytes(w: u32) -> vec4<f32> {
  if (LEVELS == 1u) {
    let bits = vec4(w << 18u, w << 10u, w << 2u, w >> 6u);
    return bitcast<vec4<f32>>((bits & vec4(0x7C0000u)) | vec4(0x3F800000u));
  }
  let plus128 = w ^ 0x80808080u;
  let bits = vec4(plus128 << 15u, plus128 << 7u, plus128 >> 1u, plus128 >> 9u);
  return bitcast<vec4<f32>>((bits & vec4(0x7F8000u)) | vec4(0x3F800000u));
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
