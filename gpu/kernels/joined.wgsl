// The residual stream of tokens of a sequence each, and what the next product reads of it:
//   to[r] += SCALE · (W · x + bias)[r];  normed[r] = to[r] · weight[r], in 8 bits where TO_INT8.
// The norm's factor is left to who reads it (parts/one_row.wgsl): sums of squares of `to`, by 32
// columns, go with it: behind the row, and to the last word of what is known of a piece in 8 bits.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes, groups | weights | see the part with the product |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | tokens' rows | see the part with the product |
// | weight | f32, of the norm | [ROWS] vec4s |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
// | normed | f32, if TO_F32 | [tokens, NORMED_STRIDE], from NORMED_START: ROWS and ROWS / 32 |
// | int8 | see parts/int8.wgsl | [tokens, 12 · ROWS / 32] |
//
// A workgroup makes 32 rows, a piece of 8 bits, for TOKENS tokens: ROW_LANES invocations
// a row. Grid: [ROWS / 32, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> to: array<f32>;
@group(0) @binding(7) var<storage, read_write> normed: array<f32>;
@group(0) @binding(8) var<storage, read_write> int8: array<u32>;

override NORMED_START: u32 = 0;
override NORMED_STRIDE: u32 = 0;
override TO_F32: bool;
override TO_INT8: bool;

var<workgroup> byRow: array<vec4<f32>, 8>; // what is in the stream now

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let own = rowOf(lane);
  let row = workgroup.x * 32u + own;
  let first = workgroup.y * TOKENS;
  let last = step.tokens - 1u;
  // Asked for before they are needed.
  var before = to[TO_START + first * TO_STRIDE + row];
  let factor = weight[row / 4u][row % 4u];
  let mine = sumsFrom(row * ROW_PIECES, first, last, lane);
  for (var t = 0u; t < TOKENS && first + t <= last; t++) {
    let token = first + t;
    let sums = sumUp(vec2(ofToken(mine, t), 0.0), lane, place, size);
    if (slotOf(lane) == 0u) {
      let value = before + SCALE * withBias(row, sums.x);
      to[TO_START + token * TO_STRIDE + row] = value;
      byRow[own / 4u][own % 4u] = value;
      pieces[own / 4u][own % 4u] = value * factor;
      if (TO_F32) { normed[NORMED_START + token * NORMED_STRIDE + row] = value * factor; }
    }
    workgroupBarrier();
    if (lane == SQUARES_LANE) { putSquares(token, workgroup.x); }
    if (TO_INT8 && lane < 8u) { putPieces(lane, token, workgroup.x, ROWS / 32u); }
    if (TOKENS > 1u) {
      workgroupBarrier(); // what is shared was read
      before = to[TO_START + min(token + 1u, last) * TO_STRIDE + row];
    }
  }
}

// An invocation that has nothing else to do then, of another subgroup than those that have.
const SQUARES_LANE = 128u;

fn putSquares(token: u32, piece: u32) {
  var sums = byRow[0] * byRow[0];
  for (var j = 1u; j < 8u; j++) { sums += byRow[j] * byRow[j]; }
  let sum = sums.x + sums.y + sums.z + sums.w;
  if (TO_F32) { normed[NORMED_START + token * NORMED_STRIDE + ROWS + piece] = sum; }
  if (TO_INT8) {
    let known = token * (12u * ROWS / 32u) + ROWS / 4u + 4u * piece;
    int8[known + 3u] = bitcast<u32>(sum);
  }
}
