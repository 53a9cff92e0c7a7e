// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; w of 4-bit codes.
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

// Word j of a piece of four rows: columns 4j … 4j + 3 and 16 + 4j … of the tile.
fn loadWeights(span: Span, firstRow: u32, piece: u32, quad: u32, j: u32) {
  var low: mat4x4<f32>;
  var high: mat4x4<f32>;
  for (var r = 0u; r < 4u; r++) {
    let row = span.weights + min(firstRow + 4u * quad + r, ROWS - 1u);
    let at = row * ROW_PIECES + piece;
    let w = codes[4u * at + j];
    let factors = linesOfHalves(at);
    low[r] = lowWeights(w, factors);
    high[r] = highWeights(w, factors);
  }
  let lowColumns = transpose(low);
  let highColumns = transpose(high);
  for (var i = 0u; i < 4u; i++) {
    wTile[(4u * j + i) * 16u + quad] = lowColumns[i];
    wTile[(16u + 4u * j + i) * 16u + quad] = highColumns[i];
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
  var acc: array<vec4<f32>, 8>; // [4 tokens, 2 × 4 rows]
  for (var piece = 0u; piece < PIECES; piece++) {
    loadWeights(span, firstRow, piece, lane % 16u, lane / 16u);
    loadInputs(span, piece * 8u, PIECES * 8u, lane);
    workgroupBarrier();
    multiply(&acc, lane);
    workgroupBarrier();
  }
  putTile(&acc, firstRow, span, lane);
}
