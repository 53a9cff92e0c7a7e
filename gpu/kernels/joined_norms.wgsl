// What a block leaves is normalised and added to the residual stream, and what follows reads a norm
// of that, all of it RMS, of v = SCALE · x[t]:
//   to[t, i] = factor · (to[t, i] + v / sqrt(mean(v²) + EPSILON) · weight[i])
//   normed[t, i] = to[t, i] / sqrt(mean(to[t]²) + NEXT_EPSILON) · nextWeight[i]
// The latter in 8 bits, too, where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | weight | f32 | [WIDTH] vec4s |
// | nextWeight | f32 | [WIDTH] vec4s |
// | factor | f32, if HAS_FACTOR; else it is 1 | [1] |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | normed | f32 | [tokens, NORMED_STRIDE] vec4s, from NORMED_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · WIDTH / 32] |
//
// A workgroup makes one token's row, 4 columns an invocation at a time, best in one turn; what does
// not fit into one is read again. WIDTH is by 4. Grid: [tokens].

@group(0) @binding(0) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> nextWeight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> normed: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> int8: array<u32>;

override WIDTH: u32;
override EPSILON: f32;
override NEXT_EPSILON: f32;
override SCALE: f32;
override HAS_FACTOR: bool;
override X_START: u32; // vec4s
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override NORMED_START: u32;
override NORMED_STRIDE: u32;
override TO_INT8: bool;

// Columns 4i … 4i + 3 of a row that a block left; zeros where there are none.
fn leftAt(row: u32, i: u32) -> vec4<f32> {
  if (4u * i >= WIDTH) { return vec4(0.0); }
  return SCALE * x[row + i];
}

// Adds their norm to the stream's; @returns what is there now, zeros where nothing is.
fn addAt(at: u32, i: u32, value: vec4<f32>, scale: f32, times: f32) -> vec4<f32> {
  if (4u * i >= WIDTH) { return vec4(0.0); }
  let sum = times * (to[at + i] + scale * value * weight[i]);
  to[at + i] = sum;
  return sum;
}

// Their norm; all of a workgroup come here.
fn finish(value: vec4<f32>, scale: f32, token: u32, i: u32, lane: u32) {
  let isThere = 4u * i < WIDTH;
  var made = vec4(0.0);
  if (isThere) {
    made = scale * value * nextWeight[i];
    normed[NORMED_START + token * NORMED_STRIDE + i] = made;
  }
  if (TO_INT8) { putInt8(made, lane, token, WIDTH / 32u, i, isThere); }
}

fn rootOf(squares: f32, lane: u32, epsilon: f32) -> f32 {
  return inverseSqrt(sumOf(squares, lane) / f32(WIDTH) + epsilon);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let row = X_START + token * X_STRIDE;
  let at = TO_START + token * TO_STRIDE;
  let first = leftAt(row, lane);
  var squares = dot(first, first);
  for (var i = lane + LANES; 4u * i < WIDTH; i += LANES) {
    let value = leftAt(row, i);
    squares += dot(value, value);
  }
  let scale = rootOf(squares, lane, EPSILON);
  var times = 1.0;
  if (HAS_FACTOR) { times = factor[0]; }
  let added = addAt(at, lane, first, scale, times);
  squares = dot(added, added);
  for (var i = lane + LANES; 4u * i < WIDTH; i += LANES) {
    let value = addAt(at, i, leftAt(row, i), scale, times);
    squares += dot(value, value);
  }
  let nextScale = rootOf(squares, lane, NEXT_EPSILON);
  finish(added, nextScale, token, lane, lane);
  for (var base = LANES; 4u * base < WIDTH; base += LANES) {
    let i = base + lane;
    var value = vec4(0.0);
    if (4u * i < WIDTH) { value = to[at + i]; }
    finish(value, nextScale, token, i, lane);
  }
}
