// Of each row t: x[t, i] *= act(weight[t, ⌊i / SHARED⌋]), in place; act: 0 none, 1 sigmoid, 2 softplus, 3 gelu
// by tanh.
//
// | binding | what | shape |
// |---|---|---|
// | weights | f32, ⌈WIDTH / SHARED⌉ a token | [tokens, WEIGHTS_STRIDE], from WEIGHTS_START; a stride of 0: the same for all |
// | x | f32 | [tokens, X_STRIDE], from X_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

override WIDTH: u32;
override SHARED: u32;
override ACTIVATION: u32;
override WEIGHTS_START: u32;
override WEIGHTS_STRIDE: u32;
override X_START: u32;
override X_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  var weight = weights[WEIGHTS_START + id.y * WEIGHTS_STRIDE + id.x / SHARED];
  if (ACTIVATION == 1u) { weight = sigmoid(weight); }
  if (ACTIVATION == 2u) { weight = softplus(weight); }
  if (ACTIVATION == 3u) { weight = gelu(weight); }
  x[X_START + id.y * X_STRIDE + id.x] *= weight;
}
