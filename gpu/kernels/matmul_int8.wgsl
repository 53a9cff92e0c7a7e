// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; x in 8 bits.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | weights, see parts/int8.wgsl | [rows, ROW_PIECES] |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | pieces, see parts/int8.wgsl | [tokens, PIECES, 3] vec4<u32> |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes a tile of 128 rows × 128 tokens, 32 columns at a time; an invocation owns 8 × 8.
// Its sums are variables, and words are written out instead of looped over: compilers keep neither
// arrays nor loops in registers (3 of 55 TFLOP/s on an H100). Grid: [⌈ROWS / 128⌉, ⌈tokens / 128⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

var<workgroup> wTile: array<vec4<u32>, 256>; // [8 words, 32 × 4 rows]
var<workgroup> xTile: array<vec4<u32>, 256>; // [8 words, 32 × 4 tokens]
var<workgroup> wScales: array<vec4<f32>, 64>; // [2 halves, 32 × 4 rows]
var<workgroup> wOffsets: array<vec4<f32>, 64>;
var<workgroup> xScales: array<vec4<f32>, 32>; // [32 × 4 tokens]
var<workgroup> xSums: array<vec4<f32>, 64>; // [2 halves, 32 × 4 tokens]

// A row's piece into the tile.
fn loadWeights(row: u32, at: u32) {
  let w = weightsAt(at);
  let factors = factorsOfHalves(at);
  let quad = row / 4u;
  let r = row % 4u;
  for (var j = 0u; j < 4u; j++) {
    wTile[j * 32u + quad][r] = w.low[j];
    wTile[(4u + j) * 32u + quad][r] = w.high[j];
  }
  wScales[quad][r] = factors.x;
  wOffsets[quad][r] = factors.y;
  wScales[32u + quad][r] = factors.z;
  wOffsets[32u + quad][r] = factors.w;
}

// A token's piece.
fn loadInputs(token: u32, at: u32) {
  let low = x[3u * at];
  let high = x[3u * at + 1u];
  let floats = bitcast<vec4<f32>>(x[3u * at + 2u]);
  let quad = token / 4u;
  let t = token % 4u;
  for (var j = 0u; j < 4u; j++) {
    xTile[j * 32u + quad][t] = low[j];
    xTile[(4u + j) * 32u + quad][t] = high[j];
  }
  xScales[quad][t] = floats.x;
  // Where a group is 32 columns, one sum is of both halves.
  xSums[quad][t] = select(floats.y, floats.y + floats.z, GROUP == 32u);
  xSums[32u + quad][t] = floats.z;
}

fn dots(w: u32, x: vec4<u32>) -> vec4<i32> {
  return vec4(
    dot4I8Packed(w, x.x),
    dot4I8Packed(w, x.y),
    dot4I8Packed(w, x.z),
    dot4I8Packed(w, x.w),
  );
}

// One row of four tokens.
fn putRow(row: u32, token: u32, count: u32, sums: vec4<f32>) {
  if (row >= ROWS) { return; }
  for (var t = 0u; t < 4u; t++) {
    if (token + t < count) { put(token + t, row, sums[t]); }
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let count = select(step.tokens, step.scored, SCORED);
  let firstRow = workgroup.x * 128u;
  let firstToken = workgroup.y * 128u;
  let rows = 2u * (lane % 16u); // in fours
  let tokens = 2u * (lane / 16u);
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
    if (lane < 128u) {
      loadWeights(lane, min(firstRow + lane, ROWS - 1u) * ROW_PIECES + piece);
    } else {
      let token = lane - 128u;
      loadInputs(token, min(firstToken + token, count - 1u) * PIECES + piece);
    }
    workgroupBarrier();
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
    for (var half = 0u; half < 2u; half++) {
      let w0 = (4u * half + 0u) * 32u + rows;
      let x0 = (4u * half + 0u) * 32u + tokens;
      let w0a = wTile[w0];
      let w0b = wTile[w0 + 1u];
      let x0a = xTile[x0];
      let x0b = xTile[x0 + 1u];
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
      let w1 = (4u * half + 1u) * 32u + rows;
      let x1 = (4u * half + 1u) * 32u + tokens;
      let w1a = wTile[w1];
      let w1b = wTile[w1 + 1u];
      let x1a = xTile[x1];
      let x1b = xTile[x1 + 1u];
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
      let w2 = (4u * half + 2u) * 32u + rows;
      let x2 = (4u * half + 2u) * 32u + tokens;
      let w2a = wTile[w2];
      let w2b = wTile[w2 + 1u];
      let x2a = xTile[x2];
      let x2b = xTile[x2 + 1u];
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
      let w3 = (4u * half + 3u) * 32u + rows;
      let x3 = (4u * half + 3u) * 32u + tokens;
      let w3a = wTile[w3];
      let w3b = wTile[w3 + 1u];
      let x3a = xTile[x3];
      let x3b = xTile[x3 + 1u];
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
      if (half == 0u && GROUP == 32u) { continue; }
      let group = select(half, 0u, GROUP == 32u) * 32u;
      let scaleA = wScales[group + rows];
      let scaleB = wScales[group + rows + 1u];
      let offsetA = wOffsets[group + rows];
      let offsetB = wOffsets[group + rows + 1u];
      let xScale0 = xScales[tokens];
      let xScale1 = xScales[tokens + 1u];
      let xSum0 = xSums[group + tokens];
      let xSum1 = xSums[group + tokens + 1u];
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
      if (GROUP == 32u) { continue; }
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
    workgroupBarrier();
  }
  let row = firstRow + 4u * rows;
  let token = firstToken + 4u * tokens;
  putRow(row + 0u, token + 0u, count, a00);
  putRow(row + 0u, token + 4u, count, a01);
  putRow(row + 1u, token + 0u, count, a10);
  putRow(row + 1u, token + 4u, count, a11);
  putRow(row + 2u, token + 0u, count, a20);
  putRow(row + 2u, token + 4u, count, a21);
  putRow(row + 3u, token + 0u, count, a30);
  putRow(row + 3u, token + 4u, count, a31);
  putRow(row + 4u, token + 0u, count, a40);
  putRow(row + 4u, token + 4u, count, a41);
  putRow(row + 5u, token + 0u, count, a50);
  putRow(row + 5u, token + 4u, count, a51);
  putRow(row + 6u, token + 0u, count, a60);
  putRow(row + 6u, token + 4u, count, a61);
  putRow(row + 7u, token + 0u, count, a70);
  putRow(row + 7u, token + 4u, count, a71);
}
