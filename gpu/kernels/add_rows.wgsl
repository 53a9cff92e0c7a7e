// to[t, i] += scale · x[t, i].
//
// | binding | what | shape |
// |---|---|---|
// | x | f32 | [tokens, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override SCALE: f32 = 1.0;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  to[TO_START + id.y * TO_STRIDE + id.x] += SCALE * x[X_START + id.y * X_STRIDE + id.x];
}
