// x[t, i] of WIDTH columns by themselves, in place, g = silu(gates[t, i]):
//   NORM 0: x · g
//   NORM 1: y · w[column], y = v / sqrt(mean(v²) + EPSILON), v = x · g
//   NORM 2: y · w[i] · g, the same of v = x; all parts have the same weights
//
// | binding | what | shape |
// |---|---|---|
// | weight | f32 | [COLUMNS], or [WIDTH] where NORM is 2 |
// | gates | f32 | [tokens, GATES_STRIDE], from GATES_START |
// | x | f32 | [tokens, X_STRIDE], COLUMNS from X_START |
//
// A workgroup makes one part of one token. Grid: [⌈COLUMNS / WIDTH⌉, tokens].

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

override COLUMNS: u32;
override WIDTH: u32;
override NORM: u32;
override EPSILON: f32 = 0.0;
override GATES_START: u32;
override GATES_STRIDE: u32;
override X_START: u32;
override X_STRIDE: u32;

var<workgroup> byLane: array<f32, LANES>;

fn gateAt(token: u32, column: u32) -> f32 {
  let gate = gates[GATES_START + token * GATES_STRIDE + column];
  return gate * sigmoid(gate);
}

// What the norm is of.
fn valueAt(token: u32, column: u32) -> f32 {
  let value = x[X_START + token * X_STRIDE + column];
  if (NORM == 2u) { return value; }
  return value * gateAt(token, column);
}

// 1 / the root of the mean of the squares.
fn factorOf(token: u32, first: u32, lane: u32) -> f32 {
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    let value = valueAt(token, first + i);
    squares += value * value;
  }
  byLane[lane] = squares;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { byLane[lane] += byLane[lane + half]; }
  }
  workgroupBarrier();
  return inverseSqrt(byLane[0] / f32(WIDTH) + EPSILON);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.y;
  let first = workgroup.x * WIDTH;
  var factor = 1.0;
  if (NORM != 0u) { factor = factorOf(token, first, lane); }
  for (var i = lane; i < min(WIDTH, COLUMNS - first); i += LANES) {
    let column = first + i;
    var value = factor * valueAt(token, column);
    if (NORM == 1u) { value *= weight[column]; }
    if (NORM == 2u) { value *= weight[i] * gateAt(token, column); }
    x[X_START + token * X_STRIDE + column] = value;
  }
}
