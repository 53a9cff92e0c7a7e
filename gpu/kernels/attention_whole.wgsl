// As attention.wgsl for tokens of a sequence each that see at most 1024 positions, caches of f16 and
// heads by 8 dimensions: all of them in one dispatch. The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | – | – |
// | keys | cache, 8 f16 each | [places, KV_HEADS, HEAD_DIM / 8] vec4<u32> |
// | values | likewise | |
// | x | f32 queries, heads side by side | [tokens, X_STRIDE] vec4s, from X_START |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · HEADS · HEAD_DIM / 32] |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
//
// A workgroup of 512 (LANES) makes one head of one token: heads of a group read the same keys, but many of a
// GPU's cores would be idle otherwise. Scores: 4 neighbours share a position, of which each has
// every fourth eight of dimensions. Values: HEAD_DIM / 8 neighbours share a position. Grid: [HEADS, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> int8: array<u32>;
@group(0) @binding(6) var<storage, read> records: array<u32>;

override TO_START: u32; // vec4s
override TO_STRIDE: u32;
override TO_INT8: bool = false;

const SEEN_MAX = 1024u;
const PITCH = 516u; // of sums, 512 and four more for the banks of memory
var<workgroup> query: array<vec4<f32>, 64>; // [HEAD_DIM / 4]
// Shares of scores [position, 4]; then sums [8 dimensions, PITCH by (slot, eight)].
var<workgroup> shares: array<f32, 4128>;
var<workgroup> weights: array<f32, SEEN_MAX>;
var<workgroup> parts: array<f32, LANES>;
var<workgroup> sixteen: array<f32, 16>;
var<workgroup> blocks: array<u32, 33>; // of the sequence, from the first position's on

// Where the cache has position p; start: the first one that is seen.
fn placeIn(start: u32, p: u32) -> u32 {
  return blocks[p / 32u - start / 32u] * 32u + p % 32u;
}

// What the query's product with a key comes to over every fourth eight of it; its first is at `at`.
fn keyPart(at: u32, quarter: u32) -> f32 {
  let eights = HEAD_DIM / 8u;
  let last = eights - 1u;
  var sum = 0.0;
  for (var o = quarter; o < eights; o += 16u) {
    // All four are asked for at once; what is beyond the last one counts nothing.
    let k0 = eight(keys[at + o]);
    let k1 = eight(keys[at + min(o + 4u, last)]);
    let k2 = eight(keys[at + min(o + 8u, last)]);
    let k3 = eight(keys[at + min(o + 12u, last)]);
    sum += product(k0, o);
    if (o + 4u < eights) { sum += product(k1, o + 4u); }
    if (o + 8u < eights) { sum += product(k2, o + 8u); }
    if (o + 12u < eights) { sum += product(k3, o + 12u); }
  }
  return sum;
}

fn product(key: Eight, o: u32) -> f32 {
  return dot(query[2u * o], key.a) + dot(query[2u * o + 1u], key.b);
}

// The largest that invocations give, or the sum of it; all of the workgroup come here.
fn together(mine: f32, lane: u32, isSum: bool) -> f32 {
  workgroupBarrier(); // what was there was read
  parts[lane] = mine;
  workgroupBarrier();
  if (lane < 16u) {
    var some = parts[lane];
    for (var i = lane + 16u; i < LANES; i += 16u) {
      some = select(max(some, parts[i]), some + parts[i], isSum);
    }
    sixteen[lane] = some;
  }
  workgroupBarrier();
  var all = sixteen[0];
  for (var i = 1u; i < 16u; i++) {
    all = select(max(all, sixteen[i]), all + sixteen[i], isSum);
  }
  return all;
}

