// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; x in 8 bits.
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
// A workgroup makes a tile of 64 rows × 128 tokens, 32 columns at a time; an invocation owns 8 × 8.
// Its sums are variables, loops over words are written out (write_out.ts): compilers keep neither
// arrays nor loops in registers (2 against 58 TFLOP/s on an H100). What the next turn needs is asked
// for before this one is computed. Grid: [⌈ROWS / 64⌉, ⌈tokens / 128⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

var<workgroup> wTile: array<vec4<u32>, 128>; // [8 words, 16 × 4 rows]
var<workgroup> xTile: array<vec4<u32>, 256>; // [8 words, 32 × 4 tokens]
var<workgroup> wScales: array<vec4<f32>, 32>; // [2 halves, 16 × 4 rows]
var<workgroup> wOffsets: array<vec4<f32>, 32>;
var<workgroup> xScales: array<vec4<f32>, 32>; // [32 × 4 tokens]
var<workgroup> xSums: array<vec4<f32>, 64>; // [2 halves, 32 × 4 tokens]

// A row's piece into the tile.
fn keepWeights(row: u32, w: Weights, factors: vec4<f32>) {
  let quad = row / 4u;
  let r = row % 4u;
  //@ for k in 0..3
  wTile[{16k}u + quad][r] = w.low[{k}];
  wTile[{16k+64}u + quad][r] = w.high[{k}];
  //@ end
  wScales[quad][r] = factors.x;
  wOffsets[quad][r] = factors.y;
  wScales[16u + quad][r] = factors.z;
  wOffsets[16u + quad][r] = factors.w;
}

// A token's piece.
fn keepInputs(token: u32, inputs: Inputs) {
  let quad = token / 4u;
  let t = token % 4u;
  //@ for k in 0..3
  xTile[{32k}u + quad][t] = inputs.low[{k}];
  xTile[{32k+128}u + quad][t] = inputs.high[{k}];
  //@ end
  xScales[quad][t] = inputs.known.x;
  // Where a group is 32 columns, one sum is of both halves.
  xSums[quad][t] = inputs.known.y + select(0.0, inputs.known.z, GROUP == 32u);
  xSums[32u + quad][t] = inputs.known.z;
}

fn dots(w: u32, x: vec4<u32>) -> vec4<i32> {
  return vec4(
    dot4I8Packed(w, x.x),
    dot4I8Packed(w, x.y),
    dot4I8Packed(w, x.z),
    dot4I8Packed(w, x.w),
  );
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let span = spanOf(workgroup.y, 128u);
  if (span.first >= span.end) { return; }
  let firstRow = workgroup.x * 64u;
  let rows = 2u * (lane % 8u); // in fours
  let tokens = 2u * (lane / 8u);
  // Each invocation brings the piece of a token, half of them that of a row.
  let wStart = (span.weights + min(firstRow + lane, ROWS - 1u)) * ROW_PIECES;
  let xToken = inputOf(min(span.first + lane, span.end - 1u));
  var w = weightsAt(wStart);
  var factors = factorsOfHalves(wStart);
  var inputs = inputsAt(xToken, 0u);
  // a<row><half>: of four tokens.
  //@ for r in 0..7
  var a{r}0 = vec4(0.0);
  var a{r}1 = vec4(0.0);
  //@ end
  for (var piece = 0u; piece < PIECES; piece++) {
    if (lane < 64u) { keepWeights(lane, w, factors); }
    keepInputs(lane, inputs);
    workgroupBarrier();
    let next = min(piece + 1u, PIECES - 1u);
    if (lane < 64u) {
      w = weightsAt(wStart + next);
      factors = factorsOfHalves(wStart + next);
    }
    inputs = inputsAt(xToken, next);
    //@ for r in 0..7
    var i{r}0 = vec4(0i);
    var i{r}1 = vec4(0i);
    //@ end
    let xScale0 = xScales[tokens];
    let xScale1 = xScales[tokens + 1u];
    //@ for k in 0..3
    let w{k}a = wTile[{16k}u + rows];
    let w{k}b = wTile[{16k+1}u + rows];
    let x{k}a = xTile[{32k}u + tokens];
    let x{k}b = xTile[{32k+1}u + tokens];
    //@ for r w in 0 a.x, 1 a.y, 2 a.z, 3 a.w, 4 b.x, 5 b.y, 6 b.z, 7 b.w
    i{r}0 += dots(w{k}{w}, x{k}a);
    i{r}1 += dots(w{k}{w}, x{k}b);
    //@ end
    //@ end
    if (GROUP == 16u) {
      let scaleA = wScales[rows];
      let scaleB = wScales[rows + 1u];
      let offsetA = wOffsets[rows];
      let offsetB = wOffsets[rows + 1u];
      let xSum0 = xSums[tokens];
      let xSum1 = xSums[tokens + 1u];
      //@ for r w in 0 A.x, 1 A.y, 2 A.z, 3 A.w, 4 B.x, 5 B.y, 6 B.z, 7 B.w
      a{r}0 += scale{w} * (xScale0 * vec4<f32>(i{r}0)) + offset{w} * xSum0;
      a{r}1 += scale{w} * (xScale1 * vec4<f32>(i{r}1)) + offset{w} * xSum1;
      //@ end
      //@ for r in 0..7
      i{r}0 = vec4(0i);
      i{r}1 = vec4(0i);
      //@ end
    }
    //@ for k in 4..7
    let w{k}a = wTile[{16k}u + rows];
    let w{k}b = wTile[{16k+1}u + rows];
    let x{k}a = xTile[{32k}u + tokens];
    let x{k}b = xTile[{32k+1}u + tokens];
    //@ for r w in 0 a.x, 1 a.y, 2 a.z, 3 a.w, 4 b.x, 5 b.y, 6 b.z, 7 b.w
    i{r}0 += dots(w{k}{w}, x{k}a);
    i{r}1 += dots(w{k}{w}, x{k}b);
    //@ end
    //@ end
    let half = select(0u, 1u, GROUP == 16u);
    let scaleA = wScales[16u * half + rows];
    let scaleB = wScales[16u * half + rows + 1u];
    let offsetA = wOffsets[16u * half + rows];
    let offsetB = wOffsets[16u * half + rows + 1u];
    let xSum0 = xSums[32u * half + tokens];
    let xSum1 = xSums[32u * half + tokens + 1u];
    //@ for r w in 0 A.x, 1 A.y, 2 A.z, 3 A.w, 4 B.x, 5 B.y, 6 B.z, 7 B.w
    a{r}0 += scale{w} * (xScale0 * vec4<f32>(i{r}0)) + offset{w} * xSum0;
    a{r}1 += scale{w} * (xScale1 * vec4<f32>(i{r}1)) + offset{w} * xSum1;
    //@ end
    workgroupBarrier();
  }
  let row = firstRow + 4u * rows;
  let at = span.first + 4u * tokens;
  //@ for r in 0..7
  putRow(row + {r}u, at + 0u, span, a{r}0);
  putRow(row + {r}u, at + 4u, span, a{r}1);
  //@ end
}
