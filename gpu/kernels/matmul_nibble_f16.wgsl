// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; w of 4-bit codes.
//
// As matmul_nibble.wgsl, with the tile of weights in f16: h is exact there; A and B are applied
// to the sums of a group, in f32.
//
// Codes and factors: parts/nibble.wgsl. A piece is 32 columns of a row.
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

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

var<workgroup> wTile: array<vec4<f16>, 512>; // [32 columns, 16 × 4 rows], h
var<workgroup> aTile: array<vec4<f32>, 32>; // [2 halves of a piece, 16 × 4 rows], A
var<workgroup> bTile: array<vec4<f32>, 32>; // likewise B

// Word j of a piece of four rows: columns 4j … 4j + 3 and 16 + 4j … of the tile.
fn loadWeights(span: Span, firstRow: u32, piece: u32, quad: u32, j: u32) {
  var low: array<vec4<f16>, 4>;
  var high: array<vec4<f16>, 4>;
  var a: vec4<f32>;
  var b: vec4<f32>;
  for (var r = 0u; r < 4u; r++) {
    let row = span.weights + min(firstRow + 4u * quad + r, ROWS - 1u);
    let at = row * ROW_PIECES + piece;
    let w = codes[4u * at + j];
    low[r] = vec4<f16>(lowFloats(w));
    high[r] = vec4<f16>(highFloats(w));
    if (j < 2u) { // of half j
      let group = select(2u * at + j, at, GROUP == 32u);
      let factors = lineOf(factorsOf(group));
      a[r] = factors.x;
      b[r] = factors.y;
    }
  }
  if (j < 2u) {
    aTile[j * 16u + quad] = a;
    bTile[j * 16u + quad] = b;
  }
  for (var i = 0u; i < 4u; i++) {
    wTile[(4u * j + i) * 16u + quad] = vec4(low[0][i], low[1][i], low[2][i], low[3][i]);
    wTile[(16u + 4u * j + i) * 16u + quad] = vec4(high[0][i], high[1][i], high[2][i], high[3][i]);
  }
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let span = spanOf(workgroup.y, 32u);
  if (span.first >= span.end) { return; }
  let firstRow = workgroup.x * 64u;
  let rows8 = lane % 8u;
  let tokens4 = lane / 8u;
  var acc: array<vec4<f32>, 8>; // [4 tokens, 2 × 4 rows]
  for (var piece = 0u; piece < PIECES; piece++) {
    loadWeights(span, firstRow, piece, lane % 16u, lane / 16u);
    loadInputs(span, piece * 8u, PIECES * 8u, lane);
    workgroupBarrier();
    for (var half = 0u; half < 2u; half++) {
      var parts = array<vec4<f32>, 8>(); // zeros in every turn
      var inputs = vec4(0.0);
      for (var k = 16u * half; k < 16u * half + 16u; k++) {
        let w0 = vec4<f32>(wTile[k * 16u + 2u * rows8]);
        let w1 = vec4<f32>(wTile[k * 16u + 2u * rows8 + 1u]);
        let value = xTile[k * 8u + tokens4];
        inputs += value;
        parts[0] += w0 * value.x;
        parts[1] += w1 * value.x;
        parts[2] += w0 * value.y;
        parts[3] += w1 * value.y;
        parts[4] += w0 * value.z;
        parts[5] += w1 * value.z;
        parts[6] += w0 * value.w;
        parts[7] += w1 * value.w;
      }
      let at = half * 16u + 2u * rows8;
      for (var t = 0u; t < 4u; t++) {
        acc[2u * t] += aTile[at] * parts[2u * t] + bTile[at] * inputs[t];
        acc[2u * t + 1u] += aTile[at + 1u] * parts[2u * t + 1u] + bTile[at + 1u] * inputs[t];
      }
    }
    workgroupBarrier();
  }
  putTile(&acc, firstRow, span, lane);
}
