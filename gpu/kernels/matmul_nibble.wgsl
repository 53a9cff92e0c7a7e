// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; w of 4-bit codes.
//
// A code q becomes the float h = 1 + q/16 by two bit operations (E0M4): (q << 19) | 0x3F800000.
// w = A·h + B; A = 16·scale, B = offset − A. A piece is 16 bytes, 32 columns of a row: byte 4j + b
// of it holds column 4j + b in its low and column 16 + 4j + b in its high half.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | u32 words, 4 a piece | [rows, ROW_PIECES, 4] |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes a tile of 64 rows × 32 tokens, 32 columns at a time, each weight taken apart
// once; an invocation owns 8 rows × 4 tokens. Grid: [⌈ROWS / 64⌉, ⌈tokens / 32⌉].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

override ROWS: u32; // rows that are computed
override PIECES: u32; // pieces of a row that are multiplied
override ROW_PIECES: u32; // pieces of a row that there are
override GROUP: u32 = 32; // columns of a group: 16 or 32
override FACTORS: u32 = 0; // kind of factors
override MIDDLE: f32 = 0.0; // code that stands for zero, where factors are scales alone
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

// A and B of a group.
fn factorsOf(group: u32) -> vec2<f32> {
  if (FACTORS == 0u) { // f16 scale
    let scale = unpack2x16float(groups[group >> 1u])[group & 1u];
    return vec2(16.0 * scale, -(16.0 + MIDDLE) * scale);
  }
  if (FACTORS == 1u) { // f32 scale
    let scale = bitcast<f32>(groups[group]);
    return vec2(16.0 * scale, -(16.0 + MIDDLE) * scale);
  }
  if (FACTORS == 2u) { // f16 scale, f16 offset
    let pair = unpack2x16float(groups[group]);
    return vec2(16.0 * pair.x, pair.y - 16.0 * pair.x);
  }
  let scale = bitcast<f32>(groups[2u * group]); // f32 scale, f32 offset
  return vec2(16.0 * scale, bitcast<f32>(groups[2u * group + 1u]) - 16.0 * scale);
}

fn floats(bits: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((bits & vec4(0x780000u)) | vec4(0x3F800000u));
}

// Word j of a piece of four rows: columns 4j … 4j + 3 and 16 + 4j … of the tile.
fn loadWeights(firstRow: u32, piece: u32, quad: u32, j: u32) {
  var low: mat4x4<f32>;
  var high: mat4x4<f32>;
  for (var r = 0u; r < 4u; r++) {
    let at = min(firstRow + 4u * quad + r, ROWS - 1u) * ROW_PIECES + piece;
    let w = codes[4u * at + j];
    var a: vec2<f32>;
    var b: vec2<f32>;
    if (GROUP == 32u) {
      a = factorsOf(at);
      b = a;
    } else {
      a = factorsOf(2u * at);
      b = factorsOf(2u * at + 1u);
    }
    low[r] = a.x * floats(vec4(w << 19u, w << 11u, w << 3u, w >> 5u)) + a.y;
    high[r] = b.x * floats(vec4(w << 15u, w << 7u, w >> 1u, w >> 9u)) + b.y;
  }
  let lowColumns = transpose(low);
  let highColumns = transpose(high);
  for (var i = 0u; i < 4u; i++) {
    wTile[(4u * j + i) * 16u + quad] = lowColumns[i];
    wTile[(16u + 4u * j + i) * 16u + quad] = highColumns[i];
  }
}

// Four columns of four tokens.
fn loadInputs(firstToken: u32, count: u32, column4: u32, quad: u32, k4: u32) {
  var values: mat4x4<f32>;
  for (var t = 0u; t < 4u; t++) {
    values[t] = x[X_START + min(firstToken + 4u * quad + t, count - 1u) * X_STRIDE + column4 + k4];
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
  for (var piece = 0u; piece < PIECES; piece++) {
    loadWeights(firstRow, piece, lane % 16u, lane / 16u);
    loadInputs(firstToken, count, piece * 8u, lane / 8u, lane % 8u);
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
