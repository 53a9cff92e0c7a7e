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
