// x[t, h, i] = y · w[i] + b[i] in place, of v = x[t, h] (WIDTH values):
//   rms:   y = v / sqrt(mean(v²) + epsilon)
//   layer: y = (v − mean(v)) / sqrt(mean((v − mean(v))²) + epsilon)
//
// | binding | what | shape |
// |---|---|---|
// | weight | f32 | [WIDTH], or [heads, WIDTH] where IS_PER_HEAD |
// | bias | f32 | as the weight, if HAS_BIAS |
// | x | f32 | [tokens, X_STRIDE], heads side by side from X_START |
//
// A workgroup of 64 makes one head of one token. Grid: [heads, tokens].

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

override WIDTH: u32;
override EPSILON: f32;
override IS_LAYER: bool = false;
override IS_PER_HEAD: bool = false;
override HAS_BIAS: bool = false;
override X_START: u32;
override X_STRIDE: u32;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = X_START + workgroup.y * X_STRIDE + workgroup.x * WIDTH;
  let weights = select(0u, workgroup.x * WIDTH, IS_PER_HEAD);
  var mean = 0.0;
  if (IS_LAYER) {
    var sum = 0.0;
    for (var i = lane; i < WIDTH; i += LANES) { sum += x[row + i]; }
    mean = sumOf(sum, lane) / f32(WIDTH);
  }
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    let value = x[row + i] - mean;
    squares += value * value;
  }
  let factor = inverseSqrt(sumOf(squares, lane) / f32(WIDTH) + EPSILON);
  for (var i = lane; i < WIDTH; i += LANES) {
    var value = (x[row + i] - mean) * factor * weight[weights + i];
    if (HAS_BIAS) { value += bias[weights + i]; }
    x[row + i] = value;
  }
}
