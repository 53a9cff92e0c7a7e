// Part of a shader that leaves rows in 8 bits, for products by integer dot products; `int8` is the
// shader's. What a row is: parts/int8.wgsl, in words here.
//
// q = round(127 · x / largest |x| of the 32), as the CPU's kernels do it.

const PIECE_WORDS = 12u; // bytes of 32 columns, and what is known of them
const LEAST = 7.888609e-31; // 2^-100: pieces of smaller values count as zeros

var<workgroup> tops: array<f32, 256>; // largest |x| by invocation
var<workgroup> byteSums: array<i32, 256>;

// Columns 4i … 4i + 3 of a token's row of `pieces`; eight neighbours have a piece together, and all
// of a workgroup come here.
fn putInt8(value: vec4<f32>, lane: u32, token: u32, pieces: u32, i: u32, isThere: bool) {
  let size = abs(value);
  tops[lane] = max(max(size.x, size.y), max(size.z, size.w));
  workgroupBarrier();
  let first = lane - lane % 8u;
  let low = max(max(tops[first], tops[first + 1u]), max(tops[first + 2u], tops[first + 3u]));
  let high = max(max(tops[first + 4u], tops[first + 5u]), max(tops[first + 6u], tops[first + 7u]));
  let top = max(low, high);
  let isZero = top < LEAST;
  let q = vec4<i32>(round(select(127.0 / top, 0.0, isZero) * value));
  byteSums[lane] = q.x + q.y + q.z + q.w;
  let row = token * pieces * PIECE_WORDS;
  if (isThere) {
    let bytes = vec4<u32>(q & vec4(0xFF)) << vec4(0u, 8u, 16u, 24u);
    int8[row + i] = bytes.x | bytes.y | bytes.z | bytes.w;
  }
  workgroupBarrier();
  if (lane % 8u != 0u || !isThere) { return; }
  let scale = select(top / 127.0, 0.0, isZero);
  var sum = byteSums[lane] + byteSums[lane + 1u] + byteSums[lane + 2u] + byteSums[lane + 3u];
  let at = row + 8u * pieces + i / 8u * 4u;
  int8[at] = bitcast<u32>(scale);
  int8[at + 1u] = bitcast<u32>(scale * f32(sum));
  sum = byteSums[lane + 4u] + byteSums[lane + 5u] + byteSums[lane + 6u] + byteSums[lane + 7u];
  int8[at + 2u] = bitcast<u32>(scale * f32(sum));
}
