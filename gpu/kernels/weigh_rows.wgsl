// x[t, i] *= weight[t], or sigmoid(weight[t]) where IS_SIGMOID, in place.
//
// | binding | what | shape |
// |---|---|---|
// | weights | f32, one a token | [tokens, WEIGHTS_STRIDE], at WEIGHTS_START |
// | x | f32 | [tokens, X_STRIDE], from X_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

override WIDTH: u32;
override IS_SIGMOID: bool = false;
override WEIGHTS_START: u32;
override WEIGHTS_STRIDE: u32;
override X_START: u32;
override X_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  var weight = weights[WEIGHTS_START + id.y * WEIGHTS_STRIDE];
  if (IS_SIGMOID) { weight = 1.0 / (1.0 + exp(-max(weight, -80.0))); }
  x[X_START + id.y * X_STRIDE + id.x] *= weight;
}
