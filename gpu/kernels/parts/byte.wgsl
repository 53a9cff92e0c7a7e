// Part of a shader whose weights are signed bytes; `groups` is the shader's.
//
// w = scale · q + offset of q's group. A piece is 16 bytes, 16 columns of a row.

override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors

// Scale and offset of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { return vec2(unpack2x16float(groups[group >> 1u])[group & 1u], 0.0); }
  if (FACTORS == 1u) { return vec2(bitcast<f32>(groups[group]), 0.0); }
  if (FACTORS == 2u) { return unpack2x16float(groups[group]); }
  return vec2(bitcast<f32>(groups[2u * group]), bitcast<f32>(groups[2u * group + 1u]));
}

// The four weights of a word of the group with these factors.
fn weightsOf(w: u32, factors: vec2<f32>) -> vec4<f32> {
  let q = vec4<f32>(vec4<i32>(vec4(w << 24u, w << 16u, w << 8u, w)) >> vec4(24u));
  return factors.x * q + factors.y;
}