// Weighted values of eight dimensions, over every `slots`th of `count` positions from `start` on.
fn sumOver(start: u32, count: u32, kvHead: u32, slot: u32, slots: u32, o: u32) -> Eight {
  let eights = HEAD_DIM / 8u;
  let last = count - 1u;
  var sum = Eight(vec4(0.0), vec4(0.0));
  for (var i = slot; i < count; i += 4u * slots) {
    let i1 = i + slots;
    let i2 = i + 2u * slots;
    let i3 = i + 3u * slots;
    let p0 = placeIn(start, start + i);
    let p1 = placeIn(start, start + min(i1, last));
    let p2 = placeIn(start, start + min(i2, last));
    let p3 = placeIn(start, start + min(i3, last));
    let v0 = eight(values[(p0 * KV_HEADS + kvHead) * eights + o]);
    let v1 = eight(values[(p1 * KV_HEADS + kvHead) * eights + o]);
    let v2 = eight(values[(p2 * KV_HEADS + kvHead) * eights + o]);
    let v3 = eight(values[(p3 * KV_HEADS + kvHead) * eights + o]);
    let w0 = weights[i];
    let w1 = select(0.0, weights[min(i1, last)], i1 < count);
    let w2 = select(0.0, weights[min(i2, last)], i2 < count);
    let w3 = select(0.0, weights[min(i3, last)], i3 < count);
    sum.a += w0 * v0.a + w1 * v1.a + w2 * v2.a + w3 * v3.a;
    sum.b += w0 * v0.b + w1 * v1.b + w2 * v2.b + w3 * v3.b;
  }
  return sum;
}

// Dimension e summed up over every `ways`th slot.
fn wayOf(e: u32, way: u32, ways: u32, slots: u32) -> f32 {
  let eights = HEAD_DIM / 8u;
  var sum = 0.0;
  for (var s = way; s < slots; s += ways) { sum += shares[e % 8u * PITCH + s * eights + e / 8u]; }
  return sum;
}

fn summed(e: u32, ways: u32) -> f32 {
  var sum = 0.0;
  for (var way = 0u; way < ways; way++) { sum += parts[way * HEAD_DIM + e]; }
  return sum;
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let head = workgroup.x;
  let token = workgroup.y;
  if (isOthers(token)) { return; }
  let kvHead = (head + HEAD_OFFSET) / GROUP_SIZE;
  let dims = HEAD_DIM / 4u;
  let eights = HEAD_DIM / 8u;
  let position = positionOf(token);
  let start = firstSeen(position);
  let count = min(position + 1u - start, SEEN_MAX);
  if (lane < dims) { query[lane] = SCALE * x[X_START + token * X_STRIDE + head * dims + lane]; }
  if (lane <= (start + count - 1u) / 32u - start / 32u) {
    blocks[lane] = records[tableOf(token) + start / 32u + lane];
  }
  workgroupBarrier();

  for (var base = 0u; base < count; base += LANES / 4u) {
    let p = start + min(base + lane / 4u, count - 1u);
    let at = (placeIn(start, p) * KV_HEADS + kvHead) * eights;
    shares[4u * base + lane] = keyPart(at, lane % 4u);
  }
  workgroupBarrier();
  var top = LOWEST;
  for (var i = lane; i < count; i += LANES) {
    let at = 4u * i;
    let score = capped(shares[at] + shares[at + 1u] + shares[at + 2u] + shares[at + 3u]);
    weights[i] = score;
    top = max(top, score);
  }
  let largest = together(top, lane, false);
  var own = 0.0;
  for (var i = lane; i < count; i += LANES) {
    let weight = exp(weights[i] - largest);
    weights[i] = weight;
    own += weight;
  }
  let divisor = together(own, lane, true);

  let slots = LANES / eights;
  if (lane < slots * eights) {
    let sum = sumOver(start, count, kvHead, lane / eights, slots, lane % eights);
    for (var d = 0u; d < 4u; d++) {
      shares[d * PITCH + lane] = sum.a[d];
      shares[(d + 4u) * PITCH + lane] = sum.b[d];
    }
  }
  workgroupBarrier();
  let ways = LANES / HEAD_DIM;
  let way = lane / HEAD_DIM;
  if (way < ways) { parts[lane] = wayOf(lane % HEAD_DIM, way, ways, slots); }
  workgroupBarrier();
  let isThere = lane < dims;
  let i = head * dims + lane;
  var value = vec4(0.0);
  if (isThere) {
    let e = 4u * lane;
    let low = vec2(summed(e, ways), summed(e + 1u, ways));
    value = vec4(low, summed(e + 2u, ways), summed(e + 3u, ways)) / divisor;
    to[TO_START + token * TO_STRIDE + i] = value;
  }
  if (TO_INT8) { putInt8(value, lane, token, HEADS * HEAD_DIM / 32u, i, isThere); }
}
