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
// Its sums are variables, and words are written out instead of looped over: compilers keep neither
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
  wTile[0u + quad][r] = w.low[0];
  wTile[64u + quad][r] = w.high[0];
  wTile[16u + quad][r] = w.low[1];
  wTile[80u + quad][r] = w.high[1];
  wTile[32u + quad][r] = w.low[2];
  wTile[96u + quad][r] = w.high[2];
  wTile[48u + quad][r] = w.low[3];
  wTile[112u + quad][r] = w.high[3];
  wScales[quad][r] = factors.x;
  wOffsets[quad][r] = factors.y;
  wScales[16u + quad][r] = factors.z;
  wOffsets[16u + quad][r] = factors.w;
}

// A token's piece.
fn keepInputs(token: u32, inputs: Inputs) {
  let quad = token / 4u;
  let t = token % 4u;
  xTile[0u + quad][t] = inputs.low[0];
  xTile[128u + quad][t] = inputs.high[0];
  xTile[32u + quad][t] = inputs.low[1];
  xTile[160u + quad][t] = inputs.high[1];
  xTile[64u + quad][t] = inputs.low[2];
  xTile[192u + quad][t] = inputs.high[2];
  xTile[96u + quad][t] = inputs.low[3];
  xTile[224u + quad][t] = inputs.high[3];
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
  var a00 = vec4(0.0);
  var a01 = vec4(0.0);
  var a10 = vec4(0.0);
  var a11 = vec4(0.0);
  var a20 = vec4(0.0);
  var a21 = vec4(0.0);
  var a30 = vec4(0.0);
  var a31 = vec4(0.0);
  var a40 = vec4(0.0);
  var a41 = vec4(0.0);
  var a50 = vec4(0.0);
  var a51 = vec4(0.0);
  var a60 = vec4(0.0);
  var a61 = vec4(0.0);
  var a70 = vec4(0.0);
  var a71 = vec4(0.0);
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
    var i00 = vec4(0i);
    var i01 = vec4(0i);
    var i10 = vec4(0i);
    var i11 = vec4(0i);
    var i20 = vec4(0i);
    var i21 = vec4(0i);
    var i30 = vec4(0i);
    var i31 = vec4(0i);
    var i40 = vec4(0i);
    var i41 = vec4(0i);
    var i50 = vec4(0i);
    var i51 = vec4(0i);
    var i60 = vec4(0i);
    var i61 = vec4(0i);
    var i70 = vec4(0i);
    var i71 = vec4(0i);
    let xScale0 = xScales[tokens];
    let xScale1 = xScales[tokens + 1u];
    let w0a = wTile[0u + rows];
    let w0b = wTile[1u + rows];
    let x0a = xTile[0u + tokens];
    let x0b = xTile[1u + tokens];
    i00 += dots(w0a.x, x0a);
    i01 += dots(w0a.x, x0b);
    i10 += dots(w0a.y, x0a);
    i11 += dots(w0a.y, x0b);
    i20 += dots(w0a.z, x0a);
    i21 += dots(w0a.z, x0b);
    i30 += dots(w0a.w, x0a);
    i31 += dots(w0a.w, x0b);
    i40 += dots(w0b.x, x0a);
    i41 += dots(w0b.x, x0b);
    i50 += dots(w0b.y, x0a);
    i51 += dots(w0b.y, x0b);
    i60 += dots(w0b.z, x0a);
    i61 += dots(w0b.z, x0b);
    i70 += dots(w0b.w, x0a);
    i71 += dots(w0b.w, x0b);
    let w1a = wTile[16u + rows];
    let w1b = wTile[17u + rows];
    let x1a = xTile[32u + tokens];
    let x1b = xTile[33u + tokens];
    i00 += dots(w1a.x, x1a);
    i01 += dots(w1a.x, x1b);
    i10 += dots(w1a.y, x1a);
    i11 += dots(w1a.y, x1b);
    i20 += dots(w1a.z, x1a);
    i21 += dots(w1a.z, x1b);
    i30 += dots(w1a.w, x1a);
    i31 += dots(w1a.w, x1b);
    i40 += dots(w1b.x, x1a);
    i41 += dots(w1b.x, x1b);
    i50 += dots(w1b.y, x1a);
    i51 += dots(w1b.y, x1b);
    i60 += dots(w1b.z, x1a);
    i61 += dots(w1b.z, x1b);
    i70 += dots(w1b.w, x1a);
    i71 += dots(w1b.w, x1b);
    let w2a = wTile[32u + rows];
    let w2b = wTile[33u + rows];
    let x2a = xTile[64u + tokens];
    let x2b = xTile[65u + tokens];
    i00 += dots(w2a.x, x2a);
    i01 += dots(w2a.x, x2b);
    i10 += dots(w2a.y, x2a);
    i11 += dots(w2a.y, x2b);
    i20 += dots(w2a.z, x2a);
    i21 += dots(w2a.z, x2b);
    i30 += dots(w2a.w, x2a);
    i31 += dots(w2a.w, x2b);
    i40 += dots(w2b.x, x2a);
    i41 += dots(w2b.x, x2b);
    i50 += dots(w2b.y, x2a);
    i51 += dots(w2b.y, x2b);
    i60 += dots(w2b.z, x2a);
    i61 += dots(w2b.z, x2b);
    i70 += dots(w2b.w, x2a);
    i71 += dots(w2b.w, x2b);
    let w3a = wTile[48u + rows];
    let w3b = wTile[49u + rows];
    let x3a = xTile[96u + tokens];
    let x3b = xTile[97u + tokens];
    i00 += dots(w3a.x, x3a);
    i01 += dots(w3a.x, x3b);
    i10 += dots(w3a.y, x3a);
    i11 += dots(w3a.y, x3b);
    i20 += dots(w3a.z, x3a);
    i21 += dots(w3a.z, x3b);
    i30 += dots(w3a.w, x3a);
    i31 += dots(w3a.w, x3b);
    i40 += dots(w3b.x, x3a);
    i41 += dots(w3b.x, x3b);
    i50 += dots(w3b.y, x3a);
    i51 += dots(w3b.y, x3b);
    i60 += dots(w3b.z, x3a);
    i61 += dots(w3b.z, x3b);
    i70 += dots(w3b.w, x3a);
    i71 += dots(w3b.w, x3b);
    if (GROUP == 16u) {
      let scaleA = wScales[rows];
      let scaleB = wScales[rows + 1u];
      let offsetA = wOffsets[rows];
      let offsetB = wOffsets[rows + 1u];
      let xSum0 = xSums[tokens];
      let xSum1 = xSums[tokens + 1u];
      a00 += scaleA.x * (xScale0 * vec4<f32>(i00)) + offsetA.x * xSum0;
      a01 += scaleA.x * (xScale1 * vec4<f32>(i01)) + offsetA.x * xSum1;
      a10 += scaleA.y * (xScale0 * vec4<f32>(i10)) + offsetA.y * xSum0;
      a11 += scaleA.y * (xScale1 * vec4<f32>(i11)) + offsetA.y * xSum1;
      a20 += scaleA.z * (xScale0 * vec4<f32>(i20)) + offsetA.z * xSum0;
      a21 += scaleA.z * (xScale1 * vec4<f32>(i21)) + offsetA.z * xSum1;
      a30 += scaleA.w * (xScale0 * vec4<f32>(i30)) + offsetA.w * xSum0;
      a31 += scaleA.w * (xScale1 * vec4<f32>(i31)) + offsetA.w * xSum1;
      a40 += scaleB.x * (xScale0 * vec4<f32>(i40)) + offsetB.x * xSum0;
      a41 += scaleB.x * (xScale1 * vec4<f32>(i41)) + offsetB.x * xSum1;
      a50 += scaleB.y * (xScale0 * vec4<f32>(i50)) + offsetB.y * xSum0;
      a51 += scaleB.y * (xScale1 * vec4<f32>(i51)) + offsetB.y * xSum1;
      a60 += scaleB.z * (xScale0 * vec4<f32>(i60)) + offsetB.z * xSum0;
      a61 += scaleB.z * (xScale1 * vec4<f32>(i61)) + offsetB.z * xSum1;
      a70 += scaleB.w * (xScale0 * vec4<f32>(i70)) + offsetB.w * xSum0;
      a71 += scaleB.w * (xScale1 * vec4<f32>(i71)) + offsetB.w * xSum1;
      i00 = vec4(0i);
      i01 = vec4(0i);
      i10 = vec4(0i);
      i11 = vec4(0i);
      i20 = vec4(0i);
      i21 = vec4(0i);
      i30 = vec4(0i);
      i31 = vec4(0i);
      i40 = vec4(0i);
      i41 = vec4(0i);
      i50 = vec4(0i);
      i51 = vec4(0i);
      i60 = vec4(0i);
      i61 = vec4(0i);
      i70 = vec4(0i);
      i71 = vec4(0i);
    }
    let w4a = wTile[64u + rows];
    let w4b = wTile[65u + rows];
    let x4a = xTile[128u + tokens];
    let x4b = xTile[129u + tokens];
    i00 += dots(w4a.x, x4a);
    i01 += dots(w4a.x, x4b);
    i10 += dots(w4a.y, x4a);
    i11 += dots(w4a.y, x4b);
    i20 += dots(w4a.z, x4a);
    i21 += dots(w4a.z, x4b);
    i30 += dots(w4a.w, x4a);
    i31 += dots(w4a.w, x4b);
    i40 += dots(w4b.x, x4a);
    i41 += dots(w4b.x, x4b);
    i50 += dots(w4b.y, x4a);
    i51 += dots(w4b.y, x4b);
    i60 += dots(w4b.z, x4a);
    i61 += dots(w4b.z, x4b);
    i70 += dots(w4b.w, x4a);
    i71 += dots(w4b.w, x4b);
    let w5a = wTile[80u + rows];
    let w5b = wTile[81u + rows];
    let x5a = xTile[160u + tokens];
    let x5b = xTile[161u + tokens];
    i00 += dots(w5a.x, x5a);
    i01 += dots(w5a.x, x5b);
    i10 += dots(w5a.y, x5a);
    i11 += dots(w5a.y, x5b);
    i20 += dots(w5a.z, x5a);
    i21 += dots(w5a.z, x5b);
    i30 += dots(w5a.w, x5a);
    i31 += dots(w5a.w, x5b);
    i40 += dots(w5b.x, x5a);
    i41 += dots(w5b.x, x5b);
    i50 += dots(w5b.y, x5a);
    i51 += dots(w5b.y, x5b);
    i60 += dots(w5b.z, x5a);
    i61 += dots(w5b.z, x5b);
    i70 += dots(w5b.w, x5a);
    i71 += dots(w5b.w, x5b);
    let w6a = wTile[96u + rows];
    let w6b = wTile[97u + rows];
    let x6a = xTile[192u + tokens];
    let x6b = xTile[193u + tokens];
    i00 += dots(w6a.x, x6a);
    i01 += dots(w6a.x, x6b);
    i10 += dots(w6a.y, x6a);
    i11 += dots(w6a.y, x6b);
    i20 += dots(w6a.z, x6a);
    i21 += dots(w6a.z, x6b);
    i30 += dots(w6a.w, x6a);
    i31 += dots(w6a.w, x6b);
    i40 += dots(w6b.x, x6a);
    i41 += dots(w6b.x, x6b);
    i50 += dots(w6b.y, x6a);
    i51 += dots(w6b.y, x6b);
    i60 += dots(w6b.z, x6a);
    i61 += dots(w6b.z, x6b);
    i70 += dots(w6b.w, x6a);
    i71 += dots(w6b.w, x6b);
    let w7a = wTile[112u + rows];
    let w7b = wTile[113u + rows];
    let x7a = xTile[224u + tokens];
    let x7b = xTile[225u + tokens];
    i00 += dots(w7a.x, x7a);
    i01 += dots(w7a.x, x7b);
    i10 += dots(w7a.y, x7a);
    i11 += dots(w7a.y, x7b);
    i20 += dots(w7a.z, x7a);
    i21 += dots(w7a.z, x7b);
    i30 += dots(w7a.w, x7a);
    i31 += dots(w7a.w, x7b);
    i40 += dots(w7b.x, x7a);
    i41 += dots(w7b.x, x7b);
    i50 += dots(w7b.y, x7a);
    i51 += dots(w7b.y, x7b);
    i60 += dots(w7b.z, x7a);
    i61 += dots(w7b.z, x7b);
    i70 += dots(w7b.w, x7a);
    i71 += dots(w7b.w, x7b);
    let half = select(0u, 1u, GROUP == 16u);
    let scaleA = wScales[16u * half + rows];
    let scaleB = wScales[16u * half + rows + 1u];
    let offsetA = wOffsets[16u * half + rows];
    let offsetB = wOffsets[16u * half + rows + 1u];
    let xSum0 = xSums[32u * half + tokens];
    let xSum1 = xSums[32u * half + tokens + 1u];
    a00 += scaleA.x * (xScale0 * vec4<f32>(i00)) + offsetA.x * xSum0;
    a01 += scaleA.x * (xScale1 * vec4<f32>(i01)) + offsetA.x * xSum1;
    a10 += scaleA.y * (xScale0 * vec4<f32>(i10)) + offsetA.y * xSum0;
    a11 += scaleA.y * (xScale1 * vec4<f32>(i11)) + offsetA.y * xSum1;
    a20 += scaleA.z * (xScale0 * vec4<f32>(i20)) + offsetA.z * xSum0;
    a21 += scaleA.z * (xScale1 * vec4<f32>(i21)) + offsetA.z * xSum1;
    a30 += scaleA.w * (xScale0 * vec4<f32>(i30)) + offsetA.w * xSum0;
    a31 += scaleA.w * (xScale1 * vec4<f32>(i31)) + offsetA.w * xSum1;
    a40 += scaleB.x * (xScale0 * vec4<f32>(i40)) + offsetB.x * xSum0;
    a41 += scaleB.x * (xScale1 * vec4<f32>(i41)) + offsetB.x * xSum1;
    a50 += scaleB.y * (xScale0 * vec4<f32>(i50)) + offsetB.y * xSum0;
    a51 += scaleB.y * (xScale1 * vec4<f32>(i51)) + offsetB.y * xSum1;
    a60 += scaleB.z * (xScale0 * vec4<f32>(i60)) + offsetB.z * xSum0;
    a61 += scaleB.z * (xScale1 * vec4<f32>(i61)) + offsetB.z * xSum1;
    a70 += scaleB.w * (xScale0 * vec4<f32>(i70)) + offsetB.w * xSum0;
    a71 += scaleB.w * (xScale1 * vec4<f32>(i71)) + offsetB.w * xSum1;
    workgroupBarrier();
  }
  let row = firstRow + 4u * rows;
  let at = span.first + 4u * tokens;
  putRow(row + 0u, at + 0u, span, a00);
  putRow(row + 0u, at + 4u, span, a01);
  putRow(row + 1u, at + 0u, span, a10);
  putRow(row + 1u, at + 4u, span, a11);
  putRow(row + 2u, at + 0u, span, a20);
  putRow(row + 2u, at + 4u, span, a21);
  putRow(row + 3u, at + 0u, span, a30);
  putRow(row + 3u, at + 4u, span, a31);
  putRow(row + 4u, at + 0u, span, a40);
  putRow(row + 4u, at + 4u, span, a41);
  putRow(row + 5u, at + 0u, span, a50);
  putRow(row + 5u, at + 4u, span, a51);
  putRow(row + 6u, at + 0u, span, a60);
  putRow(row + 6u, at + 4u, span, a61);
  putRow(row + 7u, at + 0u, span, a70);
  putRow(row + 7u, at + 4u, span, a71);
}
