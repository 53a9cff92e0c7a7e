// Queries, keys and values of tokens of a sequence each: (W · x + bias)[r], rows of heads side by side.
// Queries and keys are turned by the token's position; queries go to `to`, keys and values into the
// cache.
//
// Pair (a, b) becomes (a·cos − b·sin, a·sin + b·cos): neighbours (2i, 2i + 1), or
// (i, i + ROTATED / 2) where IS_NEOX. Of a head ROTATED dimensions are turned, maybe none. Without
// keys and values it is a product like any other.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes, groups | weights | see the part with the product |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | tokens' rows | see the part with the product |
// | records | see parts/sequences.wgsl; f32 cosines, then sines, from ROPE_START, of queries from QUERY_START | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE], from TO_START: row 0 of the first head that there is |
// | keys | cache: pairs of f16, or f32 where IS_F32 | [places, KV_HEADS, HEAD_DIM] |
// | values | likewise | [places, KV_HEADS, VALUE_DIM] |
//
// A workgroup makes 4 rows, which are two pairs that are turned, for TOKENS tokens: ROW_LANES
// neighbouring invocations a row. Grid: [rows / 4, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> records: array<u32>;
@group(0) @binding(6) var<storage, read_write> to: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<u32>;
@group(0) @binding(8) var<storage, read_write> values: array<u32>;

override HEADS: u32; // of queries
override KV_HEADS: u32 = 0;
override HEAD_DIM: u32; // by 4
override VALUE_DIM: u32; // by 4
override FIRST_HEAD: u32 = 0; // that row 0 belongs to, of queries, keys and values in one row
override ROTATED: u32 = 0; // even; by 4 where IS_NEOX
override IS_NEOX: bool = false;
override KEYS_TURNED: bool = true;
override IS_F32: bool = false;
override ROPE_START: u32 = 0;
override QUERY_START: u32 = 0;

var<workgroup> byRow: array<f32, 4>;

// The two pairs of a head that a workgroup makes: dimensions low, low + 1 and high, high + 1.
struct Place { slot: u32, low: u32, high: u32, turns: vec2<bool> }

// The first row of a head, or of a value.
fn firstRowOf(slot: u32) -> u32 {
  if (VALUE_DIM == HEAD_DIM) { return (slot - FIRST_HEAD) * HEAD_DIM; }
  let others = max(HEADS + KV_HEADS, FIRST_HEAD); // before that all are as long as keys
  return (min(slot, others) - FIRST_HEAD) * HEAD_DIM + (max(slot, others) - others) * VALUE_DIM;
}

fn placeOf(unit: u32) -> Place {
  let units = HEAD_DIM / 4u;
  let slot = FIRST_HEAD + unit / units;
  let i = unit % units;
  if (VALUE_DIM != HEAD_DIM && slot >= HEADS + KV_HEADS) {
    let others = max(HEADS + KV_HEADS, FIRST_HEAD);
    let behind = unit - (others - FIRST_HEAD) * units;
    let first = 4u * (behind % (VALUE_DIM / 4u));
    return Place(others + behind / (VALUE_DIM / 4u), first, first + 2u, vec2(false));
  }
  let turning = select(HEADS, HEADS + KV_HEADS, KEYS_TURNED);
  let isTurned = slot < turning && 4u * i < ROTATED;
  if (isTurned && IS_NEOX) {
    return Place(slot, 2u * i, ROTATED / 2u + 2u * i, vec2(true));
  }
  return Place(slot, 4u * i, 4u * i + 2u, vec2(isTurned, isTurned && 4u * i + 2u < ROTATED));
}

struct Angles { cosines: vec2<f32>, sines: vec2<f32> }

