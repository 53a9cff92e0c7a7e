// Part of a shader whose weights are signed bytes. A piece is 16 bytes, 16 columns of a row.

// The four weights of a word of the group with these factors.
fn weightsOf(w: u32, factors: vec2<f32>) -> vec4<f32> {
  let q = vec4<f32>(vec4<i32>(vec4(w << 24u, w << 16u, w << 8u, w)) >> vec4(24u));
  return factors.x * q + factors.y;
}
