// Part of a product with many tokens: a workgroup's tile of 64 rows × 32 tokens, of which an
// invocation owns 8 rows × 4 tokens; `x` is the shader's.

var<workgroup> xTile: array<vec4<f32>, 256>; // [32 columns, 8 × 4 tokens]

// Four columns of four tokens of 32 columns from the column4-th four on; zeros behind end4 fours.
fn loadInputs(span: Span, column4: u32, end4: u32, lane: u32) {
  let quad = lane / 8u;
  let k4 = lane % 8u;
  var values: mat4x4<f32>;
  if (column4 + k4 < end4) {
    for (var t = 0u; t < 4u; t++) {
      let token = inputOf(min(span.first + 4u * quad + t, span.end - 1u));
      values[t] = x[X_START + token * X_STRIDE + column4 + k4];
    }
  }
  let columns = transpose(values);
  for (var i = 0u; i < 4u; i++) { xTile[(4u * k4 + i) * 8u + quad] = columns[i]; }
}

// Puts acc [4 tokens, 2 × 4 rows].
fn putTile(
  acc: ptr<function, array<vec4<f32>, 8>>,
  firstRow: u32,
  span: Span,
  lane: u32,
) {
  for (var t = 0u; t < 4u; t++) {
    let at = span.first + 4u * (lane / 8u) + t;
    if (at >= span.end) { break; }
    let token = outputOf(at);
    for (var r = 0u; r < 8u; r++) {
      let row = firstRow + 8u * (lane % 8u) + r;
      if (row < ROWS) { put(token, row, span.weights, (*acc)[2u * t + r / 4u][r % 4u]); }
    }
  }
}
