// As attention.wgsl, for heads of more dimensions than it has room for, and for values that are not
// as long as keys, or are the end of keys.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | keys | cache: pairs of f16, or f32 where IS_F32 | [places, KV_HEADS, HEAD_DIM] |
// | values | likewise, each from VALUE_START on | [places, KV_HEADS, VALUE_ROW] vec4s |
// | x | f32; the first OWN vec4s of each head's query | [tokens, X_STRIDE] vec4s, from X_START |
// | rest | f32; what is behind them, if they are not all | [tokens, REST_STRIDE] vec4s, from REST_START |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START; where IS_SPLIT see attention.wgsl |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
// | sinks | f32 | [HEADS], if HAS_SINKS |
//
// Rows of a key/value head are (token, query head of its group), tokens outermost. A workgroup of 128
// makes TILE rows over all positions, or, where IS_SPLIT, over CHUNK of them, a block of the cache at
// a time. Grid: [⌈tokens · GROUP_SIZE / TILE⌉, KV_HEADS, 1 or ⌈positions / CHUNK⌉]; where IS_APART
// [tokens · ⌈GROUP_SIZE / TILE⌉, …].
// Of scores an invocation makes an eighth of the dimensions, of two positions and all rows: eight
// neighbours read what lies side by side. Of sums it makes 4 dimensions of all rows, over every
// SPLITS-th position. Queries are read again for each block: no workgroup has room for them.

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> values: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> rest: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> records: array<u32>;
@group(0) @binding(7) var<storage, read> sinks: array<f32>;

override VALUE_DIM: u32; // at most 512, multiple of 4
override VALUE_ROW: u32; // vec4s from one head's value to the next one's
override VALUE_START: u32 = 0; // vec4s
override SPLITS: u32; // 1, 2, 4 or 8: so many times a value's vec4s are at most 128
override X_HEAD: u32; // vec4s from one head to the next
override OWN: u32; // vec4s
override REST_START: u32 = 0;
override REST_STRIDE: u32 = 0;
override REST_HEAD: u32 = 0;
// Queries are longer at later positions p: by 1 + GROWTH · ln(1 + ⌊(p + GROWTH_FIRST) / GROWTH_LENGTH⌋).
override GROWTH: f32 = 0.0;
override GROWTH_LENGTH: u32 = 1;
override GROWTH_FIRST: u32 = 0;
override IS_SPLIT: bool = false;
override CHUNK: u32 = 4294967295; // positions, by 32
override CHUNKS: u32 = 1;
override TILE: u32 = 8; // rows, 1 to 8
override TO_START: u32 = 0;
override TO_STRIDE: u32 = 0;
override HAS_SINKS: bool = false; // not where IS_SPLIT: attention_combine.wgsl has them then

const BLOCK = 32u; // positions, which have neighbouring places
const SLICES = 8u; // of dimensions
const SLICE = 260u; // from one slice to the next: 4 more than it has, for the banks of memory
var<workgroup> parts: array<f32, 2080>; // [SLICES, 8 rows, BLOCK], then sums [4, 4 rows, 128]
var<workgroup> scores: array<vec4<f32>, 64>; // [8 rows, BLOCK / 4]
var<workgroup> weights: array<vec4<f32>, 64>; // [BLOCK, 8 rows / 4]
var<workgroup> factors: array<vec4<f32>, 2>; // of what was summed up before, by row
var<workgroup> known: array<vec4<f32>, 8>; // of rows: maximum, divisor

// Where the queries of four rows lie, those beyond the last one's once more.
struct Places { own: vec4<u32>, rest: vec4<u32> }

fn placesOf(j: u32, last: u32, kvHead: u32) -> Places {
  let rows = min(vec4(j) + vec4(0u, 1u, 2u, 3u), vec4(last));
  let tokens = vec4(tokenOf(rows.x), tokenOf(rows.y), tokenOf(rows.z), tokenOf(rows.w));
  let heads = min(
    vec4(
      headOf(rows.x, kvHead),
      headOf(rows.y, kvHead),
      headOf(rows.z, kvHead),
      headOf(rows.w, kvHead),
    ),
    vec4(HEADS - 1u),
  );
  return Places(
    X_START + tokens * X_STRIDE + heads * X_HEAD,
    REST_START + tokens * REST_STRIDE + heads * REST_HEAD - OWN,
  );
}

// Dimensions 4 i … of four rows.
fn queriesAt(at: Places, i: u32) -> mat4x4<f32> {
  if (i < OWN) {
    return mat4x4(x[at.own.x + i], x[at.own.y + i], x[at.own.z + i], x[at.own.w + i]);
  }
  return mat4x4(rest[at.rest.x + i], rest[at.rest.y + i], rest[at.rest.z + i], rest[at.rest.w + i]);
}

