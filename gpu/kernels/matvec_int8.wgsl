// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for few tokens; x in 8 bits.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | weights, see parts/int8.wgsl | [rows, ROW_PIECES] |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | see parts/int8.wgsl | [tokens, 3 · PIECES] vec4<u32> |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes 4 rows for TOKENS tokens: 32 neighbouring invocations a row, which read
// neighbouring pieces. Grid: [⌈ROWS / 4⌉, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let span = spanOf(workgroup.y, TOKENS);
  if (span.first >= span.end) { return; }
  let row = workgroup.x * 4u + lane / ROW_LANES;
  let start = (span.weights + min(row, ROWS - 1u)) * ROW_PIECES;
  let mine = sumsFrom(start, inputOf(span.first), inputOf(span.end - 1u), lane);
  putSums(sumUp(mine, lane, place, size), row, span, lane);
}
