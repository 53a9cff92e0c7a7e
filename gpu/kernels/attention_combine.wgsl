// to[t, h] = Σ_c e^(m_c − m) · s_c / Σ_c e^(m_c − m) · d_c, m = max_c m_c: the chunks of positions
// that attention.wgsl made one by one.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | x | s_c, and a vec4 (m_c, d_c) | [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] vec4s |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// A workgroup of 64 makes one head of one token, an invocation 4 of its dimensions.
// Grid: [HEADS, tokens].

struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> to: array<vec4<f32>>;

override HEADS: u32;
override HEAD_DIM: u32; // multiple of 4, at most 256
override CHUNK: u32; // positions
override CHUNKS: u32;
override TO_START: u32;
override TO_STRIDE: u32;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let dims = HEAD_DIM / 4u;
  if (lane >= dims) { return; }
  let head = workgroup.x;
  let token = workgroup.y;
  let count = (step.position + step.tokens + CHUNK - 1u) / CHUNK;
  let first = (token * HEADS + head) * CHUNKS;
  var largest = -3.0e38;
  for (var c = 0u; c < count; c++) {
    largest = max(largest, x[(first + c) * (dims + 1u) + dims].x);
  }
  var sum = vec4(0.0);
  var divisor = 0.0;
  for (var c = 0u; c < count; c++) {
    let at = (first + c) * (dims + 1u);
    let stats = x[at + dims];
    let factor = exp(stats.x - largest);
    sum += factor * x[at + lane];
    divisor += factor * stats.y;
  }
  to[TO_START + token * TO_STRIDE + head * dims + lane] = sum / divisor;
}
