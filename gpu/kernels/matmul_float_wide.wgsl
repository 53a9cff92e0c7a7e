// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for many tokens; w of f16, bf16 or f32.
//
// As matmul_float.wgsl, with larger tiles. A piece is 4 columns.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | words of weights | [rows, ROW_PIECES, WORDS] |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes a tile of 64 rows × 128 tokens, 16 columns at a time; an invocation owns 8 × 8.
// Sums are variables and columns are written out, as in matmul_int8.wgsl, and for the same reasons.
// Grid: [⌈ROWS / 64⌉, ⌈tokens / 128⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;

var<workgroup> wTile: array<vec4<f32>, 256>; // [16 columns, 16 × 4 rows]
var<workgroup> xTile: array<vec4<f32>, 512>; // [16 columns, 32 × 4 tokens]

// Piece j of the turn's four into the tiles.
fn keepWeights(row: u32, j: u32, w: vec4<f32>) {
  let at = 4u * j * 16u + row / 4u;
  let r = row % 4u;
  wTile[at][r] = w.x;
  wTile[at + 16u][r] = w.y;
  wTile[at + 32u][r] = w.z;
  wTile[at + 48u][r] = w.w;
}

fn keepInputs(token: u32, j: u32, v: vec4<f32>) {
  let at = 4u * j * 32u + token / 4u;
  let t = token % 4u;
  xTile[at][t] = v.x;
  xTile[at + 32u][t] = v.y;
  xTile[at + 64u][t] = v.z;
  xTile[at + 96u][t] = v.w;
}

// Zeros behind the last column.
fn rowAt(start: u32, piece: u32) -> vec4<f32> {
  if (piece >= PIECES) { return vec4(0.0); }
  return weightsAt(start + piece);
}

