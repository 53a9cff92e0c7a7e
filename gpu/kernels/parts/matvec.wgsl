// Part of a product with few tokens: sums over a workgroup's 64 invocations.

override TOKENS: u32 = 1; // 1, 2, 4 or 8

const LANES = 64u;
const QUARTER = 4u; // invocations whose values are added up first
var<workgroup> sums: array<f32, 2048>; // [64, 4·TOKENS]
var<workgroup> parts: array<f32, 512>; // [16, 4·TOKENS]

// Puts what acc [4 rows, TOKENS] comes to over all invocations: in one order for any TOKENS.
fn addUp(
  acc: ptr<function, array<f32, 32>>,
  firstRow: u32,
  span: Span,
  lane: u32,
  place: u32,
  size: u32,
) {
  let values = 4u * TOKENS;
  for (var v = 0u; v < values; v++) { sums[lane * values + v] = (*acc)[v]; }
  workgroupBarrier();
  for (var p = lane; p < LANES / QUARTER * values; p += LANES) {
    var part = 0.0;
    for (var i = 0u; i < QUARTER; i++) {
      part += sums[(p / values * QUARTER + i) * values + p % values];
    }
    parts[p] = part;
  }
  workgroupBarrier();
  let row = firstRow + lane / TOKENS;
  let at = span.first + lane % TOKENS;
  if (lane >= values || row >= ROWS || at >= span.end) { return; }
  var sum = 0.0;
  for (var i = 0u; i < LANES / QUARTER; i++) { sum += parts[i * values + lane]; }
  put(outputOf(at), row, span.weights, sum);
}
