// Part of a shader whose weights are 4-bit codes: the levels that they stand for, as bytes, of a word's
// eight codes at once. What that takes is operations, which GPUs have few of for each byte that they
// read: 3 where codes are levels, 10 for FP4, some 30 for IQ4 (of any three operands); a look-up for
// each weight would be some 100.
//
// LEVELS 0: a code is its level, 0 … 15.
// LEVELS 1, FP4 numbers (E2M1), doubled and 12 more: 0, 4, 6, 8 … 16, 18, 20, 24. Of these, 0, 4, 6 and
// 8 … 15 are their own codes; 16, 18, 20 and 24 have the odd codes below 8: 1, 3, 5 and 7.
// LEVELS 2, the sixteen of IQ4, signed: a code is the higher half of the level's byte, but that both 1
// and 13 have 0 there, and no level has 6: that is the code of 13.
// LEVELS 3, the sixteen of IQ3_XXS, halved, and 31 more: 4·code + 1, but that the first and the last one
// are 1 further away: 0, 5, 9 … 57, 62.
// LEVELS 4, the six of IQ2, and 43 more: bits of a code count 17, 18 and 51. LEVELS 5, the six of IQ1
// times 8, and 9 more: they count 2, 8 and 16.

override LEVELS: u32 = 0;

const LOWER = 0x0F0F0F0Fu; // halves of bytes

// Of the lower and of the higher halves of a word's bytes.
fn levelsOf(w: u32) -> vec2<u32> {
  if (LEVELS == 0u) { return vec2(w & LOWER, (w >> 4u) & LOWER); }
  if (LEVELS == 1u) { return fp4Levels(w); }
  if (LEVELS == 3u) { return iq3Levels(w); }
  if (LEVELS == 4u) { return weighed(w, 17u, 18u, 51u); }
  if (LEVELS == 5u) { return weighed(w, 2u, 8u, 16u); }
  // Bit by bit of the levels, by what it is for code 0, 1 …, from the lowest bit of a number on.
  let lower = (truth(0x3DFBu, w >> 3u, w >> 2u, w >> 1u, w) & 0x11111111u) |
    (truth(0xD804u, w >> 2u, w >> 1u, w, w << 1u) & 0x22222222u) |
    (truth(0xBC5Cu, w >> 1u, w, w << 1u, w << 2u) & 0x44444444u) |
    (truth(0x7E62u, w, w << 1u, w << 2u, w << 3u) & 0x88888888u);
  let higher = (w & 0x99999999u) |
    (truth(0xCC8Cu, w >> 2u, w >> 1u, w, w << 1u) & 0x22222222u) |
    (truth(0xF0B0u, w >> 1u, w, w << 1u, w << 2u) & 0x44444444u);
  return vec2(
    (lower & LOWER) | ((higher << 4u) & ~LOWER),
    ((lower >> 4u) & LOWER) | (higher & ~LOWER),
  );
}

fn fp4Levels(w: u32) -> vec2<u32> {
  // 1 in the nibble of each code that is odd and below 8.
  let far = w & ~(w >> 3u) & 0x11111111u;
  // Less 16: codes less 1, and 8 instead of 6 where bits 1 and 2 are set, too.
  let nibbles = w - far + ((far << 1u) & w & (w >> 1u));
  return vec2(
    (nibbles & LOWER) | ((far << 4u) & ~LOWER),
    ((nibbles >> 4u) & LOWER) | (far & ~LOWER),
  );
}

fn iq3Levels(w: u32) -> vec2<u32> {
  let pairs = w & (w >> 1u);
  let ones = pairs & (pairs >> 2u) & 0x11111111u; // 1 in each nibble of four ones
  let some = w | (w >> 1u);
  let zeros = ~(some | (some >> 2u)) & 0x11111111u;
  let more = vec2(ones & LOWER, (ones >> 4u) & LOWER) + 0x01010101u;
  let less = vec2(zeros & LOWER, (zeros >> 4u) & LOWER);
  return (vec2(w & LOWER, (w >> 4u) & LOWER) << vec2(2u)) + more - less;
}

// Sums of what the lowest three bits count.
fn weighed(w: u32, a: u32, b: u32, c: u32) -> vec2<u32> {
  let words = vec2(w, w >> 4u);
  let ones = vec2(0x01010101u);
  return (words & ones) * a + ((words >> vec2(1u)) & ones) * b + ((words >> vec2(2u)) & ones) * c;
}

// Bit c of a table for each code c, whose bits 3 … 0 are those of the words at the same place. Tables
// are constants: of all these choices two or three operations are left.
fn truth(table: u32, c3: u32, c2: u32, c1: u32, c0: u32) -> u32 {
  return chosen(c3, ofEight(table >> 8u, c2, c1, c0), ofEight(table, c2, c1, c0));
}

fn ofEight(table: u32, c2: u32, c1: u32, c0: u32) -> u32 {
  return chosen(c2, ofFour(table >> 4u, c1, c0), ofFour(table, c1, c0));
}

fn ofFour(table: u32, c1: u32, c0: u32) -> u32 {
  return chosen(c1, ofTwo(table >> 2u, c0), ofTwo(table, c0));
}

fn ofTwo(table: u32, c0: u32) -> u32 {
  return chosen(c0, select(0u, ~0u, (table & 2u) != 0u), select(0u, ~0u, (table & 1u) != 0u));
}

// Bit by bit.
fn chosen(by: u32, one: u32, zero: u32) -> u32 { return (by & one) | (~by & zero); }
