// attention_few.wgsl and attention_combine.wgsl in one: whichever of a tile's workgroups ends last
// puts all of its chunks together, in the order of attention_combine.wgsl, so to the same bits.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | keys | cache, 8 f16 each | [places, KV_HEADS, HEAD_DIM / 8] vec4<u32> |
// | values | likewise | |
// | x | f32 queries, heads side by side | [tokens, X_STRIDE] vec4s, from X_START |
// | chunks | bits of what chunks leave | [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] · 4 |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · HEADS · HEAD_DIM / 32], if TO_INT8 |
// | sinks | f32 | [HEADS], if HAS_SINKS |
// | counters | how many have ended; zeros before and behind every dispatch | [grid.x, KV_HEADS] |
//
// Grid: as attention_few.wgsl. What another workgroup has left is read by atomics alone, behind a
// counter and barriers. WGSL orders atomics within a workgroup only; a compiler whose barriers of
// storage are the whole device's makes it right: `Gpu.ordersWorkgroups`.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> chunks: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read> records: array<u32>;
@group(0) @binding(6) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> int8: array<u32>;
@group(0) @binding(8) var<storage, read> sinks: array<f32>;
@group(0) @binding(9) var<storage, read_write> counters: array<atomic<u32>>;

override TO_START: u32; // vec4s
override TO_STRIDE: u32;
override TO_INT8: bool = false;
override HAS_SINKS: bool = false;
override COMBINE_LANES: u32; // of attention_combine.wgsl

const WIDTH = 128u; // invocations
const ROW_CHUNKS = 128u; // the most chunks
var<workgroup> knownOf: array<vec2<f32>, 512>; // maximum and divisor by row and chunk
var<workgroup> isLast: u32;

fn keep(at: u32, value: vec4<f32>) {
  let bits = bitcast<vec4<u32>>(value);
  atomicStore(&chunks[4u * at], bits.x);
  atomicStore(&chunks[4u * at + 1u], bits.y);
  atomicStore(&chunks[4u * at + 2u], bits.z);
  atomicStore(&chunks[4u * at + 3u], bits.w);
}

// Chunk c of four `place` of the tile's rows side by side; nothing where there is no such chunk.
fn chunkAt(first: u32, c: u32, count: u32, place: u32) -> Share {
  if (c >= count) { return nothing(); }
  let dims = HEAD_DIM / 4u;
  let at = 4u * ((first + c) * (dims + 1u) + place % dims);
  let bits = vec4(
    atomicLoad(&chunks[at]), atomicLoad(&chunks[at + 1u]),
    atomicLoad(&chunks[at + 2u]), atomicLoad(&chunks[at + 3u]),
  );
  let known = knownOf[place / dims * ROW_CHUNKS + c];
  return Share(bitcast<vec4<f32>>(bits), known.x, known.y);
}

// All chunks of four `place`, shares of them one after another, which are asked for by fours.
fn putTogether(first: u32, count: u32, place: u32, sink: f32) -> vec4<f32> {
  let shares = COMBINE_LANES / (HEAD_DIM / 4u);
  let row = place / (HEAD_DIM / 4u) * ROW_CHUNKS;
  var top = sink;
  for (var c = 0u; c < count; c++) { top = max(top, knownOf[row + c].x); }
  var sum = Weighed(vec4(0.0), select(0.0, exp(sink - top), HAS_SINKS));
  let used = min(shares, count);
  for (var s = 0u; s < used; s += 4u) {
    // Shares that there are not have no chunks.
    let ends = select(vec4(0u), vec4(count), vec4(s) + vec4(0u, 1u, 2u, 3u) < vec4(shares));
    let a = fourAt(first, s, shares, ends.x, place);
    let b = fourAt(first, s + 1u, shares, ends.y, place);
    let d = fourAt(first, s + 2u, shares, ends.z, place);
    let e = fourAt(first, s + 3u, shares, ends.w, place);
    var p = withFour(nothing(), a);
    var q = withFour(nothing(), b);
    var r = withFour(nothing(), d);
    var t = withFour(nothing(), e);
    for (var c = s + 4u * shares; c < count; c += 4u * shares) {
      p = withFour(p, fourAt(first, c, shares, ends.x, place));
      q = withFour(q, fourAt(first, c + 1u, shares, ends.y, place));
      r = withFour(r, fourAt(first, c + 2u, shares, ends.z, place));
      t = withFour(t, fourAt(first, c + 3u, shares, ends.w, place));
    }
    sum = withShare(withShare(withShare(withShare(sum, p, top), q, top), r, top), t, top);
  }
  return sum.value / sum.divisor;
}

@compute @workgroup_size(WIDTH)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  if (!hasChunk(workgroup)) { return; }
  attendChunk(workgroup, lane);
  let kvHead = workgroup.y;
  let row = firstRowOf(workgroup.x, 4u);
  let count = (contextOf(tokenOf(row)) + CHUNK - 1u) / CHUNK;
  storageBarrier(); // all that the workgroup leaves comes before it is counted
  if (lane == 0u) {
    let counter = workgroup.x * KV_HEADS + kvHead;
    isLast = u32(atomicAdd(&counters[counter], 1u) + 1u == count);
    if (isLast == 1u) { atomicStore(&counters[counter], 0u); } // nobody else comes
  }
  if (workgroupUniformLoad(&isLast) == 0u) { return; }
  storageBarrier(); // and what others left before they were
  let dims = HEAD_DIM / 4u;
  let rows = endOfRows(row);
  for (var i = lane; i < 4u * count; i += WIDTH) {
    let r = i / count;
    let c = i % count;
    let at = placeOf(row + r, rows, kvHead, c);
    if (at == NOWHERE) { continue; }
    let known = 4u * (at + dims);
    knownOf[r * ROW_CHUNKS + c] = vec2(
      bitcast<f32>(atomicLoad(&chunks[known])),
      bitcast<f32>(atomicLoad(&chunks[known + 1u])),
    );
  }
  workgroupBarrier();
  for (var base = 0u; base < 4u * dims; base += WIDTH) {
    finish(base + lane, row, rows, kvHead, count, lane);
  }
}

// Four `place` of the rows; all of the workgroup come here.
fn finish(place: u32, row: u32, rows: u32, kvHead: u32, count: u32, lane: u32) {
  let dims = HEAD_DIM / 4u;
  let j = row + place / dims;
  let i = place % dims;
  let head = headOf(j, kvHead);
  let token = tokenOf(j);
  let isThere = place < 4u * dims && j < rows && head < HEADS;
  var value = vec4(0.0);
  if (isThere) {
    var sink = LOWEST;
    if (HAS_SINKS) { sink = sinks[head]; }
    value = putTogether((token * HEADS + head) * CHUNKS, count, place, sink);
    to[TO_START + token * TO_STRIDE + head * dims + i] = value;
  }
  if (!TO_INT8) { return; }
  for (var begin = 0u; begin < WIDTH; begin += 64u) {
    let slot = lane - begin; // below 0 becomes a large number
    workgroupBarrier();
    if (slot < 64u) { pieces[slot] = value; }
    workgroupBarrier();
    // The piece of slot 0, if it were of the same head.
    let piece = (head * dims + i) / 8u - slot / 8u;
    if (slot < 64u && isThere) { putPieces(slot, token, piece, HEADS * HEAD_DIM / 32u); }
  }
}
