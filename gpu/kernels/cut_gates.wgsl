// x[t, i] = max(0, x[t, i] − (mean + DEVIATIONS · standard deviation)) of row t, in place.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [tokens, X_STRIDE], from X_START |
//
// A workgroup of 64 makes one token's row. Grid: [tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;

override WIDTH: u32; // 2 or more
override DEVIATIONS: f32;
override X_START: u32;
override X_STRIDE: u32;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = X_START + workgroup.x * X_STRIDE;
  var sum = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) { sum += x[row + i]; }
  let mean = sumOf(sum, lane) / f32(WIDTH);
  var squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    let apart = x[row + i] - mean;
    squares += apart * apart;
  }
  let cutoff = mean + DEVIATIONS * sqrt(sumOf(squares, lane) / f32(WIDTH - 1u));
  for (var i = lane; i < WIDTH; i += LANES) { x[row + i] = max(0.0, x[row + i] - cutoff); }
}