fn anglesOf(token: u32, there: Place, unit: u32) -> Angles {
  let turns = there.turns;
  let start = select(ROPE_START, QUERY_START, there.slot < HEADS);
  let at = token * RECORD + start + 2u * (unit % (HEAD_DIM / 4u));
  var angles = Angles(vec2(1.0), vec2(0.0));
  if (turns.x) {
    angles.cosines.x = bitcast<f32>(records[at]);
    angles.sines.x = bitcast<f32>(records[at + ROTATED / 2u]);
  }
  if (turns.y) {
    angles.cosines.y = bitcast<f32>(records[at + 1u]);
    angles.sines.y = bitcast<f32>(records[at + ROTATED / 2u + 1u]);
  }
  return angles;
}

// v = the values at both places.
fn turned(v: vec4<f32>, angles: Angles) -> vec4<f32> {
  let cosines = angles.cosines;
  let sines = angles.sines;
  let a = select(v.xz, v.xy, IS_NEOX);
  let b = select(v.yw, v.zw, IS_NEOX);
  let first = a * cosines - b * sines;
  let second = a * sines + b * cosines;
  if (IS_NEOX) { return vec4(first, second); }
  return vec4(first.x, second.x, first.y, second.y);
}

fn keep(v: vec4<f32>, at: u32, there: Place) {
  let isValue = there.slot >= HEADS + KV_HEADS;
  let head = (there.slot - HEADS) % max(KV_HEADS, 1u);
  let row = (at * KV_HEADS + head) * select(HEAD_DIM, VALUE_DIM, isValue);
  if (IS_F32) {
    let words = bitcast<vec4<u32>>(v);
    store(isValue, row + there.low, words.x);
    store(isValue, row + there.low + 1u, words.y);
    store(isValue, row + there.high, words.z);
    store(isValue, row + there.high + 1u, words.w);
  } else {
    store(isValue, (row + there.low) / 2u, pack2x16float(v.xy));
    store(isValue, (row + there.high) / 2u, pack2x16float(v.zw));
  }
}

fn store(isValue: bool, at: u32, word: u32) {
  if (isValue) { values[at] = word; } else { keys[at] = word; }
}

// Of those that are multiplied: where SCORED the last ones, whose rows are the first ones of `to`.
fn firstToken() -> u32 { return select(0u, step.tokens - step.scored, SCORED); }

fn run(workgroup: vec3<u32>, lane: u32, place: u32, size: u32) {
  let unit = workgroup.x;
  let there = placeOf(unit);
  let own = rowOf(lane);
  let dimension = select(there.low, there.high, own >= 2u) + own % 2u;
  let row = firstRowOf(there.slot) + dimension;
  let first = firstToken() + workgroup.y * TOKENS;
  let last = step.tokens - 1u;
  // Asked for before it is needed.
  var angles = anglesOf(first, there, unit);
  var keptAt = placeOfToken(first);
  gatherSquares(first, last, lane);
  let mine = sumsFrom(row * ROW_PIECES, first, last, lane);
  for (var t = 0u; t < TOKENS && first + t <= last; t++) {
    let token = first + t;
    let sums = sumUp(vec2(ofToken(mine, t), 0.0), lane, place, size);
    if (slotOf(lane) == 0u) { byRow[own] = withBias(row, factorOf(t) * sums.x); }
    workgroupBarrier();
    if (lane == 0u) {
      finish(turned(vec4(byRow[0], byRow[1], byRow[2], byRow[3]), angles), token, there, keptAt);
    }
    if (TOKENS > 1u) {
      workgroupBarrier(); // what is shared was read
      angles = anglesOf(min(token + 1u, last), there, unit);
      keptAt = placeOfToken(min(token + 1u, last));
    }
  }
}

fn finish(v: vec4<f32>, token: u32, there: Place, keptAt: u32) {
  if (there.slot >= HEADS) {
    keep(v, keptAt, there);
    return;
  }
  let at = TO_START + (token - firstToken()) * TO_STRIDE + (there.slot - FIRST_HEAD) * HEAD_DIM;
  to[at + there.low] = v.x;
  to[at + there.low + 1u] = v.y;
  to[at + there.high] = v.z;
  to[at + there.high + 1u] = v.w;
}