fn inputAt(start: u32, piece: u32) -> vec4<f32> {
  if (piece >= PIECES) { return vec4(0.0); }
  return x[start + piece];
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
  // Each invocation brings four pieces of a token, and two of a row.
  let row = lane % 64u;
  let j = lane / 64u * 2u;
  let wStart = (span.weights + min(firstRow + row, ROWS - 1u)) * ROW_PIECES;
  let xToken = inputOf(min(span.first + lane, span.end - 1u));
  let xStart = X_START + xToken * X_STRIDE;
  var w0 = rowAt(wStart, j);
  var w1 = rowAt(wStart, j + 1u);
  var v0 = inputAt(xStart, 0u);
  var v1 = inputAt(xStart, 1u);
  var v2 = inputAt(xStart, 2u);
  var v3 = inputAt(xStart, 3u);
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
  for (var piece = 0u; piece < PIECES; piece += 4u) {
    keepWeights(row, j, w0);
    keepWeights(row, j + 1u, w1);
    keepInputs(lane, 0u, v0);
    keepInputs(lane, 1u, v1);
    keepInputs(lane, 2u, v2);
    keepInputs(lane, 3u, v3);
    workgroupBarrier();
    let next = piece + 4u;
    w0 = rowAt(wStart, next + j);
    w1 = rowAt(wStart, next + j + 1u);
    v0 = inputAt(xStart, next);
    v1 = inputAt(xStart, next + 1u);
    v2 = inputAt(xStart, next + 2u);
    v3 = inputAt(xStart, next + 3u);
    for (var column = 0u; column < 16u; column += 4u) {
      let w = column * 16u + rows;
      let v = column * 32u + tokens;
      let w0a = wTile[w + 0u];
      let w0b = wTile[w + 1u];
      let x0a = xTile[v + 0u];
      let x0b = xTile[v + 1u];
      a00 += w0a.x * x0a;
      a01 += w0a.x * x0b;
      a10 += w0a.y * x0a;
      a11 += w0a.y * x0b;
      a20 += w0a.z * x0a;
      a21 += w0a.z * x0b;
      a30 += w0a.w * x0a;
      a31 += w0a.w * x0b;
      a40 += w0b.x * x0a;
      a41 += w0b.x * x0b;
      a50 += w0b.y * x0a;
      a51 += w0b.y * x0b;
      a60 += w0b.z * x0a;
      a61 += w0b.z * x0b;
      a70 += w0b.w * x0a;
      a71 += w0b.w * x0b;
      let w1a = wTile[w + 16u];
      let w1b = wTile[w + 17u];
      let x1a = xTile[v + 32u];
      let x1b = xTile[v + 33u];
      a00 += w1a.x * x1a;
      a01 += w1a.x * x1b;
      a10 += w1a.y * x1a;
      a11 += w1a.y * x1b;
      a20 += w1a.z * x1a;
      a21 += w1a.z * x1b;
      a30 += w1a.w * x1a;
      a31 += w1a.w * x1b;
      a40 += w1b.x * x1a;
      a41 += w1b.x * x1b;
      a50 += w1b.y * x1a;
      a51 += w1b.y * x1b;
      a60 += w1b.z * x1a;
      a61 += w1b.z * x1b;
      a70 += w1b.w * x1a;
      a71 += w1b.w * x1b;
      let w2a = wTile[w + 32u];
      let w2b = wTile[w + 33u];
      let x2a = xTile[v + 64u];
      let x2b = xTile[v + 65u];
      a00 += w2a.x * x2a;
      a01 += w2a.x * x2b;
      a10 += w2a.y * x2a;
      a11 += w2a.y * x2b;
      a20 += w2a.z * x2a;
      a21 += w2a.z * x2b;
      a30 += w2a.w * x2a;
      a31 += w2a.w * x2b;
      a40 += w2b.x * x2a;
      a41 += w2b.x * x2b;
      a50 += w2b.y * x2a;
      a51 += w2b.y * x2b;
      a60 += w2b.z * x2a;
      a61 += w2b.z * x2b;
      a70 += w2b.w * x2a;
      a71 += w2b.w * x2b;
      let w3a = wTile[w + 48u];
      let w3b = wTile[w + 49u];
      let x3a = xTile[v + 96u];
      let x3b = xTile[v + 97u];
      a00 += w3a.x * x3a;
      a01 += w3a.x * x3b;
      a10 += w3a.y * x3a;
      a11 += w3a.y * x3b;
      a20 += w3a.z * x3a;
      a21 += w3a.z * x3b;
      a30 += w3a.w * x3a;
      a31 += w3a.w * x3b;
      a40 += w3b.x * x3a;
      a41 += w3b.x * x3b;
      a50 += w3b.y * x3a;
      a51 += w3b.y * x3b;
      a60 += w3b.z * x3a;
      a61 += w3b.z * x3b;
      a70 += w3b.w * x3a;
      a71 += w3b.w * x3b;
    }
    workgroupBarrier();
  }
  let first = firstRow + 4u * rows;
  let at = span.first + 4u * tokens;
  putRow(first + 0u, at + 0u, span, a00);
  putRow(first + 0u, at + 4u, span, a01);
  putRow(first + 1u, at + 0u, span, a10);
  putRow(first + 1u, at + 4u, span, a11);
  putRow(first + 2u, at + 0u, span, a20);
  putRow(first + 2u, at + 4u, span, a21);
  putRow(first + 3u, at + 0u, span, a30);
  putRow(first + 3u, at + 4u, span, a31);
  putRow(first + 4u, at + 0u, span, a40);
  putRow(first + 4u, at + 4u, span, a41);
  putRow(first + 5u, at + 0u, span, a50);
  putRow(first + 5u, at + 4u, span, a51);
  putRow(first + 6u, at + 0u, span, a60);
  putRow(first + 6u, at + 4u, span, a61);
  putRow(first + 7u, at + 0u, span, a70);
  putRow(first + 7u, at + 4u, span, a71);
}
