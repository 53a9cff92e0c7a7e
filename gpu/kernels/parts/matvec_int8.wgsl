// Part of a product with few tokens in 8 bits: what an invocation adds to it.

// What an invocation adds to a row's products with TOKENS of `count` tokens, from `first` on.
fn sumsOf(row: u32, first: u32, count: u32, lane: u32) -> Sums {
  let start = min(row, ROWS - 1u) * ROW_PIECES;
  let last = count - 1u; // what is beyond it is computed in vain
  var low = vec4(0.0);
  var high = vec4(0.0);
  if (TOKENS == 1u) {
    for (var piece = lane % ROW_LANES; piece < PIECES; piece += 4u * ROW_LANES) {
      low.x += fourProducts(start, first, piece);
    }
    return Sums(low, high);
  }
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += ROW_LANES) {
    let w = weightsAt(start + piece);
    let factors = factorsOfHalves(start + piece);
    low.x += product(w, factors, first, piece);
    low.y += product(w, factors, min(first + 1u, last), piece);
    if (TOKENS >= 4u) {
      low.z += product(w, factors, min(first + 2u, last), piece);
      low.w += product(w, factors, min(first + 3u, last), piece);
    }
    if (TOKENS >= 8u) {
      high.x += product(w, factors, min(first + 4u, last), piece);
      high.y += product(w, factors, min(first + 5u, last), piece);
      high.z += product(w, factors, min(first + 6u, last), piece);
      high.w += product(w, factors, min(first + 7u, last), piece);
    }
  }
  return Sums(low, high);
}
