// As attention.wgsl for one token that sees at most 1024 positions, caches of f16 and heads by 8
// dimensions: all of them in one dispatch. The same in 8 bits where TO_INT8.
//
// | binding | what | shape |
// |---|---|---|
// | step | where the token is | – |
// | keys | cache, 8 f16 each | [positions, KV_HEADS, HEAD_DIM / 8] vec4<u32> |
// | values | likewise | |
// | x | f32 queries, heads side by side | [X_STRIDE] vec4s, from X_START |
// | to | f32 | [HEADS · HEAD_DIM] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [12 · HEADS · HEAD_DIM / 32] |
//
// A workgroup of 512 (LANES) makes 4 rows, query heads of a group. Scores: 4 neighbours share a
// position, of which each has every fourth eight of dimensions. Values: HEAD_DIM / 8 neighbours share
// a position.
// Grid: [⌈GROUP_SIZE / 4⌉, KV_HEADS].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> int8: array<u32>;

override TO_START: u32; // vec4s
override TO_INT8: bool = false;

const BLOCK = 128u; // positions whose scores are made at a time: LANES / 4
var<workgroup> queries: array<vec4<f32>, 256>; // [4 rows, HEAD_DIM / 4]
// Of four rows by position; then a row's sums by slot.
var<workgroup> weights: array<vec4<f32>, 1024>;
var<workgroup> parts: array<vec4<f32>, 512>;
var<workgroup> sixteen: array<vec4<f32>, 16>;

// Products of four rows with eight dimensions of a key.
fn products(key: Eight, o: u32) -> vec4<f32> {
  let dims = HEAD_DIM / 4u;
  let at = 2u * o;
  return vec4(
    dot(queries[at], key.a) + dot(queries[at + 1u], key.b),
    dot(queries[dims + at], key.a) + dot(queries[dims + at + 1u], key.b),
    dot(queries[2u * dims + at], key.a) + dot(queries[2u * dims + at + 1u], key.b),
    dot(queries[3u * dims + at], key.a) + dot(queries[3u * dims + at + 1u], key.b),
  );
}

// What four rows' products come to over this invocation's part of a key that begins at `at`.
fn keyPart(at: u32, quarter: u32) -> vec4<f32> {
  let eights = HEAD_DIM / 8u;
  var sum = vec4(0.0);
  for (var o = quarter; o < eights; o += 16u) {
    // All four are asked for at once; what is beyond the last one counts nothing.
    let last = eights - 1u;
    let k0 = eight(keys[at + o]);
    let k1 = eight(keys[at + min(o + 4u, last)]);
    let k2 = eight(keys[at + min(o + 8u, last)]);
    let k3 = eight(keys[at + min(o + 12u, last)]);
    sum += products(k0, o);
    if (o + 4u < eights) { sum += products(k1, o + 4u); }
    if (o + 8u < eights) { sum += products(k2, o + 8u); }
    if (o + 12u < eights) { sum += products(k3, o + 12u); }
  }
  return sum;
}

