// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for few tokens; w of f16, bf16 or f32.
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
// A workgroup makes 4 rows for TOKENS tokens; its 64 invocations share the pieces, neighbours read
// neighbouring pieces. Grid: [⌈ROWS / 4⌉, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let span = spanOf(workgroup.y, TOKENS);
  if (span.first >= span.end) { return; }
  let firstRow = workgroup.x * 4u;
  var acc: array<f32, 32>; // [4, TOKENS]
  for (var piece = lane; piece < PIECES; piece += LANES) {
    var weights: array<vec4<f32>, 4>;
    for (var r = 0u; r < 4u; r++) {
      weights[r] = weightsAt((span.weights + min(firstRow + r, ROWS - 1u)) * ROW_PIECES + piece);
    }
    for (var t = 0u; t < TOKENS; t++) {
      let value = x[X_START + inputOf(min(span.first + t, span.end - 1u)) * X_STRIDE + piece];
      for (var r = 0u; r < 4u; r++) { acc[r * TOKENS + t] += dot(weights[r], value); }
    }
  }
  addUp(&acc, firstRow, span, lane, place, size);
}
