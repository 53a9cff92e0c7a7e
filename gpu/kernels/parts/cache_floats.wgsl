// Part of attention shaders: four dimensions of their cache at a time, vec4 i of it, as floats.

override IS_F32: bool = false; // else pairs of f16

fn halves(words: vec2<u32>) -> vec4<f32> {
  return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}

fn keyAt(i: u32) -> vec4<f32> {
  if (IS_F32) {
    return vec4(bitcast<vec2<f32>>(keys[2u * i]), bitcast<vec2<f32>>(keys[2u * i + 1u]));
  }
  return halves(keys[i]);
}

fn valueAt(i: u32) -> vec4<f32> {
  if (IS_F32) {
    return vec4(bitcast<vec2<f32>>(values[2u * i]), bitcast<vec2<f32>>(values[2u * i + 1u]));
  }
  return halves(values[i]);
}
