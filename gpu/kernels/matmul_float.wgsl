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

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;

// Piece j of a tile's eight of four rows; zeros behind the last column.
fn loadWeights(span: Span, firstRow: u32, firstPiece: u32, quad: u32, j: u32) {
  var values: mat4x4<f32>;
  if (firstPiece + j < PIECES) {
    for (var r = 0u; r < 4u; r++) {
      let row = span.weights + min(firstRow + 4u * quad + r, ROWS - 1u);
      values[r] = weightsAt(row * ROW_PIECES + firstPiece + j);
    }
  }
  let columns = transpose(values);
  for (var i = 0u; i < 4u; i++) { wTile[(4u * j + i) * 16u + quad] = columns[i]; }
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
  for (var piece = 0u; piece < PIECES; piece += 8u) {
    loadWeights(span, firstRow, piece, lane % 16u, lane / 16u);
    loadWeights(span, firstRow, piece, lane % 16u, lane / 16u + 4u);
    loadInputs(span, piece, PIECES, lane);
    workgroupBarrier();
    multiply(&acc, lane);
    workgroupBarrier();
  }
  putTile(&acc, firstRow, span, lane);
}
