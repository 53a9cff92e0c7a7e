// Part of a shader whose weights are codes in groups with factors; `groups` is the shader's.
//
// w = scale · q + offset of q's group.

override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors
override MIDDLE: f32 = 0.0; // level of zero, where factors are scales alone

// Scale and offset of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { // f16 scale
    let scale = unpack2x16float(groups[group >> 1u])[group & 1u];
    return vec2(scale, -MIDDLE * scale);
  }
  if (FACTORS == 1u) { // f32 scale
    let scale = bitcast<f32>(groups[group]);
    return vec2(scale, -MIDDLE * scale);
  }
  if (FACTORS == 2u) { return unpack2x16float(groups[group]); } // f16 scale, f16 offset
  return vec2(bitcast<f32>(groups[2u * group]), bitcast<f32>(groups[2u * group + 1u]));
}

// Of the lower and of the higher half of 32 columns.
fn factorsOfHalves(piece: u32) -> vec4<f32> {
  if (GROUP == 32u) {
    let both = factorsOf(piece);
    return vec4(both, both);
  }
  return vec4(factorsOf(2u * piece), factorsOf(2u * piece + 1u));
}
