// to[t, h] = Σ_p softmax_p(cap(scale · q[t, h]·k[p, g])) · v[p, g]: causal, with a running softmax.
//
// g = ⌊(h + HEAD_OFFSET) / GROUP_SIZE⌋; p from P − WINDOW + 1 (0: from 0) to P, the token's
// position; cap(s) = SOFT_CAP · tanh(s / SOFT_CAP), or s where SOFT_CAP is 0. A sink is one more
// score of a head, whose value is nothing: the running softmax begins with it.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | keys | cache: pairs of f16, or f32 where IS_F32 | [places, KV_HEADS, HEAD_DIM] |
// | values | likewise | |
// | x | f32 queries, heads side by side | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START; where IS_SPLIT see below |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
// | sinks | f32 | [HEADS], if HAS_SINKS |
//
// Rows of a key/value head are (token, query head of its group), tokens outermost. A workgroup of 64
// makes TILE rows over all positions, or, where IS_SPLIT, over CHUNK of them: then `to` gets, for
// each [token, head, chunk of CHUNKS], the sum without its division, and a vec4 (maximum, divisor).
// Grid: [⌈tokens · GROUP_SIZE / TILE⌉, KV_HEADS, 1 or ⌈positions / CHUNK⌉]; where IS_APART
// [tokens · ⌈GROUP_SIZE / TILE⌉, …].
// 64 positions at a time: an invocation makes the scores of one position, then its share of the
// sum: 4 dimensions of every SPLITS-th position.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> records: array<u32>;
@group(0) @binding(6) var<storage, read> sinks: array<f32>;

override IS_SPLIT: bool = false;
override CHUNK: u32 = 4294967295; // positions
override CHUNKS: u32 = 1;
override TILE: u32 = 8; // rows, 1 to 8
override TO_START: u32 = 0;
override TO_STRIDE: u32 = 0;
override HAS_SINKS: bool = false; // not where IS_SPLIT: attention_combine.wgsl has them then

var<workgroup> queries: array<vec4<f32>, 512>; // [TILE, HEAD_DIM / 4], then sums of the splits
var<workgroup> scores: array<f32, 512>; // [8, 64 positions]
var<workgroup> parts: array<f32, 64>; // [8 rows, 8]
var<workgroup> factors: array<f32, 8>; // of what was summed up before, by row
var<workgroup> largest: array<f32, 8>;
var<workgroup> divisors: array<f32, 8>;
var<workgroup> places: array<u32, 64>; // of the positions of a turn

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let dims = HEAD_DIM / 4u;
  let kvHead = workgroup.y;
  let firstRow = firstRowOf(workgroup.x, TILE);
  let firstToken = tokenOf(firstRow);
  if (isOthers(firstToken)) { return; }
  let rows = min(TILE, endOfRows(firstRow) - firstRow);
  let table = tableOf(firstToken);
  let firstPosition = positionOf(firstToken);

  for (var i = lane; i < TILE * dims; i += 64u) {
    let j = firstRow + i / dims;
    let head = headOf(j, kvHead);
    var query = vec4(0.0);
    if (i / dims < rows && head < HEADS) {
      query = SCALE * x[X_START + tokenOf(j) * X_STRIDE + head * dims + i % dims];
    }
    queries[i] = query;
  }
  if (lane < 8u) {
    largest[lane] = LOWEST;
    divisors[lane] = 0.0;
    let head = headOf(firstRow + lane, kvHead);
    if (HAS_SINKS && lane < rows && head < HEADS) {
      largest[lane] = sinks[head];
      divisors[lane] = 1.0;
    }
  }

  let chunkStart = select(0u, workgroup.z * CHUNK, IS_SPLIT);
  let lastToken = tokenOf(firstRow + rows - 1u);
  var end = lastSeen(firstPosition + lastToken - firstToken) + 1u;
  if (IS_SPLIT) { end = min(end, chunkStart + CHUNK); }
  let start = max(chunkStart, firstSeen(firstPosition));

  let splits = 64u / dims;
  let split = lane / dims;
  var acc: array<vec4<f32>, 8>;
  for (var base = start; base < end; base += 64u) {
    workgroupBarrier(); // queries are there; scores and factors of the turn before were read
    let p = base + lane;
    var dots = array<f32, 8>(); // zeros in every turn
    if (p < end) {
      let place = placeAt(table, p);
      places[lane] = place;
      let at = (place * KV_HEADS + kvHead) * dims;
      for (var i = 0u; i < dims; i++) {
        let key = keyAt(at + i);
        for (var r = 0u; r < TILE; r++) { dots[r] += dot(queries[r * dims + i], key); }
      }
    }
    for (var r = 0u; r < TILE; r++) {
      let position = firstPosition + tokenOf(firstRow + r) - firstToken;
      let isSeen = p < end && p <= lastSeen(position) && p >= firstSeen(position);
      let slope = slopeOf(headOf(firstRow + r, kvHead));
      let score = fallen(capped(dots[r]), slope, position, p);
      scores[r * 64u + lane] = select(LOWEST, score, isSeen);
    }
    workgroupBarrier();

    // The running softmax: eight invocations a row, eight positions each.
    let r = lane / 8u;
    var top = LOWEST;
    if (r < TILE) {
      for (var i = 0u; i < 8u; i++) { top = max(top, scores[r * 64u + 8u * i + lane % 8u]); }
    }
    parts[lane] = top;
    workgroupBarrier();
    let before = largest[r];
    var now = before;
    for (var i = 0u; i < 8u; i++) { now = max(now, parts[8u * r + i]); }
    workgroupBarrier(); // parts and largest were read
    var sum = 0.0;
    if (r < TILE) {
      for (var i = 0u; i < 8u; i++) {
        let at = r * 64u + 8u * i + lane % 8u;
        let weight = select(exp(scores[at] - now), 0.0, scores[at] == LOWEST);
        scores[at] = weight;
        sum += weight;
      }
    }
    parts[lane] = sum;
    workgroupBarrier();
    if (lane % 8u == 0u) {
      let factor = exp(before - now); // exp(0) as long as nothing was seen
      var all = divisors[r] * factor;
      for (var i = 0u; i < 8u; i++) { all += parts[lane + i]; }
      divisors[r] = all;
      factors[r] = factor;
      largest[r] = now;
    }
    workgroupBarrier();

    for (var i = 0u; i < TILE; i++) { acc[i] *= factors[i]; }
    if (split < splits) {
      let until = min(64u, end - base);
      for (var q = split; q < until; q += splits) {
        let value = valueAt((places[q] * KV_HEADS + kvHead) * dims + lane % dims);
        for (var i = 0u; i < TILE; i++) { acc[i] += scores[i * 64u + q] * value; }
      }
    }
  }

  for (var i = 0u; i < TILE; i++) {
    workgroupBarrier();
    queries[lane] = acc[i];
    workgroupBarrier();
    let j = firstRow + i;
    let head = headOf(j, kvHead);
    if (lane < dims && i < rows && head < HEADS) {
      var sum = vec4(0.0);
      for (var s = 0u; s < splits; s++) { sum += queries[s * dims + lane]; }
      if (IS_SPLIT) {
        let at = ((tokenOf(j) * HEADS + head) * CHUNKS + workgroup.z) * (dims + 1u);
        to[at + lane] = sum;
        if (lane == 0u) { to[at + dims] = vec4(largest[i], divisors[i], 0.0, 0.0); }
      } else {
        to[TO_START + tokenOf(j) * TO_STRIDE + head * dims + lane] = sum / divisors[i];
      }
    }
  }
}
