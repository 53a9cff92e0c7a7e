// Part of a lookup of rows in a table: which row a token has, and where it goes; `records` and `to`
// are the shader's.

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

override ROWS: u32;
override FIRST_ID: u32 = 0;
override BY_POSITION: bool = false;
override IS_FIRST: bool = true;
override ROW_PIECES: u32;
override RECORD: u32; // words of a token's record
override TO_START: u32; // vec4s
override TO_STRIDE: u32; // vec4s
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;

fn put(at: u32, value: vec4<f32>) {
  to[at] = select(vec4(0.0), to[at], ACCUMULATE) + SCALE * value;
}

// The row of a token in this part of the table; ROWS and more: it is in another one.
fn rowOf(token: u32) -> u32 {
  if (BY_POSITION) { return step.position + token - FIRST_ID; }
  return records[token * RECORD] - FIRST_ID; // below 0 becomes a large number
}

// A row that is not here counts as zeros in the first part, and is left alone by the others.
fn skip(base: u32, count: u32) {
  if (!IS_FIRST) { return; }
  for (var j = 0u; j < count; j++) { put(base + j, vec4(0.0)); }
}
