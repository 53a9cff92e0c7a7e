// x[t, i] = cap(scale · x[t, i]) in place; cap(s) = CAP · tanh(s / CAP), or s where CAP is 0; then cut
// off at ± LIMIT, where that is above 0.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [tokens, X_STRIDE], from X_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;

override WIDTH: u32;
override SCALE: f32 = 1.0;
override CAP: f32 = 0.0;
override LIMIT: f32 = 0.0;
override X_START: u32;
override X_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  let at = X_START + id.y * X_STRIDE + id.x;
  var value = SCALE * x[at];
  if (CAP > 0.0) { value = CAP * tanh(clamp(value / CAP, -20.0, 20.0)); }
  if (LIMIT > 0.0) { value = clamp(value, -LIMIT, LIMIT); }
  x[at] = value;
}
