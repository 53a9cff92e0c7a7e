// to[t, h] = Σ_c e^(m_c − m) · s_c / Σ_c e^(m_c − m) · d_c, m = max_c m_c: the chunks of positions
// that attention.wgsl or attention_few.wgsl made one by one. The same in 8 bits where TO_INT8. A sink
// is one more chunk: m_c = sinks[h], d_c = 1, no sum.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | x | s_c, and a vec4 (m_c, d_c) | [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] vec4s |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · HEADS · HEAD_DIM / 32] |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
// | sinks | f32 | [HEADS], if HAS_SINKS |
//
// A workgroup of LANES makes one head of one token: chunks are shared among as many invocations as
// there are for each 4 dimensions. Each adds up its own by their own maximum. Grid: [HEADS, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> int8: array<u32>;
@group(0) @binding(4) var<storage, read> records: array<u32>;
@group(0) @binding(5) var<storage, read> sinks: array<f32>;

override HEADS: u32;
override HEAD_DIM: u32; // multiple of 4, at most 4 · LANES; 256 where TO_INT8
override CHUNK: u32; // positions
override CHUNKS: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override TO_INT8: bool = false;
override HAS_SINKS: bool = false;

const LOWEST = -3.0e38;
var<workgroup> sums: array<vec4<f32>, LANES>;
var<workgroup> known: array<vec2<f32>, LANES>; // of those: maximum, divisor

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
  let shares = LANES / dims;
  let first = (token * HEADS + head) * CHUNKS;
  let own = addedUp(first, lane / dims, shares, count, lane % dims);
  sums[lane] = own.sum;
  known[lane] = vec2(own.maximum, own.divisor);
  workgroupBarrier();
  let isThere = lane < dims;
  if (isThere) {
    var sink = LOWEST;
    if (HAS_SINKS) { sink = sinks[head]; }
    var top = sink;
    for (var s = 0u; s < shares; s++) { top = max(top, known[s * dims].x); }
    var all = Weighed(vec4(0.0), select(0.0, exp(sink - top), HAS_SINKS));
    for (var s = 0u; s < shares; s++) {
      let own = known[s * dims];
      all = withShare(all, Share(sums[s * dims + lane], own.x, own.y), top);
    }
    let value = all.value / all.divisor;
    to[TO_START + token * TO_STRIDE + head * dims + lane] = value;
    if (TO_INT8) { pieces[lane] = value; }
  }
  if (TO_INT8) {
    workgroupBarrier();
    if (isThere) { putPieces(lane, token, head * HEAD_DIM / 32u, HEADS * HEAD_DIM / 32u); }
  }
}

// What chunk c left, dimensions 4 i …; nothing where there is no such chunk: read all the same, before
// it is known how many there are.
fn chunkAt(first: u32, c: u32, count: u32, i: u32) -> Share {
  let stride = HEAD_DIM / 4u + 1u;
  let at = (first + min(c, CHUNKS - 1u)) * stride;
  let sum = x[at + i];
  let known = x[at + stride - 1u];
  let isThere = c < count;
  return Share(
    select(vec4(0.0), sum, isThere),
    select(LOWEST, known.x, isThere),
    select(0.0, known.y, isThere),
  );
}

// Every `shares`th chunk from `share` on, of dimensions 4 i …; no chunk: a divisor of 0.
fn addedUp(first: u32, share: u32, shares: u32, count: u32, i: u32) -> Share {
  var all = nothing();
  for (var c = share;; c += 4u * shares) {
    all = withFour(all, fourAt(first, c, shares, count, i));
    if (c + 4u * shares >= count) { break; }
  }
  return all;
}
