// to[t, i] (+)= y · w[i] + b[i], of v = scale · from[t']:
//   rms:   y = v / sqrt(mean(v²) + epsilon)
//   layer: y = (v − mean(v)) / sqrt(mean((v − mean(v))²) + epsilon)
// t' = t, or the last tokens' rows where SCORED.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | weight | f32 | [WIDTH] |
// | bias | f32 | [WIDTH], if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup of 256 makes one token's row. Grid: [tokens].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override EPSILON: f32;
override IS_LAYER: bool = false;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override HAS_BIAS: bool = false;
override ACCUMULATE: bool = false;
override SCALE: f32 = 1.0;
override SCORED: bool = false;

const LANES = 256u;
var<workgroup> parts: array<f32, 256>;

// The sum of what all invocations give.
fn sumOf(value: f32, lane: u32) -> f32 {
  workgroupBarrier(); // the sum before was read
  parts[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { parts[lane] += parts[lane + half]; }
    workgroupBarrier();
  }
  return parts[0];
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let skipped = select(0u, step.tokens - step.scored, SCORED);
  let row = X_START + (token + skipped) * X_STRIDE;
  var mean = 0.0;
  if (IS_LAYER) {
    var sum = 0.0;
    for (var i = lane; i < WIDTH; i += LANES) { sum += SCALE * x[row + i]; }
    mean = sumOf(sum, lane) / f32(WIDTH);
  }
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    let value = SCALE * x[row + i] - mean;
    squares += value * value;
  }
  let factor = inverseSqrt(sumOf(squares, lane) / f32(WIDTH) + EPSILON);
  for (var i = lane; i < WIDTH; i += LANES) {
    var value = (SCALE * x[row + i] - mean) * factor * weight[i];
    if (HAS_BIAS) { value += bias[i]; }
    let at = TO_START + token * TO_STRIDE + i;
    to[at] = select(0.0, to[at], ACCUMULATE) + value;
  }
}
