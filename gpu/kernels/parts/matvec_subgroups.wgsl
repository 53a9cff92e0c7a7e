// Part of a product with few tokens: sums over a workgroup's 64 invocations by subgroups, whose
// invocations must be neighbours: the autotune looks.

override TOKENS: u32 = 1; // 1, 2, 4 or 8

const LANES = 64u;
var<workgroup> sums: array<f32, 512>; // [subgroups, 4·TOKENS], subgroups of 4 and more

// Puts what acc [4 rows, TOKENS] comes to over all invocations.
fn addUp(
  acc: ptr<function, array<f32, 32>>,
  firstRow: u32,
  span: Span,
  lane: u32,
  place: u32,
  size: u32,
) {
  let values = 4u * TOKENS;
  for (var v = 0u; v < values; v++) {
    let part = subgroupAdd((*acc)[v]);
    if (place == 0u) { sums[lane / size * values + v] = part; }
  }
  workgroupBarrier();
  let row = firstRow + lane / TOKENS;
  let at = span.first + lane % TOKENS;
  if (lane >= values || row >= ROWS || at >= span.end) { return; }
  var sum = 0.0;
  for (var i = 0u; i < LANES / size; i++) { sum += sums[i * values + lane]; }
  put(outputOf(at), row, span.weights, sum);
}
