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
  //@ for r in 0..7
  var a{r}0 = vec4(0.0);
  var a{r}1 = vec4(0.0);
  //@ end
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
      //@ for k in 0..3
      let w{k}a = wTile[w + {16k}u];
      let w{k}b = wTile[w + {16k+1}u];
      let x{k}a = xTile[v + {32k}u];
      let x{k}b = xTile[v + {32k+1}u];
      //@ for r w in 0 a.x, 1 a.y, 2 a.z, 3 a.w, 4 b.x, 5 b.y, 6 b.z, 7 b.w
      a{r}0 += w{k}{w} * x{k}a;
      a{r}1 += w{k}{w} * x{k}b;
      //@ end
      //@ end
    }
    workgroupBarrier();
  }
  let first = firstRow + 4u * rows;
  let at = span.first + 4u * tokens;
  //@ for r in 0..7
  putRow(first + {r}u, at + 0u, span, a{r}0);
  putRow(first + {r}u, at + 4u, span, a{r}1);
  //@ end
}
