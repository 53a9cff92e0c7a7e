// Part of a shader whose weights are 4-bit codes; `groups` is the shader's.
//
// A code q becomes the float h = 1 + q/16 by two bit operations (E0M4): (q << 19) | 0x3F800000.
// w = A·h + B; A = 16·scale, B = offset − A. A piece is 16 bytes, 32 columns of a row: byte 4j + b
// of it holds column 4j + b in its low and column 16 + 4j + b in its high half.

override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors
override MIDDLE: f32 = 0.0; // code that stands for zero, where factors are scales alone

// A and B of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { // f16 scale
    let scale = unpack2x16float(groups[group >> 1u])[group & 1u];
    return vec2(16.0 * scale, -(16.0 + MIDDLE) * scale);
  }
  if (FACTORS == 1u) { // f32 scale
    let scale = bitcast<f32>(groups[group]);
    return vec2(16.0 * scale, -(16.0 + MIDDLE) * scale);
  }
  if (FACTORS == 2u) { // f16 scale, f16 offset
    let pair = unpack2x16float(groups[group]);
    return vec2(16.0 * pair.x, pair.y - 16.0 * pair.x);
  }
  let scale = bitcast<f32>(groups[2u * group]); // f32 scale, f32 offset
  return vec2(16.0 * scale, bitcast<f32>(groups[2u * group + 1u]) - 16.0 * scale);
}

// A and B of the lower and of the higher half of a piece.
fn factorsOfHalves(piece: u32) -> vec4<f32> {
  if (GROUP == 32u) {
    let both = factorsOf(piece);
    return vec4(both, both);
  }
  return vec4(factorsOf(2u * piece), factorsOf(2u * piece + 1u));
}

fn floats(bits: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((bits & vec4(0x780000u)) | vec4(0x3F800000u));
}

// Columns 4j … 4j + 3 of a piece, j its word's number; f = factorsOfHalves().
fn lowWeights(w: u32, f: vec4<f32>) -> vec4<f32> {
  return f.x * floats(vec4(w << 19u, w << 11u, w << 3u, w >> 5u)) + f.y;
}

// Columns 16 + 4j ….
fn highWeights(w: u32, f: vec4<f32>) -> vec4<f32> {
  return f.z * floats(vec4(w << 15u, w << 7u, w >> 1u, w >> 9u)) + f.w;
}
