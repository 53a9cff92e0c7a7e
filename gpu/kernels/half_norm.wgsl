// Half of a norm of the stream's rows: parts/leave_half.wgsl.
//
// | binding | what | shape |
// |---|---|---|
// | weight | f32 | [WIDTH] vec4s |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | normed | f32, if TO_F32 | [tokens, NORMED_STRIDE], from NORMED_START: WIDTH and WIDTH / 32 |
// | int8 | see parts/int8.wgsl | [tokens, 12 · WIDTH / 32] |
//
// An invocation makes a piece of 32 columns. Grid: [⌈WIDTH / 32 / 32⌉, tokens].

@group(0) @binding(0) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> normed: array<f32>;
@group(0) @binding(3) var<storage, read_write> int8: array<u32>;

override X_START: u32; // vec4s
override X_STRIDE: u32;

fn fourOf(at: u32) -> vec4<f32> { return x[at]; }

fn keepNormed(at: u32, value: vec4<f32>) {
  normed[at] = value.x;
  normed[at + 1u] = value.y;
  normed[at + 2u] = value.z;
  normed[at + 3u] = value.w;
}

fn keepSquares(at: u32, sum: f32) { normed[at] = sum; }

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH / 32u) { return; }
  leaveHalf(X_START + id.y * X_STRIDE + 8u * id.x, id.y, id.x);
}
