// to[t] = x[t] · |other[t]| / |x[t]|: rows as long as others; zeros stay zeros.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [tokens, X_STRIDE], from X_START |
// | other | f32 | [tokens, OTHER_STRIDE], from OTHER_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup of 64 makes one token's row. Grid: [tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> other: array<f32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override X_START: u32;
override X_STRIDE: u32;
override OTHER_START: u32;
override OTHER_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let row = X_START + token * X_STRIDE;
  let otherRow = OTHER_START + token * OTHER_STRIDE;
  var own = 0.0;
  var wanted = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) {
    own += x[row + i] * x[row + i];
    wanted += other[otherRow + i] * other[otherRow + i];
  }
  own = sumOf(own, lane);
  wanted = sumOf(wanted, lane);
  let factor = select(0.0, sqrt(wanted / own), own > 0.0);
  let first = TO_START + token * TO_STRIDE;
  for (var i = lane; i < WIDTH; i += LANES) { to[first + i] = factor * x[row + i]; }
}
