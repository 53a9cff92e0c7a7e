// to[t, i] (+)= scale · Σ_j weight_j · x[t · USED + j, i]: what a token's experts give, as much as each counts.
//
// | binding | what | shape |
// |---|---|---|
// | routes | expert and weight's bits | [tokens, USED, 2] |
// | x | f32, a row for each route | [tokens · USED, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read> routes: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override USED: u32;
override SCALE: f32;
override ACCUMULATE: bool;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  let first = id.y * USED;
  var sum = 0.0;
  for (var j = 0u; j < USED; j++) {
    let weight = bitcast<f32>(routes[2u * (first + j) + 1u]);
    sum += weight * x[X_START + (first + j) * X_STRIDE + id.x];
  }
  let at = TO_START + id.y * TO_STRIDE + id.x;
  to[at] = select(0.0, to[at], ACCUMULATE) + SCALE * sum;
}
