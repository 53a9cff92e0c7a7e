// to[t, i] (+)= scale · w[id(t) − FIRST_ID, i]; w of 4-bit codes.
//
// id(t) is the token's id, or its position where BY_POSITION. A row that is not there counts as
// zeros where IS_FIRST, and is left alone elsewhere: another part of the table has it.
//
// Codes and factors: parts/nibble.wgsl.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | pieces of 32 columns | [rows, ROW_PIECES] vec4<u32> |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | records | u32 words; the first of a token's is its id | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// An invocation makes one piece, 32 columns. Grid: [⌈ROW_PIECES / 64⌉, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> records: array<u32>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let piece = id.x;
  let token = id.y;
  if (piece >= ROW_PIECES) { return; }
  let row = rowOf(token);
  let base = TO_START + token * TO_STRIDE + piece * 8u;
  if (row >= ROWS) {
    skip(base, 8u);
    return;
  }
  let at = row * ROW_PIECES + piece;
  let factors = linesOfHalves(at);
  let words = codes[at];
  for (var j = 0u; j < 4u; j++) {
    put(base + j, lowWeights(words[j], factors));
    put(base + 4u + j, highWeights(words[j], factors));
  }
}
