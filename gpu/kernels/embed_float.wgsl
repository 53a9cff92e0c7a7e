// to[t, i] (+)= scale · w[id(t) − FIRST_ID, i]; w of f16, bf16 or f32.
//
// id(t) is the token's id, or its position where BY_POSITION. A row that is not there counts as
// zeros where IS_FIRST, and is left alone elsewhere: another part of the table has it.
//
// A piece is 4 columns of a row: WORDS u32, of two weights each or of one.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | words of weights | [rows, ROW_PIECES, WORDS] |
// | records | u32 words; the first of a token's is its id | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// An invocation makes one piece, 4 columns. Grid: [⌈ROW_PIECES / 64⌉, tokens].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> records: array<u32>;
@group(0) @binding(3) var<storage, read_write> to: array<vec4<f32>>;

override ROWS: u32;
override FIRST_ID: u32 = 0;
override BY_POSITION: bool = false;
override IS_FIRST: bool = true;
override ROW_PIECES: u32;
override KIND: u32; // 0 f16, 1 bf16, 2 f32
override RECORD: u32; // words of a token's record
override TO_START: u32; // vec4s
override TO_STRIDE: u32; // vec4s
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;

fn weightsAt(piece: u32) -> vec4<f32> {
  if (KIND == 2u) {
    return vec4(bitcast<vec2<f32>>(codes[2u * piece]), bitcast<vec2<f32>>(codes[2u * piece + 1u]));
  }
  let words = codes[piece];
  if (KIND == 0u) { return vec4(unpack2x16float(words.x), unpack2x16float(words.y)); }
  let bits = vec4(words.x << 16u, words.x & 0xFFFF0000u, words.y << 16u, words.y & 0xFFFF0000u);
  return bitcast<vec4<f32>>(bits);
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
  let base = TO_START + token * TO_STRIDE + piece * 1u;
  if (row >= ROWS) {
    if (IS_FIRST) {
      for (var j = 0u; j < 1u; j++) { put(base + j, vec4(0.0)); }
    }
    return;
  }
  let at = row * ROW_PIECES + piece;
  put(base, weightsAt(at));
}
