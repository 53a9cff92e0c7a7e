// to[t, h] = Σ_c e^(m_c − m) · s_c / Σ_c e^(m_c − m) · d_c, m = max_c m_c: the chunks of positions
// that attention.wgsl or attention_few.wgsl made one by one. The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | x | s_c, and a vec4 (m_c, d_c) | [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] vec4s |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · HEADS · HEAD_DIM / 32] |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
//
// A workgroup of 128 (LANES) makes one head of one token: chunks are shared among as many invocations as
// there are for each 4 dimensions. Grid: [HEADS, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> int8: array<u32>;
@group(0) @binding(4) var<storage, read> records: array<u32>;

override HEADS: u32;
override HEAD_DIM: u32; // multiple of 4, at most 256
override CHUNK: u32; // positions
override CHUNKS: u32; // at most 128
override TO_START: u32;
override TO_STRIDE: u32;
override TO_INT8: bool = false;

const LOWEST = -3.0e38;
// By chunk; fours are read at once.
var<workgroup> maxima: array<vec4<f32>, 32>;
var<workgroup> factors: array<vec4<f32>, 32>;
var<workgroup> divisors: array<vec4<f32>, 32>; // times its factor
var<workgroup> sums: array<vec4<f32>, 128>;

fn factorOf(c: u32) -> f32 { return factors[c / 4u][c % 4u]; }

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let dims = HEAD_DIM / 4u;
  let head = workgroup.x;
  let token = workgroup.y;
  if (isOthers(token)) { return; }
  let count = (contextOf(token) + CHUNK - 1u) / CHUNK;
  let first = (token * HEADS + head) * CHUNKS;
  var stats = vec4(LOWEST, 0.0, 0.0, 0.0);
  if (lane < count) { stats = x[(first + lane) * (dims + 1u) + dims]; }
  maxima[lane / 4u][lane % 4u] = stats.x;
  workgroupBarrier();
  var largest = maxima[0];
  for (var i = 1u; 4u * i < count; i++) { largest = max(largest, maxima[i]); }
  let top = max(max(largest.x, largest.y), max(largest.z, largest.w));
  let factor = exp(stats.x - top);
  factors[lane / 4u][lane % 4u] = factor;
  divisors[lane / 4u][lane % 4u] = factor * stats.y;
  workgroupBarrier();
  var parts = divisors[0];
  for (var i = 1u; 4u * i < count; i++) { parts += divisors[i]; }
  let divisor = parts.x + parts.y + parts.z + parts.w;

  let shares = LANES / dims;
  let share = lane / dims;
  let last = count - 1u;
  var sum = vec4(0.0);
  if (share < shares) {
    for (var c = share; c < count; c += 4u * shares) {
      let c1 = c + shares;
      let c2 = c + 2u * shares;
      let c3 = c + 3u * shares;
      // All four are asked for at once; what is beyond the last one counts nothing.
      let s0 = x[(first + c) * (dims + 1u) + lane % dims];
      let s1 = x[(first + min(c1, last)) * (dims + 1u) + lane % dims];
      let s2 = x[(first + min(c2, last)) * (dims + 1u) + lane % dims];
      let s3 = x[(first + min(c3, last)) * (dims + 1u) + lane % dims];
      sum += factorOf(c) * s0;
      if (c1 < count) { sum += factorOf(c1) * s1; }
      if (c2 < count) { sum += factorOf(c2) * s2; }
      if (c3 < count) { sum += factorOf(c3) * s3; }
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  let isThere = lane < dims;
  var value = vec4(0.0);
  if (isThere) {
    for (var s = 0u; s < shares; s++) { value += sums[s * dims + lane]; }
    value /= divisor;
    to[TO_START + token * TO_STRIDE + head * dims + lane] = value;
  }
  if (TO_INT8) {
    putInt8(value, lane, token, HEADS * HEAD_DIM / 32u, head * dims + lane, isThere);
  }
}
