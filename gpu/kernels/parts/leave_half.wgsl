// Part of a shader that leaves half of a norm of rows of the stream, as joined.wgsl leaves it: the
// row times the norm's weights, in 8 bits where TO_INT8, and sums of squares by 32 columns. `weight`,
// `int8`, `fourOf` (four columns of the stream) and `keepNormed` are the shader's.

override WIDTH: u32; // by 32
override NORMED_START: u32 = 0;
override NORMED_STRIDE: u32 = 0;
override TO_F32: bool;
override TO_INT8: bool;

const LEAST = 7.888609e-31; // 2^-100: pieces of smaller values count as zeros

// A piece of 32 columns of a token, of which `fourOf` has the first four at `start`: by one invocation.
fn leaveHalf(start: u32, token: u32, piece: u32) {
  var squares = vec4(0.0);
  var tops = vec4(0.0);
  for (var j = 0u; j < 8u; j++) {
    let value = fourOf(start + j);
    squares += value * value;
    let made = value * weight[8u * piece + j];
    tops = max(tops, abs(made));
    if (TO_F32) { keepNormed(NORMED_START + token * NORMED_STRIDE + 32u * piece + 4u * j, made); }
  }
  let sum = squares.x + squares.y + squares.z + squares.w;
  if (TO_F32) { keepSquares(NORMED_START + token * NORMED_STRIDE + WIDTH + piece, sum); }
  if (!TO_INT8) { return; }
  let top = max(max(tops.x, tops.y), max(tops.z, tops.w));
  let isZero = top < LEAST;
  let factor = select(127.0 / top, 0.0, isZero);
  let row = token * (12u * WIDTH / 32u);
  var low = vec4(0);
  var high = low;
  for (var j = 0u; j < 8u; j++) {
    let q = vec4<i32>(round(factor * (fourOf(start + j) * weight[8u * piece + j])));
    let bytes = vec4<u32>(q & vec4(0xFF)) << vec4(0u, 8u, 16u, 24u);
    int8[row + 8u * piece + j] = bytes.x | bytes.y | bytes.z | bytes.w;
    if (j < 4u) { low += q; } else { high += q; }
  }
  let scale = select(top / 127.0, 0.0, isZero);
  let known = row + WIDTH / 4u + 4u * piece;
  int8[known] = bitcast<u32>(scale);
  int8[known + 1u] = bitcast<u32>(scale * f32(low.x + low.y + low.z + low.w));
  int8[known + 2u] = bitcast<u32>(scale * f32(high.x + high.y + high.z + high.w));
  int8[known + 3u] = bitcast<u32>(sum);
}