// The largest that invocations give, or the sum of it; all of the workgroup come here.
fn together(mine: vec4<f32>, lane: u32, isSum: bool) -> vec4<f32> {
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

// Sums a row up over slots: afterwards `parts` has it from r · ways · dims on, in `ways` shares.
fn leave(sum: Eight, r: u32, slot: u32, slots: u32, lane: u32) {
  let dims = HEAD_DIM / 4u;
  let ways = BLOCK / dims;
  workgroupBarrier(); // what was there was read
  if (slot < slots) {
    let at = slot * dims + 2u * (lane % (HEAD_DIM / 8u));
    weights[at] = sum.a;
    weights[at + 1u] = sum.b;
  }
  workgroupBarrier();
  if (lane >= ways * dims) { return; }
  var share = vec4(0.0);
  for (var s = lane / dims; s < slots; s += ways) { share += weights[s * dims + lane % dims]; }
  parts[r * ways * dims + lane] = share;
}

// sum + weights of row r · values.
fn added(sum: Eight, r: u32, w: mat4x4<f32>, v0: Eight, v1: Eight, v2: Eight, v3: Eight) -> Eight {
  return Eight(
    sum.a + w[0][r] * v0.a + w[1][r] * v1.a + w[2][r] * v2.a + w[3][r] * v3.a,
    sum.b + w[0][r] * v0.b + w[1][r] * v1.b + w[2][r] * v2.b + w[3][r] * v3.b,
  );
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let kvHead = workgroup.y;
  let firstRow = 4u * workgroup.x;
  let dims = HEAD_DIM / 4u;
  let eights = HEAD_DIM / 8u;
  if (lane < 4u * dims) {
    let j = firstRow + lane / dims;
    let head = headOf(j, kvHead);
    var query = vec4(0.0);
    if (j < GROUP_SIZE && head < HEADS) { query = SCALE * x[X_START + head * dims + lane % dims]; }
    queries[lane] = query;
  }
  workgroupBarrier();

  let start = firstSeen(step.position);
  let count = min(step.position + 1u - start, 1024u);
  var top = vec4(LOWEST);
  for (var base = 0u; base < count; base += BLOCK) {
    let p = start + min(base + lane / 4u, count - 1u);
    let sum = keyPart((p * KV_HEADS + kvHead) * eights, lane % 4u);
    workgroupBarrier(); // sums of the turn before were read
    parts[lane] = sum;
    workgroupBarrier();
    if (lane < BLOCK && base + lane < count) {
      let all = parts[4u * lane] + parts[4u * lane + 1u] + parts[4u * lane + 2u] +
        parts[4u * lane + 3u];
      let score = vec4(capped(all.x), capped(all.y), capped(all.z), capped(all.w));
      weights[base + lane] = score;
      top = max(top, score);
    }
  }
  let largest = together(top, lane, false);
  var own = vec4(0.0);
  for (var i = lane; i < count; i += LANES) {
    let weight = exp(weights[i] - largest);
    weights[i] = weight;
    own += weight;
  }
  let divisor = together(own, lane, true);

  let slots = LANES / eights;
  let slot = lane / eights;
  var s0 = Eight(vec4(0.0), vec4(0.0));
  var s1 = s0;
  var s2 = s0;
  var s3 = s0;
  if (slot < slots) {
    let last = count - 1u;
    for (var i = slot; i < count; i += 4u * slots) {
      let i1 = i + slots;
      let i2 = i + 2u * slots;
      let i3 = i + 3u * slots;
      let o = lane % eights;
      let v0 = eight(values[((start + i) * KV_HEADS + kvHead) * eights + o]);
      let v1 = eight(values[((start + min(i1, last)) * KV_HEADS + kvHead) * eights + o]);
      let v2 = eight(values[((start + min(i2, last)) * KV_HEADS + kvHead) * eights + o]);
      let v3 = eight(values[((start + min(i3, last)) * KV_HEADS + kvHead) * eights + o]);
      let w = mat4x4(
        weights[i],
        select(vec4(0.0), weights[min(i1, last)], i1 < count),
        select(vec4(0.0), weights[min(i2, last)], i2 < count),
        select(vec4(0.0), weights[min(i3, last)], i3 < count),
      );
      s0 = added(s0, 0u, w, v0, v1, v2, v3);
      s1 = added(s1, 1u, w, v0, v1, v2, v3);
      s2 = added(s2, 2u, w, v0, v1, v2, v3);
      s3 = added(s3, 3u, w, v0, v1, v2, v3);
    }
  }
  leave(s0, 0u, slot, slots, lane);
  leave(s1, 1u, slot, slots, lane);
  leave(s2, 2u, slot, slots, lane);
  leave(s3, 3u, slot, slots, lane);
  workgroupBarrier();

  let r = min(lane / dims, 3u);
  let head = headOf(firstRow + r, kvHead);
  let isThere = lane < 4u * dims && firstRow + r < GROUP_SIZE && head < HEADS;
  let i = head * dims + lane % dims;
  var value = vec4(0.0);
  if (isThere) {
    let ways = BLOCK / dims;
    for (var s = 0u; s < ways; s++) { value += parts[(r * ways + s) * dims + lane % dims]; }
    value /= divisor[r];
    to[TO_START + i] = value;
  }
  if (TO_INT8) { putInt8(value, lane, 0u, HEADS * HEAD_DIM / 32u, i, isThere); }
}
