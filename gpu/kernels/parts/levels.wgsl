// Part of a shader whose weights are 4-bit codes: the levels that they stand for, as bytes.
//
// Where LEVELS is 0 a code is its level, 0 … 15. Where it is 1 codes are FP4 numbers (E2M1), doubled
// and 12 more: 0, 4, 6, 8 … 16, 18, 20, 24. Of these, 0, 4, 6 and 8 … 15 are their own codes; the far
// ones, 16, 18, 20 and 24, have the odd codes below 8: 1, 3, 5 and 7. What a word's eight weights
// take is 10 operations where counted levels take 3; a look-up by each weight would take some 100.

override LEVELS: u32 = 0;

const LOWER = 0x0F0F0F0Fu; // halves of bytes

// Of the lower and of the higher halves of a word's bytes.
fn levelsOf(w: u32) -> vec2<u32> {
  if (LEVELS == 0u) { return vec2(w & LOWER, (w >> 4u) & LOWER); }
  // 1 in the nibble of each code that is odd and below 8.
  let far = w & ~(w >> 3u) & 0x11111111u;
  // Less 16: codes less 1, and 8 instead of 6 where bits 1 and 2 are set, too.
  let nibbles = w - far + ((far << 1u) & w & (w >> 1u));
  return vec2(
    (nibbles & LOWER) | ((far << 4u) & ~LOWER),
    ((nibbles >> 4u) & LOWER) | (far & ~LOWER),
  );
}
