// to[t, i] (+)= y · w[i] + b[i], of v = scale · from[t']:
//   rms:   y = v / sqrt(mean(v²) + epsilon)
//   layer: y = (v − mean(v)) / sqrt(mean((v − mean(v))²) + epsilon)
// t' = t, or the last tokens' rows where SCORED. The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | weight | f32 | [WIDTH] vec4s |
// | bias | f32 | [WIDTH] vec4s, if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · WIDTH / 32] |
//
// A workgroup makes one token's row, 4 columns an invocation at a time, best in one turn: a loop
// waits for each value before it asks for the next one. Grid: [tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> int8: array<u32>;

override WIDTH: u32; // columns
override EPSILON: f32;
override IS_LAYER: bool = false;
override X_START: u32; // vec4s
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override HAS_BIAS: bool = false;
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;
override SCORED: bool = false;
override TO_INT8: bool = false;

// Which of columns 4i … 4i + 3 there are.
fn inside(i: u32) -> vec4<bool> {
  return vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(WIDTH);
}

// Those columns, without the mean; zeros where there are none.
fn valueAt(row: u32, i: u32, mean: f32) -> vec4<f32> {
  if (4u * i >= WIDTH) { return vec4(0.0); }
  return select(vec4(0.0), SCALE * x[row + i] - mean, inside(i));
}

fn sumOf4(v: vec4<f32>) -> f32 { return v.x + v.y + v.z + v.w; }

// What columns 4i … 4i + 3 are multiplied with, and what is added to them.
struct Line { weight: vec4<f32>, bias: vec4<f32> }

fn lineAt(i: u32) -> Line {
  var line = Line(vec4(0.0), vec4(0.0));
  if (4u * i < WIDTH) {
    line.weight = weight[i];
    if (HAS_BIAS) { line.bias = bias[i]; }
  }
  return line;
}

// Writes the norm of columns 4i … 4i + 3 of a token.
fn finish(value: vec4<f32>, line: Line, token: u32, i: u32, lane: u32) {
  let isThere = 4u * i < WIDTH;
  let normed = value * line.weight + line.bias;
  let at = TO_START + token * TO_STRIDE + i;
  if (isThere && (ACCUMULATE || 4u * i + 3u >= WIDTH)) {
    let before = to[at];
    // What is beyond the row is another one's.
    to[at] = select(before, select(vec4(0.0), before, vec4(ACCUMULATE)) + normed, inside(i));
  } else if (isThere) {
    to[at] = normed;
  }
  if (TO_INT8) { putInt8(normed, lane, token, WIDTH / 32u, i, isThere); }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let skipped = select(0u, step.tokens - step.scored, SCORED);
  let row = X_START + (token + skipped) * X_STRIDE;
  let line = lineAt(lane); // asked for before it is needed
  var mean = 0.0;
  if (IS_LAYER) {
    var sum = 0.0;
    for (var i = lane; 4u * (i - lane) < WIDTH; i += LANES) { sum += sumOf4(valueAt(row, i, 0.0)); }
    mean = sumOf(sum, lane) / f32(WIDTH);
  }
  let first = valueAt(row, lane, mean);
  var squares = sumOf4(first * first);
  for (var i = lane + LANES; 4u * (i - lane) < WIDTH; i += LANES) {
    let value = valueAt(row, i, mean);
    squares += sumOf4(value * value);
  }
  let factor = inverseSqrt(sumOf(squares, lane) / f32(WIDTH) + EPSILON);
  finish(factor * first, line, token, lane, lane);
  for (var base = LANES; 4u * base < WIDTH; base += LANES) {
    let i = base + lane;
    finish(factor * valueAt(row, i, mean), lineAt(i), token, i, lane);
  }
}
