// What a token's experts give, as much as each counts:
//   to[t, i] (+)= scale · Σ_j weight_j · x[t · USED + j, i], without weights where they are WEIGHED
// and, where HAS_NEXT, the half of the next norm, as joined.wgsl leaves it: normed = to · weight, in 8
// bits where TO_INT8, with sums of squares of `to` by 32 columns.
//
// | binding | what | shape |
// |---|---|---|
// | routes | expert and weight's bits | [tokens, USED, 2] |
// | x | f32, a row for each route | [tokens · USED, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
// | weight | f32, of the next norm, if HAS_NEXT | [WIDTH] |
// | normed | f32, if TO_F32 | [tokens, NORMED_STRIDE], from NORMED_START: WIDTH and WIDTH / 32 |
// | int8 | see parts/int8.wgsl, if TO_INT8 | [tokens, 12 · WIDTH / 32] |
//
// An invocation makes one value, a workgroup two pieces of 32. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read> routes: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> normed: array<f32>;
@group(0) @binding(5) var<storage, read_write> int8: array<u32>;

override WIDTH: u32;
override USED: u32;
override SCALE: f32;
override ACCUMULATE: bool;
override WEIGHED: bool = false;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override HAS_NEXT: bool = false;
override NORMED_START: u32 = 0;
override NORMED_STRIDE: u32 = 0;
override TO_F32: bool = false;
override TO_INT8: bool = false;

var<workgroup> byColumn: array<vec4<f32>, 16>; // what is in `to` now

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.y;
  let i = workgroup.x * 64u + lane;
  if (i < WIDTH) {
    let at = TO_START + token * TO_STRIDE + i;
    let before = select(0.0, to[at], ACCUMULATE);
    var sum = 0.0;
    for (var route = token * USED; route < (token + 1u) * USED; route++) {
      let weight = select(bitcast<f32>(routes[2u * route + 1u]), 1.0, WEIGHED);
      sum += weight * x[X_START + route * X_STRIDE + i];
    }
    let value = before + SCALE * sum;
    to[at] = value;
    if (HAS_NEXT) {
      let half = value * weight[i];
      byColumn[lane / 4u][lane % 4u] = value;
      pieces[lane / 4u][lane % 4u] = half;
      if (TO_F32) { normed[NORMED_START + token * NORMED_STRIDE + i] = half; }
    }
  }
  if (!HAS_NEXT) { return; }
  workgroupBarrier();
  let first = 2u * workgroup.x;
  let isThere = first + lane / 8u % 2u < WIDTH / 32u;
  if (TO_INT8 && lane < 16u && isThere) { putPieces(lane, token, first, WIDTH / 32u); }
  if (lane % 8u == 0u && lane >= 32u && lane < 48u && isThere) {
    putSquares(lane / 8u % 2u, token, first);
  }
}

// Of the workgroup's piece `own`, the squares' sum.
fn putSquares(own: u32, token: u32, first: u32) {
  var sums = vec4(0.0);
  for (var j = 8u * own; j < 8u * own + 8u; j++) { sums += byColumn[j] * byColumn[j]; }
  let sum = sums.x + sums.y + sums.z + sums.w;
  let piece = first + own;
  if (TO_F32) { normed[NORMED_START + token * NORMED_STRIDE + WIDTH + piece] = sum; }
  if (TO_INT8) {
    let known = token * (12u * WIDTH / 32u) + WIDTH / 4u + 4u * piece;
    int8[known + 3u] = bitcast<u32>(sum);
  }
}
