// Part of a shader that leaves pieces of 32 columns in 8 bits whose floats its workgroup has side by
// side; `int8` is the shader's. What a row is: parts/int8.wgsl, in words here.
//
// q = round(127 · x / largest |x| of the 32), as the CPU's kernels do it. Eight neighbours make a
// piece, and each reads all of it: to wait for one another would take longer.

const PIECE_WORDS = 12u; // bytes of 32 columns, and what is known of them
const LEAST = 7.888609e-31; // 2^-100: pieces of smaller values count as zeros

var<workgroup> pieces: array<vec4<f32>, 64>; // fours of columns, eight of a piece

// Four `lane` of those there are goes to piece `piece` (that of lanes 0 … 7, the next one that of the
// eight behind these) of a token's row of `count` pieces. `pieces` was written, and a barrier is behind it.
fn putPieces(lane: u32, token: u32, piece: u32, count: u32) {
  let first = lane - lane % 8u;
  var tops = abs(pieces[first]);
  for (var j = 1u; j < 8u; j++) { tops = max(tops, abs(pieces[first + j])); }
  let top = max(max(tops.x, tops.y), max(tops.z, tops.w));
  let isZero = top < LEAST;
  let factor = select(127.0 / top, 0.0, isZero);
  let q = vec4<i32>(round(factor * pieces[lane]));
  let bytes = vec4<u32>(q & vec4(0xFF)) << vec4(0u, 8u, 16u, 24u);
  let row = token * count * PIECE_WORDS;
  int8[row + 8u * piece + lane] = bytes.x | bytes.y | bytes.z | bytes.w;
  if (lane % 8u != 0u) { return; }
  var low = vec4(0.0);
  var high = low;
  for (var j = 0u; j < 4u; j++) {
    low += round(factor * pieces[first + j]);
    high += round(factor * pieces[first + 4u + j]);
  }
  let scale = select(top / 127.0, 0.0, isZero);
  let at = row + 8u * count + 4u * (piece + lane / 8u);
  int8[at] = bitcast<u32>(scale);
  int8[at + 1u] = bitcast<u32>(scale * (low.x + low.y + low.z + low.w));
  int8[at + 2u] = bitcast<u32>(scale * (high.x + high.y + high.z + high.w));
}
