// Part of a shader that orders logits: what a logit's key is, and how the rows of them are cut.
//
// Keys are in the order of their logits: above 0 for numbers and infinity, 0 for what is never chosen
// (NaN and -infinity). Bits are looked at, for shaders may suppose that no float is NaN.

const LANES = 256u;

override WIDTH: u32;
override X_START: u32;
override PART_ROWS: u32;

const MINUS_INFINITY = 0x007fffffu; // its key, if it had one

fn keyOf(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  // -0 is as large as 0.
  let key = select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u && bits != 0x80000000u);
  return select(key, 0u, key == MINUS_INFINITY);
}
