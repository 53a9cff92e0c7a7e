// Part of a shader that leaves rows in 8 bits, for products by integer dot products; `int8` is the
// shader's. What a row is: parts/int8.wgsl, in words here.
//
// q = round(127 · x / largest |x| of the 32), as the CPU's kernels do it.

const PIECE_WORDS = 12u; // bytes of 32 columns, and what is known of them
const LEAST = 7.888609e-31; // 2^-100: pieces of smaller values count as zeros

var<workgroup> byLane: array<f32, LANES>;

// Columns 4i … 4i + 3 of a token's row of `pieces`; eight neighbours have a piece together, and all
// of a workgroup come here.
fn putInt8(value: vec4<f32>, lane: u32, token: u32, pieces: u32, i: u32, isThere: bool) {
  let size = abs(value);
  workgroupBarrier(); // what was there was read
  byLane[lane] = max(max(size.x, size.y), max(size.z, size.w));
  workgroupBarrier();
  let first = lane - lane % 8u;
  var top = 0.0;
  for (var j = first; j < first + 8u; j++) { top = max(top, byLane[j]); }
  let isZero = top < LEAST;
  let q = vec4<i32>(round(select(127.0 / top, 0.0, isZero) * value));
  let row = token * pieces * PIECE_WORDS;
  if (isThere) {
    let bytes = vec4<u32>(q & vec4(0xFF)) << vec4(0u, 8u, 16u, 24u);
    int8[row + i] = bytes.x | bytes.y | bytes.z | bytes.w;
  }
  workgroupBarrier();
  byLane[lane] = f32(q.x + q.y + q.z + q.w);
  workgroupBarrier();
  if (lane % 8u != 0u || !isThere) { return; }
  let scale = select(top / 127.0, 0.0, isZero);
  let low = byLane[lane] + byLane[lane + 1u] + byLane[lane + 2u] + byLane[lane + 3u];
  let high = byLane[lane + 4u] + byLane[lane + 5u] + byLane[lane + 6u] + byLane[lane + 7u];
  let at = row + 8u * pieces + i / 8u * 4u;
  int8[at] = bitcast<u32>(scale);
  int8[at + 1u] = bitcast<u32>(scale * low);
  int8[at + 2u] = bitcast<u32>(scale * high);
}
