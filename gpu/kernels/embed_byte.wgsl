// to[t, i] (+)= scale · w[id(t) − FIRST_ID, i]; w of signed bytes.
//
// id(t) is the token's id, or its position where BY_POSITION. A row that is not there counts as
// zeros where IS_FIRST, and is left alone elsewhere: another part of the table has it.
//
// Codes and factors as in matvec_byte.wgsl: w = scale · q + offset.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | pieces of 16 columns | [rows, ROW_PIECES] vec4<u32> |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | records | u32 words; the first of a token's is its id | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// An invocation makes one piece, 16 columns. Grid: [⌈ROW_PIECES / 64⌉, tokens].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> records: array<u32>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;

override ROWS: u32;
override FIRST_ID: u32 = 0;
override BY_POSITION: bool = false;
override IS_FIRST: bool = true;
override ROW_PIECES: u32;
override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors
override RECORD: u32; // words of a token's record
override TO_START: u32; // vec4s
override TO_STRIDE: u32; // vec4s
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;

// Scale and offset of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { return vec2(unpack2x16float(groups[group >> 1u])[group & 1u], 0.0); }
  if (FACTORS == 1u) { return vec2(bitcast<f32>(groups[group]), 0.0); }
  if (FACTORS == 2u) { return unpack2x16float(groups[group]); }
  return vec2(bitcast<f32>(groups[2u * group]), bitcast<f32>(groups[2u * group + 1u]));
}

fn put(at: u32, value: vec4<f32>) {
  to[at] = select(vec4(0.0), to[at], ACCUMULATE) + SCALE * value;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let piece = id.x;
  let token = id.y;
  if (piece >= ROW_PIECES) { return; }
  var row = records[token * RECORD] - FIRST_ID; // below 0 becomes a large number
  if (BY_POSITION) { row = step.position + token - FIRST_ID; }
  let base = TO_START + token * TO_STRIDE + piece * 4u;
  if (row >= ROWS) {
    if (IS_FIRST) {
      for (var j = 0u; j < 4u; j++) { put(base + j, vec4(0.0)); }
    }
    return;
  }
  let at = row * ROW_PIECES + piece;
  let factors = factorsOf(at * 16u / GROUP);
  let words = codes[at];
  for (var j = 0u; j < 4u; j++) {
    let w = words[j];
    let q = vec4<f32>(vec4<i32>(vec4(w << 24u, w << 16u, w << 8u, w)) >> vec4(24u));
    put(base + j, factors.x * q + factors.y);
  }
}
