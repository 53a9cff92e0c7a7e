// Part of an attention shader that takes a chunk of positions for few tokens, of caches of f16 and
// heads by 8 dimensions: everything that a chunk reads is asked for at once. `keys`, `values` (8 f16
// each), `x` and `keep`, which takes what a chunk leaves, are the shader's.
//
// Rows of a key/value head are (token, query head of its group), tokens outermost. A workgroup of
// 128 makes 4 rows over CHUNK positions, BLOCK at a time: HEAD_DIM / 8 neighbours share a position,
// of which each invocation has four. It leaves, [tokens, HEADS, CHUNKS, HEAD_DIM / 4 + 1] vec4s, a
// chunk's sum, and a vec4 (maximum, divisor).

override CHUNK: u32; // positions
override CHUNKS: u32;

const NOWHERE = 0xffffffffu; // a row that there is not
// Products by (part of a head, row, position), then sums by (slot, four of dimensions).
var<workgroup> parts: array<vec4<f32>, 520>;
var<workgroup> scores: array<vec4<f32>, 32>; // [4 rows, BLOCK / 4]
var<workgroup> weights: array<f32, 128>; // [4 rows, BLOCK]
var<workgroup> factors: array<f32, 4>; // of what was summed up before, by row

// Eight dimensions.
struct Eight { a: vec4<f32>, b: vec4<f32> }

fn eight(words: vec4<u32>) -> Eight {
  let a = vec4(unpack2x16float(words.x), unpack2x16float(words.y));
  return Eight(a, vec4(unpack2x16float(words.z), unpack2x16float(words.w)));
}

// Dimensions 8 · place … of row j's query, of rows below `rows`.
fn queryAt(j: u32, rows: u32, kvHead: u32, place: u32) -> Eight {
  let head = headOf(j, kvHead);
  if (j >= rows || head >= HEADS) { return Eight(vec4(0.0), vec4(0.0)); }
  let at = X_START + tokenOf(j) * X_STRIDE + head * (HEAD_DIM / 4u) + 2u * place;
  return Eight(SCALE * x[at], SCALE * x[at + 1u]);
}

fn product(query: Eight, key: Eight) -> f32 {
  return dot(query.a, key.a) + dot(query.b, key.b);
}

fn scoreOf(sum: f32, slope: f32, position: u32, p: u32, end: u32) -> f32 {
  if (p >= end || p > lastSeen(position) || p < firstSeen(position)) { return LOWEST; }
  return fallen(capped(sum), slope, position, p);
}

fn setPart(at: u32, value: f32) { parts[at / 4u][at % 4u] = value; }

fn partAt(at: u32) -> f32 { return parts[at / 4u][at % 4u]; }

// Sums up two rows over slots, and leaves them where `at` says. Of a slot first the lower fours of
// all eights of dimensions lie there, then the higher ones: neighbours use neighbouring memory.
fn leave(r: Eight, s: Eight, lane: u32, isIn: bool, at: vec2<u32>, slots: u32) {
  let places = HEAD_DIM / 8u;
  let dims = HEAD_DIM / 4u;
  let start = lane / places * dims + lane % places;
  let second = slots * dims;
  workgroupBarrier();
  if (isIn) {
    parts[start] = r.a;
    parts[start + places] = r.b;
    parts[second + start] = s.a;
    parts[second + start + places] = s.b;
  }
  workgroupBarrier();
  let i = lane % 64u; // of at most 64 fours of dimensions
  let isSecond = lane >= 64u;
  let row = select(at.x, at.y, isSecond);
  if (i >= dims || row == NOWHERE) { return; }
  let begin = select(0u, second, isSecond) + i / 2u + i % 2u * places;
  var sum = vec4(0.0);
  for (var slot = 0u; slot < slots; slot += 4u) {
    let own = begin + slot * dims;
    sum += parts[own] + parts[own + dims] + parts[own + 2u * dims] + parts[own + 3u * dims];
  }
  keep(row + i, sum);
}