// Products of four rows with one position.
fn putParts(at: u32, products: vec4<f32>) {
  parts[at] = products.x;
  parts[at + BLOCK] = products.y;
  parts[at + 2u * BLOCK] = products.z;
  parts[at + 3u * BLOCK] = products.w;
}

fn growthAt(position: u32) -> f32 {
  if (GROWTH == 0.0) { return 1.0; }
  return 1.0 + GROWTH * log(f32(1u + (position + GROWTH_FIRST) / GROWTH_LENGTH));
}

// The score of row r at one of the block's positions, p: what the slices come to.
fn scoreOf(r: u32, position: u32, p: u32, end: u32) -> f32 {
  if (p >= end || p > lastSeen(position) || p < firstSeen(position)) { return LOWEST; }
  let at = r * BLOCK + p % BLOCK;
  var sum = 0.0;
  for (var slice = 0u; slice < SLICES; slice++) { sum += parts[slice * SLICE + at]; }
  return capped(SCALE * growthAt(position) * sum);
}

fn topOf(r: u32) -> f32 {
  var top = scores[8u * r];
  for (var i = 1u; i < 8u; i++) { top = max(top, scores[8u * r + i]); }
  return max(max(top.x, top.y), max(top.z, top.w));
}

fn scaled(sums: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(by.x * sums[0], by.y * sums[1], by.z * sums[2], by.w * sums[3]);
}

// What four rows add of a value.
fn weighed(value: vec4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(by.x * value, by.y * value, by.z * value, by.w * value);
}

// A row of four of the tile, for the sum over splits.
fn putSum(r: u32, lane: u32, sum: vec4<f32>) {
  let at = 128u * r + lane;
  parts[at] = sum.x;
  parts[512u + at] = sum.y;
  parts[1024u + at] = sum.z;
  parts[1536u + at] = sum.w;
}

