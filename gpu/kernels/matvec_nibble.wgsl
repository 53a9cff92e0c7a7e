// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for few tokens; w of 4-bit codes.
//
// Codes and factors: parts/nibble.wgsl. A piece is 32 columns of a row.
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

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let span = spanOf(workgroup.y, TOKENS);
  if (span.first >= span.end) { return; }
  let firstRow = workgroup.x * 4u;
  var acc: array<f32, 32>; // [4, TOKENS]
  for (var piece = lane; piece < PIECES; piece += LANES) {
    var words: array<vec4<u32>, 4>;
    var factors: array<vec4<f32>, 4>;
    for (var r = 0u; r < 4u; r++) {
      let at = (span.weights + min(firstRow + r, ROWS - 1u)) * ROW_PIECES + piece;
      words[r] = codes[at];
      factors[r] = linesOfHalves(at);
    }
    for (var j = 0u; j < 4u; j++) {
      var low: array<vec4<f32>, 4>;
      var high: array<vec4<f32>, 4>;
      for (var r = 0u; r < 4u; r++) {
        low[r] = lowWeights(words[r][j], factors[r]);
        high[r] = highWeights(words[r][j], factors[r]);
      }
      for (var t = 0u; t < TOKENS; t++) {
        let place = X_START + inputOf(min(span.first + t, span.end - 1u)) * X_STRIDE + piece * 8u + j;
        let xLow = x[place];
        let xHigh = x[place + 4u];
        for (var r = 0u; r < 4u; r++) {
          acc[r * TOKENS + t] += dot(low[r], xLow) + dot(high[r], xHigh);
        }
      }
    }
  }
  addUp(&acc, firstRow, span, lane, place, size);
}
