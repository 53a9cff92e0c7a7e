// Part of a shader whose weights are f16, bf16 or f32; `codes` is the shader's.
//
// A piece is 4 columns of a row: 2 u32 of two weights each, or 4 of one.

override KIND: u32; // 0 f16, 1 bf16, 2 f32

fn weightsAt(piece: u32) -> vec4<f32> {
  if (KIND == 2u) {
    return vec4(bitcast<vec2<f32>>(codes[2u * piece]), bitcast<vec2<f32>>(codes[2u * piece + 1u]));
  }
  let words = codes[piece];
  if (KIND == 0u) { return vec4(unpack2x16float(words.x), unpack2x16float(words.y)); }
  let bits = vec4(words.x << 16u, words.x & 0xFFFF0000u, words.y << 16u, words.y & 0xFFFF0000u);
  return bitcast<vec4<f32>>(bits);
}
