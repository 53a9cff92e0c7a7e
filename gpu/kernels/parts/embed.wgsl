// Part of a lookup of rows in a table: which row a token has, and where it goes; `records`, `to`
// and what makes a piece of FOURS · 4 columns are the shader's.
//
// A token's row is that of its id, or of its position where BY_POSITION. One that is not there counts
// as zeros where IS_FIRST, and is left alone elsewhere: another part of the table has it.

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
  if (BY_POSITION) { return records[token * RECORD + 1u] - FIRST_ID; }
  return records[token * RECORD] - FIRST_ID; // below 0 becomes a large number
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let piece = id.x;
  let token = id.y;
  if (piece >= ROW_PIECES) { return; }
  let row = rowOf(token);
  let base = TO_START + token * TO_STRIDE + piece * FOURS;
  if (row < ROWS) {
    putPiece(base, row * ROW_PIECES + piece);
  } else if (IS_FIRST) {
    for (var j = 0u; j < FOURS; j++) { put(base + j, vec4(0.0)); }
  }
}
