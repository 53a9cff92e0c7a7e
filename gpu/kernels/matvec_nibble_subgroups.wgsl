// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for few tokens; w of 4-bit codes.
//
// As matvec_nibble.wgsl, with sums made by subgroups, whose invocations must be neighbours: the
// autotune looks.
//
// A code q becomes the float h = 1 + q/16 by two bit operations (E0M4): (q << 19) | 0x3F800000.
// w = A·h + B; A = 16·scale, B = offset − A. A piece is 16 bytes, 32 columns of a row: byte 4j + b
// of it holds column 4j + b in its low and column 16 + 4j + b in its high half.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | pieces | [rows, ROW_PIECES] vec4<u32> |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes 4 rows for TOKENS tokens; its 64 invocations share the pieces, neighbours read
// neighbouring pieces. Grid: [⌈ROWS / 4⌉, ⌈tokens / TOKENS⌉].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
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
override TOKENS: u32 = 1; // 1, 2, 4 or 8

const LANES = 64u;
var<workgroup> sums: array<f32, 512>; // [subgroups, 4·TOKENS], subgroups of 4 and more

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

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) place: u32,
  @builtin(subgroup_size) size: u32,
) {
  let count = select(step.tokens, step.scored, SCORED);
  let firstRow = workgroup.x * 4u;
  let firstToken = workgroup.y * TOKENS;
  var acc: array<f32, 32>; // [4, TOKENS]
  for (var piece = lane; piece < PIECES; piece += LANES) {
    var words: array<vec4<u32>, 4>;
    var a: array<vec2<f32>, 4>;
    var b: array<vec2<f32>, 4>;
    for (var r = 0u; r < 4u; r++) {
      let at = min(firstRow + r, ROWS - 1u) * ROW_PIECES + piece;
      words[r] = codes[at];
      if (GROUP == 32u) {
        a[r] = factorsOf(at);
        b[r] = a[r];
      } else {
        a[r] = factorsOf(2u * at);
        b[r] = factorsOf(2u * at + 1u);
      }
    }
    for (var j = 0u; j < 4u; j++) {
      var low: array<vec4<f32>, 4>;
      var high: array<vec4<f32>, 4>;
      for (var r = 0u; r < 4u; r++) {
        let w = words[r][j];
        low[r] = a[r].x * floats(vec4(w << 19u, w << 11u, w << 3u, w >> 5u)) + a[r].y;
        high[r] = b[r].x * floats(vec4(w << 15u, w << 7u, w >> 1u, w >> 9u)) + b[r].y;
      }
      for (var t = 0u; t < TOKENS; t++) {
        let start = X_START + min(firstToken + t, count - 1u) * X_STRIDE + piece * 8u + j;
        let xLow = x[start];
        let xHigh = x[start + 4u];
        for (var r = 0u; r < 4u; r++) {
          acc[r * TOKENS + t] += dot(low[r], xLow) + dot(high[r], xHigh);
        }
      }
    }
  }

  // Sums over the invocations: of each subgroup, then over these.
  let values = 4u * TOKENS;
  for (var v = 0u; v < values; v++) {
    let part = subgroupAdd(acc[v]);
    if (place == 0u) { sums[lane / size * values + v] = part; }
  }
  workgroupBarrier();
  let row = firstRow + lane / TOKENS;
  let token = firstToken + lane % TOKENS;
  if (lane >= values || row >= ROWS || token >= count) { return; }
  var sum = 0.0;
  for (var i = 0u; i < LANES / size; i++) { sum += sums[i * values + lane]; }
  if (HAS_BIAS) { sum += bias[BIAS_START + row]; }
  let at = TO_START + token * TO_STRIDE + row;
  let before = select(0.0, to[at], ACCUMULATE);
  to[at] = before + SCALE * sum;
}
