// Part of a product with many tokens: one row of four tokens goes to its place.

fn putRow(row: u32, at: u32, span: Span, sums: vec4<f32>) {
  if (row >= ROWS) { return; }
  if (at < span.end) { put(outputOf(at), row, span.weights, sums.x); }
  if (at + 1u < span.end) { put(outputOf(at + 1u), row, span.weights, sums.y); }
  if (at + 2u < span.end) { put(outputOf(at + 2u), row, span.weights, sums.z); }
  if (at + 3u < span.end) { put(outputOf(at + 3u), row, span.weights, sums.w); }
}
