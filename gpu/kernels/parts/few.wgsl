// Part of a product with few tokens: TOKENS of them at once. What a row comes to for a token is added
// up in the same order however many there are.

override TOKENS: u32 = 1; // 1, 2, 4 or 8

struct Sums { low: vec4<f32>, high: vec4<f32> } // of tokens 0 … 3 and 4 … 7

// Of token t; no array is made, so that sums stay in registers.
fn ofToken(sums: Sums, t: u32) -> f32 {
  if (TOKENS == 1u) { return sums.low.x; }
  let four = select(sums.low, sums.high, t >= 4u);
  let two = select(four.xy, four.zw, t % 4u >= 2u);
  return select(two.x, two.y, t % 2u == 1u);
}

// What an invocation adds to a row's products with TOKENS tokens, from `first` on; what would be
// beyond the last one is computed in vain. Who reads weights has `weightsFrom` and `fourProducts`, and
// `prepare`, which comes before.
fn sumsFrom(start: u32, first: u32, last: u32, lane: u32) -> Sums {
  var low = vec4(0.0);
  var high = vec4(0.0);
  prepare(first, lane);
  for (var piece = slotOf(lane); piece < PIECES; piece += 4u * ROW_LANES) {
    let w = weightsFrom(start, piece);
    low.x += fourProducts(w, first, piece);
    if (TOKENS >= 2u) { low.y += fourProducts(w, min(first + 1u, last), piece); }
    if (TOKENS >= 4u) {
      low.z += fourProducts(w, min(first + 2u, last), piece);
      low.w += fourProducts(w, min(first + 3u, last), piece);
    }
    if (TOKENS >= 8u) {
      high.x += fourProducts(w, min(first + 4u, last), piece);
      high.y += fourProducts(w, min(first + 5u, last), piece);
      high.z += fourProducts(w, min(first + 6u, last), piece);
      high.w += fourProducts(w, min(first + 7u, last), piece);
    }
  }
  return Sums(low, high);
}
