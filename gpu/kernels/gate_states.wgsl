// x[t, i] of WIDTH columns by themselves, in place, g = silu(gates[t, i]):
//   NORM 0: x · g
//   NORM 1: y · w[column], y = v / sqrt(mean(v²) + EPSILON), v = x · g
//   NORM 2: y · w[i] · g, the same of v = x; all parts have the same weights
// The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | weight | f32 | [COLUMNS], or [WIDTH] where NORM is 2; vec4s |
// | gates | f32, from GATES_START | [tokens, GATES_STRIDE] vec4s |
// | x | f32, COLUMNS from X_START | [tokens, X_STRIDE] vec4s |
// | int8 | see parts/int8.wgsl | [tokens, 12 · COLUMNS / 32] |
//
// A workgroup makes one part of one token, 4 columns an invocation at a time.
// Grid: [⌈COLUMNS / WIDTH⌉, tokens].

@group(0) @binding(0) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> gates: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> int8: array<u32>;

override COLUMNS: u32; // multiple of 4, as WIDTH
override WIDTH: u32;
override NORM: u32;
override EPSILON: f32 = 0.0;
override GATES_START: u32; // vec4s
override GATES_STRIDE: u32;
override X_START: u32;
override X_STRIDE: u32;
override TO_INT8: bool = false;

// Of columns 4i … 4i + 3.
fn gateAt(token: u32, i: u32) -> vec4<f32> {
  let gate = gates[GATES_START + token * GATES_STRIDE + i];
  return gate * vec4(sigmoid(gate.x), sigmoid(gate.y), sigmoid(gate.z), sigmoid(gate.w));
}

// What the norm is of.
fn valueAt(token: u32, i: u32) -> vec4<f32> {
  let value = x[X_START + token * X_STRIDE + i];
  if (NORM == 2u) { return value; }
  return value * gateAt(token, i);
}

// 1 / the root of the mean of the squares.
fn factorOf(token: u32, first: u32, lane: u32) -> f32 {
  var squares = 0.0;
  for (var i = lane; i < WIDTH / 4u; i += LANES) {
    let value = valueAt(token, first + i);
    squares += dot(value, value);
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
  let first = workgroup.x * (WIDTH / 4u);
  var factor = 1.0;
  if (NORM != 0u) { factor = factorOf(token, first, lane); }
  for (var base = 0u; base < WIDTH / 4u; base += LANES) {
    let i = base + lane;
    let isThere = i < WIDTH / 4u && 4u * (first + i) < COLUMNS;
    var value = vec4(0.0);
    if (isThere) {
      value = factor * valueAt(token, first + i);
      if (NORM == 1u) { value *= weight[first + i]; }
      if (NORM == 2u) { value *= weight[i] * gateAt(token, first + i); }
      x[X_START + token * X_STRIDE + first + i] = value;
    }
    if (TO_INT8) { putInt8(value, lane, token, COLUMNS / 32u, first + i, isThere); }
  }
}