// Leaves rows `first` … of the tile, of which row 0 is row `j` of all, the last one `last`.
fn leave(sums: mat4x4<f32>, first: u32, j: u32, last: u32, kvHead: u32, chunk: u32, lane: u32) {
  workgroupBarrier(); // what was there was read
  putSum(0u, lane, sums[0]);
  putSum(1u, lane, sums[1]);
  putSum(2u, lane, sums[2]);
  putSum(3u, lane, sums[3]);
  workgroupBarrier();
  let dims = VALUE_DIM / 4u;
  for (var i = lane; i < 4u * dims; i += 128u) {
    let r = first + i / dims;
    let head = headOf(j + r, kvHead);
    if (r >= TILE || j + r > last || head >= HEADS) { continue; }
    let begin = i / dims * 128u + i % dims;
    var sum = vec4(0.0);
    for (var at = begin; at < begin + SPLITS * dims; at += dims) {
      sum += vec4(parts[at], parts[512u + at], parts[1024u + at], parts[1536u + at]);
    }
    let token = tokenOf(j + r);
    if (IS_SPLIT) {
      let at = ((token * HEADS + head) * CHUNKS + chunk) * (dims + 1u);
      to[at + i % dims] = sum;
      if (i % dims == 0u) { to[at + dims] = known[r]; }
    } else {
      to[TO_START + token * TO_STRIDE + head * dims + i % dims] = sum / known[r].y;
    }
  }
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let dims = HEAD_DIM / 4u;
  let valueDims = VALUE_DIM / 4u;
  let kvHead = workgroup.y;
  let firstRow = firstRowOf(workgroup.x, TILE);
  let firstToken = tokenOf(firstRow);
  let chunkStart = select(0u, workgroup.z * CHUNK, IS_SPLIT);
  // Grids are padded, and as long as the longest sequence.
  if (isOthers(firstToken) || chunkStart >= contextOf(firstToken)) { return; }
  let last = min(firstRow + TILE, endOfRows(firstRow)) - 1u;
  let table = tableOf(firstToken);
  let firstPosition = positionOf(firstToken);
  let low = placesOf(firstRow, last, kvHead);
  let high = placesOf(firstRow + 4u, last, kvHead);

  var end = lastSeen(firstPosition + tokenOf(last) - firstToken) + 1u;
  if (IS_SPLIT) { end = min(end, chunkStart + CHUNK); }
  let start = max(chunkStart, firstSeen(firstPosition));

  // Rows lane / 32 and four more: what this invocation knows of them, and its share of the divisors.
  let r = lane / BLOCK;
  let positions = firstPosition - firstToken +
    vec2(tokenOf(min(firstRow + r, last)), tokenOf(min(firstRow + r + 4u, last)));
  var largest = vec2(LOWEST);
  var divisors = vec2(0.0);
  if (HAS_SINKS) {
    largest.x = sinks[min(headOf(min(firstRow + r, last), kvHead), HEADS - 1u)];
    largest.y = sinks[min(headOf(min(firstRow + r + 4u, last), kvHead), HEADS - 1u)];
    if (lane % BLOCK == 0u) { divisors = vec2(1.0); }
  }

  let slice = lane % SLICES;
  let pair = lane / SLICES;
  let split = lane / valueDims;
  var lowSums = mat4x4<f32>();
  var highSums = mat4x4<f32>();
  for (var base = start - start % BLOCK; base < end; base += BLOCK) {
    let place = placeAt(table, base);
    let lastPosition = min(end - base, BLOCK) - 1u;
    let a = ((place + min(pair, lastPosition)) * KV_HEADS + kvHead) * dims;
    let b = ((place + min(pair + 16u, lastPosition)) * KV_HEADS + kvHead) * dims;
    var lowA = vec4(0.0);
    var lowB = lowA;
    var highA = lowA;
    var highB = lowA;
    for (var i = slice; i < dims; i += SLICES) {
      let keyA = keyAt(a + i);
      let keyB = keyAt(b + i);
      let lows = queriesAt(low, i);
      lowA += keyA * lows;
      lowB += keyB * lows;
      if (TILE > 4u) {
        let highs = queriesAt(high, i);
        highA += keyA * highs;
        highB += keyB * highs;
      }
    }
    let part = slice * SLICE + pair;
    putParts(part, lowA);
    putParts(part + 16u, lowB);
    putParts(part + 4u * BLOCK, highA);
    putParts(part + 4u * BLOCK + 16u, highB);
    workgroupBarrier();

    // The running softmax: an invocation a position, of two rows.
    let p = base + lane % BLOCK;
    let own = vec2(scoreOf(r, positions.x, p, end), scoreOf(r + 4u, positions.y, p, end));
    scores[lane / 4u][lane % 4u] = own.x;
    scores[BLOCK + lane / 4u][lane % 4u] = own.y;
    workgroupBarrier();
    let now = max(largest, vec2(topOf(r), topOf(r + 4u)));
    let weight = select(exp(own - now), vec2(0.0), own == vec2(LOWEST));
    let factor = exp(largest - now); // exp(0) as long as nothing was seen
    weights[2u * (lane % BLOCK)][r] = weight.x;
    weights[2u * (lane % BLOCK) + 1u][r] = weight.y;
    if (lane % BLOCK == 0u) {
      factors[0u][r] = factor.x;
      factors[1u][r] = factor.y;
    }
    divisors = divisors * factor + weight;
    largest = now;
    workgroupBarrier();

    lowSums = scaled(lowSums, factors[0u]);
    highSums = scaled(highSums, factors[1u]);
    if (split < SPLITS) {
      let first = (place * KV_HEADS + kvHead) * VALUE_ROW + VALUE_START + lane % valueDims;
      let stride = KV_HEADS * VALUE_ROW;
      for (var q = split; q < BLOCK; q += 4u * SPLITS) {
        // Asked for at once.
        let v0 = valueAt(first + min(q, lastPosition) * stride);
        let v1 = valueAt(first + min(q + SPLITS, lastPosition) * stride);
        let v2 = valueAt(first + min(q + 2u * SPLITS, lastPosition) * stride);
        let v3 = valueAt(first + min(q + 3u * SPLITS, lastPosition) * stride);
        let w = 2u * q;
        lowSums += weighed(v0, weights[w]) + weighed(v1, weights[w + 2u * SPLITS]) +
          weighed(v2, weights[w + 4u * SPLITS]) + weighed(v3, weights[w + 6u * SPLITS]);
        if (TILE > 4u) {
          highSums += weighed(v0, weights[w + 1u]) + weighed(v1, weights[w + 2u * SPLITS + 1u]) +
            weighed(v2, weights[w + 4u * SPLITS + 1u]) + weighed(v3, weights[w + 6u * SPLITS + 1u]);
        }
      }
    }
  }

  workgroupBarrier(); // scores were read
  scores[lane / 4u][lane % 4u] = divisors.x;
  scores[BLOCK + lane / 4u][lane % 4u] = divisors.y;
  workgroupBarrier();
  if (lane % BLOCK == 0u) {
    known[r] = vec4(largest.x, sumOf(r), 0.0, 0.0);
    known[r + 4u] = vec4(largest.y, sumOf(r + 4u), 0.0, 0.0);
  }
  // Who leaves these waits.
  leave(lowSums, 0u, firstRow, last, kvHead, workgroup.z, lane);
  if (TILE > 4u) { leave(highSums, 4u, firstRow, last, kvHead, workgroup.z, lane); }
}

// The sum of row r's shares of its divisor.
fn sumOf(r: u32) -> f32 {
  var sum = scores[8u * r];
  for (var i = 1u; i < 8u; i++) { sum += scores[8u * r + i]; }
  return sum.x + sum.y + sum.z + sum.w;
}
