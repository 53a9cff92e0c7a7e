// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; w of f16, bf16
// or f32.
//
// A piece is 4 columns of a row: WORDS u32, of two weights each or of one.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | words of weights | [rows, ROW_PIECES, WORDS] |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes a tile of 64 rows × 32 tokens, 32 columns at a time, each weight taken apart
// once; an invocation owns 8 rows × 4 tokens. Grid: [⌈ROWS / 64⌉, ⌈tokens / 32⌉].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;

override ROWS: u32; // rows that are computed
override PIECES: u32; // pieces of a row that are multiplied
override ROW_PIECES: u32; // pieces of a row that there are
override KIND: u32; // 0 f16, 1 bf16, 2 f32
override X_START: u32; // vec4s
override X_STRIDE: u32; // vec4s
override TO_START: u32; // f32s
override TO_STRIDE: u32; // f32s
override BIAS_START: u32 = 0;
override HAS_BIAS: bool = false;
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;
override SCORED: bool = false; // tokens that are scored instead of all

var<workgroup> wTile: array<vec4<f32>, 512>; // [32 columns, 16 × 4 rows]
var<workgroup> xTile: array<vec4<f32>, 256>; // [32 columns, 8 × 4 tokens]

fn weightsAt(piece: u32) -> vec4<f32> {
  if (KIND == 2u) {
    return vec4(bitcast<vec2<f32>>(codes[2u * piece]), bitcast<vec2<f32>>(codes[2u * piece + 1u]));
  }
  let words = codes[piece];
  if (KIND == 0u) { return vec4(unpack2x16float(words.x), unpack2x16float(words.y)); }
  let bits = vec4(words.x << 16u, words.x & 0xFFFF0000u, words.y << 16u, words.y & 0xFFFF0000u);
  return bitcast<vec4<f32>>(bits);
}

// Piece j of a tile's eight of four rows; zeros behind the last column.
fn loadWeights(firstRow: u32, firstPiece: u32, quad: u32, j: u32) {
  var values: mat4x4<f32>;
  if (firstPiece + j < PIECES) {
    for (var r = 0u; r < 4u; r++) {
      let row = min(firstRow + 4u * quad + r, ROWS - 1u);
      values[r] = weightsAt(row * ROW_PIECES + firstPiece + j);
    }
  }
  let columns = transpose(values);
  for (var i = 0u; i < 4u; i++) { wTile[(4u * j + i) * 16u + quad] = columns[i]; }
}

// Four columns of four tokens; zeros behind the last column.
fn loadInputs(firstToken: u32, count: u32, column4: u32, quad: u32, k4: u32) {
  var values: mat4x4<f32>;
  if (column4 + k4 < PIECES) {
    for (var t = 0u; t < 4u; t++) {
      let token = min(firstToken + 4u * quad + t, count - 1u);
      values[t] = x[X_START + token * X_STRIDE + column4 + k4];
    }
  }
  let columns = transpose(values);
  for (var i = 0u; i < 4u; i++) { xTile[(4u * k4 + i) * 8u + quad] = columns[i]; }
}

fn store(token: u32, firstRow: u32, count: u32, values: vec4<f32>) {
  if (token >= count) { return; }
  for (var r = 0u; r < 4u; r++) {
    let row = firstRow + r;
    if (row >= ROWS) { return; }
    var sum = values[r];
    if (HAS_BIAS) { sum += bias[BIAS_START + row]; }
    let at = TO_START + token * TO_STRIDE + row;
    let before = select(0.0, to[at], ACCUMULATE);
    to[at] = before + SCALE * sum;
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let count = select(step.tokens, step.scored, SCORED);
  let firstRow = workgroup.x * 64u;
  let firstToken = workgroup.y * 32u;
  let rows8 = lane % 8u;
  let tokens4 = lane / 8u;
  var acc: array<vec4<f32>, 8>; // [4 tokens, 2 × 4 rows]
  for (var piece = 0u; piece < PIECES; piece += 8u) {
    loadWeights(firstRow, piece, lane % 16u, lane / 16u);
    loadWeights(firstRow, piece, lane % 16u, lane / 16u + 4u);
    loadInputs(firstToken, count, piece, lane / 8u, lane % 8u);
    workgroupBarrier();
    for (var k = 0u; k < 32u; k++) {
      let w0 = wTile[k * 16u + 2u * rows8];
      let w1 = wTile[k * 16u + 2u * rows8 + 1u];
      let value = xTile[k * 8u + tokens4];
      acc[0] += w0 * value.x;
      acc[1] += w1 * value.x;
      acc[2] += w0 * value.y;
      acc[3] += w1 * value.y;
      acc[4] += w0 * value.z;
      acc[5] += w1 * value.z;
      acc[6] += w0 * value.w;
      acc[7] += w1 * value.w;
    }
    workgroupBarrier();
  }
  for (var t = 0u; t < 4u; t++) {
    let token = firstToken + 4u * tokens4 + t;
    store(token, firstRow + 8u * rows8, count, acc[2u * t]);
    store(token, firstRow + 8u * rows8 + 4u, count, acc[2u * t + 1u]);
  }
}
