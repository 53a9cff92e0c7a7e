// Part of a product with many tokens: one row of four tokens goes to its place.

fn putRow(row: u32, token: u32, count: u32, sums: vec4<f32>) {
  if (row >= ROWS) { return; }
  if (token < count) { put(token, row, sums.x); }
  if (token + 1u < count) { put(token + 1u, row, sums.y); }
  if (token + 2u < count) { put(token + 2u, row, sums.z); }
  if (token + 3u < count) { put(token + 3u, row, sums.w); }
}