// Where row j's chunk goes, of rows below `rows`.
fn placeOf(j: u32, rows: u32, kvHead: u32, chunk: u32) -> u32 {
  let head = headOf(j, kvHead);
  if (j >= rows || head >= HEADS) { return NOWHERE; }
  return ((tokenOf(j) * HEADS + head) * CHUNKS + chunk) * (HEAD_DIM / 4u + 1u);
}

// Whether there is such a chunk: grids are padded, and as long as the longest sequence.
fn hasChunk(workgroup: vec3<u32>) -> bool {
  let token = tokenOf(firstRowOf(workgroup.x, 4u));
  return !isOthers(token) && workgroup.z * CHUNK < contextOf(token);
}

fn attendChunk(workgroup: vec3<u32>, lane: u32) {
  let chunkStart = workgroup.z * CHUNK;
  let kvHead = workgroup.y;
  let row = firstRowOf(workgroup.x, 4u);
  let token = tokenOf(row);
  let rows = endOfRows(row);
  let table = tableOf(token);
  let position = positionOf(token);
  let places = HEAD_DIM / 8u;
  let place = lane % places;
  let slots = select(4u, 8u, places <= 16u);
  let slot = lane / places;
  let isIn = slot < slots;
  let block = 4u * slots; // positions
  let products = 4u * block + 1u; // one more, for the banks of memory
  let q0 = queryAt(row, rows, kvHead, place);
  let q1 = queryAt(row + 1u, rows, kvHead, place);
  let q2 = queryAt(row + 2u, rows, kvHead, place);
  let q3 = queryAt(row + 3u, rows, kvHead, place);

  let lastRow = min(row + 3u, rows - 1u);
  let end = min(lastSeen(position + tokenOf(lastRow) - token) + 1u, chunkStart + CHUNK);
  let start = max(chunkStart, firstSeen(position));

  var s0 = Eight(vec4(0.0), vec4(0.0));
  var s1 = s0;
  var s2 = s0;
  var s3 = s0;
  let r = lane / block;
  var divisor = 0.0; // of row r, this invocation's share
  var largest = LOWEST; // of row r
  for (var base = start; base < end; base += block) {
    let last = end - 1u;
    let at0 = (placeAt(table, min(base + slot, last)) * KV_HEADS + kvHead) * places + place;
    let at1 = (placeAt(table, min(base + slots + slot, last)) * KV_HEADS + kvHead) * places + place;
    let at2 = (placeAt(table, min(base + 2u * slots + slot, last)) * KV_HEADS + kvHead) * places + place;
    let at3 = (placeAt(table, min(base + 3u * slots + slot, last)) * KV_HEADS + kvHead) * places + place;
    let k0 = eight(keys[at0]);
    let k1 = eight(keys[at1]);
    let k2 = eight(keys[at2]);
    let k3 = eight(keys[at3]);
    let v0 = eight(values[at0]);
    let v1 = eight(values[at1]);
    let v2 = eight(values[at2]);
    let v3 = eight(values[at3]);
    if (isIn) {
      let into = place * products + slot;
      setPart(into, product(q0, k0));
      setPart(into + slots, product(q0, k1));
      setPart(into + 2u * slots, product(q0, k2));
      setPart(into + 3u * slots, product(q0, k3));
      setPart(into + block, product(q1, k0));
      setPart(into + block + slots, product(q1, k1));
      setPart(into + block + 2u * slots, product(q1, k2));
      setPart(into + block + 3u * slots, product(q1, k3));
      setPart(into + 2u * block, product(q2, k0));
      setPart(into + 2u * block + slots, product(q2, k1));
      setPart(into + 2u * block + 2u * slots, product(q2, k2));
      setPart(into + 2u * block + 3u * slots, product(q2, k3));
      setPart(into + 3u * block, product(q3, k0));
      setPart(into + 3u * block + slots, product(q3, k1));
      setPart(into + 3u * block + 2u * slots, product(q3, k2));
      setPart(into + 3u * block + 3u * slots, product(q3, k3));
    }
    workgroupBarrier();
    var score = LOWEST;
    if (r < 4u) {
      var sum = 0.0;
      for (var i = 0u; i < places; i += 4u) {
        let at = i * products + lane;
        var four = vec4(partAt(at), 0.0, 0.0, 0.0);
        if (i + 1u < places) { four.y = partAt(at + products); }
        if (i + 2u < places) { four.z = partAt(at + 2u * products); }
        if (i + 3u < places) { four.w = partAt(at + 3u * products); }
        sum += four.x + four.y + four.z + four.w;
      }
      let own = position + tokenOf(row + r) - token;
      score = scoreOf(sum, slopeOf(headOf(row + r, kvHead)), own, base + lane % block, end);
    }
    scores[lane / 4u][lane % 4u] = score;
    workgroupBarrier();
    if (r < 4u) {
      let top = topOf(r, slots);
      let now = max(largest, top);
      let weight = select(exp(score - now), 0.0, score == LOWEST);
      let factor = exp(largest - now); // exp(0) as long as nothing was seen
      weights[lane] = weight;
      divisor = divisor * factor + weight;
      if (lane % block == 0u) { factors[r] = factor; }
      largest = now;
    }
    workgroupBarrier();
    let w0 = select(0u, slot, isIn);
    s0 = added(s0, factors[0], w0, slots, v0, v1, v2, v3);
    s1 = added(s1, factors[1], block + w0, slots, v0, v1, v2, v3);
    s2 = added(s2, factors[2], 2u * block + w0, slots, v0, v1, v2, v3);
    s3 = added(s3, factors[3], 3u * block + w0, slots, v0, v1, v2, v3);
  }
  let chunk = workgroup.z;
  let first = vec2(placeOf(row, rows, kvHead, chunk), placeOf(row + 1u, rows, kvHead, chunk));
  let second = vec2(placeOf(row + 2u, rows, kvHead, chunk), placeOf(row + 3u, rows, kvHead, chunk));
  leave(s0, s1, lane, isIn, first, slots);
  // The same for all.
  if (second.x != NOWHERE || second.y != NOWHERE) { leave(s2, s3, lane, isIn, second, slots); }
  workgroupBarrier();
  scores[lane / 4u][lane % 4u] = divisor;
  workgroupBarrier();
  if (r >= 4u || lane % block != 0u) { return; }
  let at = placeOf(row + r, rows, kvHead, chunk);
  if (at == NOWHERE) { return; }
  var all = vec4(0.0);
  for (var i = 0u; i < slots; i++) { all += scores[r * slots + i]; }
  keep(at + HEAD_DIM / 4u, vec4(largest, all.x + all.y + all.z + all.w, 0.0, 0.0));
}

// The largest score of row r.
fn topOf(r: u32, slots: u32) -> f32 {
  let at = r * slots;
  var top = max(max(scores[at], scores[at + 1u]), max(scores[at + 2u], scores[at + 3u]));
  if (slots == 8u) {
    let more = max(max(scores[at + 4u], scores[at + 5u]), max(scores[at + 6u], scores[at + 7u]));
    top = max(top, more);
  }
  return max(max(top.x, top.y), max(top.z, top.w));
}

// sum · factor + four positions' weights (slots apart, the first one's at `at`) · values.
fn added(
  sum: Eight,
  factor: f32,
  at: u32,
  slots: u32,
  v0: Eight,
  v1: Eight,
  v2: Eight,
  v3: Eight,
) -> Eight {
  let w0 = weights[at];
  let w1 = weights[at + slots];
  let w2 = weights[at + 2u * slots];
  let w3 = weights[at + 3u * slots];
  return Eight(
    factor * sum.a + w0 * v0.a + w1 * v1.a + w2 * v2.a + w3 * v3.a,
    factor * sum.b + w0 * v0.b + w1 * v1.b + w2 * v2.b + w3 * v3.b,
  );
}
