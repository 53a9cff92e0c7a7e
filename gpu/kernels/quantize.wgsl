// int8[t] = x[t] in 8 bits, for products by integer dot products.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · PIECES] |
//
// An invocation makes four columns. Grid: [⌈8 · PIECES / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> int8: array<u32>;

override PIECES: u32;
override X_START: u32; // vec4s
override X_STRIDE: u32; // vec4s

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let isThere = id.x < 8u * PIECES;
  var value = vec4(0.0);
  if (isThere) { value = x[X_START + id.y * X_STRIDE + id.x]; }
  putInt8(value, lane, id.y, PIECES, id.x, isThere);
}
