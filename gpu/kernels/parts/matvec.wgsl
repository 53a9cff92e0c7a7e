// Part of a product with few tokens: sums over a workgroup's 64 invocations.

override TOKENS: u32 = 1; // 1, 2, 4 or 8

const LANES = 64u;
var<workgroup> sums: array<f32, 2048>; // [64, 4·TOKENS]
var<workgroup> parts: array<f32, 64>;

// Puts what acc [4 rows, TOKENS] comes to over all invocations.
fn addUp(
  acc: ptr<function, array<f32, 32>>,
  firstRow: u32,
  firstToken: u32,
  count: u32,
  lane: u32,
  place: u32,
  size: u32,
) {
  // Value v of 4·TOKENS in 64 / values parts, then over the parts.
  let values = 4u * TOKENS;
  for (var v = 0u; v < values; v++) { sums[lane * values + v] = (*acc)[v]; }
  workgroupBarrier();
  var part = 0.0;
  for (var i = 0u; i < values; i++) {
    part += sums[((lane / values) * values + i) * values + lane % values];
  }
  parts[lane] = part;
  workgroupBarrier();
  let row = firstRow + lane / TOKENS;
  let token = firstToken + lane % TOKENS;
  if (lane >= values || row >= ROWS || token >= count) { return; }
  var sum = 0.0;
  for (var i = lane; i < LANES; i += values) { sum += parts[i]; }
  put(token, row, sum);
}
