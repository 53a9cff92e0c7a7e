// Part of a product with tokens of a sequence each: two rows, which read the same.

struct PairSums { a: Sums, b: Sums }

// What an invocation adds to them for TOKENS tokens, from `first` on: see `sumsFrom`.
fn pairSums(a: u32, b: u32, first: u32, last: u32, lane: u32) -> PairSums {
  var s0 = vec2(0.0);
  var s1 = s0;
  var s2 = s0;
  var s3 = s0;
  var s4 = s0;
  var s5 = s0;
  var s6 = s0;
  var s7 = s0;
  prepare(first, lane);
  for (var piece = slotOf(lane); piece < PIECES; piece += PAIR_PIECES * ROW_LANES) {
    let w = pairFrom(a, b, piece);
    s0 += pairProducts(w, first, piece);
    if (TOKENS >= 2u) { s1 += pairProducts(w, min(first + 1u, last), piece); }
    if (TOKENS >= 4u) {
      s2 += pairProducts(w, min(first + 2u, last), piece);
      s3 += pairProducts(w, min(first + 3u, last), piece);
    }
    if (TOKENS >= 8u) {
      s4 += pairProducts(w, min(first + 4u, last), piece);
      s5 += pairProducts(w, min(first + 5u, last), piece);
      s6 += pairProducts(w, min(first + 6u, last), piece);
      s7 += pairProducts(w, min(first + 7u, last), piece);
    }
  }
  return PairSums(
    Sums(vec4(s0.x, s1.x, s2.x, s3.x), vec4(s4.x, s5.x, s6.x, s7.x)),
    Sums(vec4(s0.y, s1.y, s2.y, s3.y), vec4(s4.y, s5.y, s6.y, s7.y)),
  );
}
