// Queries and keys turned by their positions, in place and into the cache; values into the cache.
// Heads of queries and of keys may be normalised before, or behind where NORMS_TURNED: see
// head_norm.wgsl; those of values without weights.
//
// Pair (a, b) becomes (a·cos − b·sin, a·sin + b·cos): neighbours (2i, 2i + 1), or
// (i, i + ROTATED / 2) where IS_NEOX. Of a head ROTATED dimensions are turned, maybe none.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl; f32 cosines, then sines, from ROPE_START, of queries from QUERY_START | [tokens, RECORD] |
// | x | f32; heads of queries, keys, values side by side | [tokens, X_STRIDE], from X_START |
// | keys | cache: pairs of f16, or f32 where IS_F32 | [places, KV_HEADS, HEAD_DIM] |
// | values | likewise | [places, KV_HEADS, VALUE_DIM] |
// | queryWeight | f32 | [HEAD_DIM], or [HEADS, HEAD_DIM], twice if QUERY_BIAS; if QUERY_NORM |
// | keyWeight | f32 | [HEAD_DIM], or [KV_HEADS, HEAD_DIM], twice if KEY_BIAS; if KEY_NORM |
//
// A workgroup of 64 makes one head of one token: it reads all of it before it writes any.
// Grid: [HEADS + 2·KV_HEADS, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> values: array<u32>;
@group(0) @binding(5) var<storage, read> queryWeight: array<f32>;
@group(0) @binding(6) var<storage, read> keyWeight: array<f32>;

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32; // even, at most 512
override VALUE_DIM: u32; // likewise
override ROTATED: u32 = 0;
override IS_NEOX: bool = false;
override KEYS_TURNED: bool = true;
override IS_F32: bool = false;
override ROPE_START: u32 = 0;
override QUERY_START: u32 = 0;
override X_START: u32;
override X_STRIDE: u32;
override QUERY_NORM: u32 = 0; // 0: none, 1: all heads have the same weights, 2: each has its own
override KEY_NORM: u32 = 0;
override QUERY_BIAS: bool = false; // biases of heads with weights of their own lie behind these
override KEY_BIAS: bool = false;
override VALUE_NORM: bool = false;
override NORMS_TURNED: bool = false;
override IS_LAYER: bool = false;
override EPSILON: f32 = 0.0;

const PLAIN = 3u; // a norm without weights

// How a head is normalised.
struct Norm { kind: u32, isKey: bool, weights: u32, mean: f32, factor: f32 }

// None: elements are as they are.
fn without(isKey: bool) -> Norm { return Norm(0u, isKey, 0u, 0.0, 1.0); }

fn normOf(slot: u32, head: u32, token: u32, lane: u32) -> Norm {
  let isKey = slot >= HEADS;
  let width = select(HEAD_DIM, VALUE_DIM, slot >= HEADS + KV_HEADS);
  var norm = without(isKey);
  norm.kind = select(QUERY_NORM, KEY_NORM, isKey);
  if (slot >= HEADS + KV_HEADS) { norm.kind = select(0u, PLAIN, VALUE_NORM); }
  if (norm.kind == 0u) { return norm; }
  if (norm.kind == 2u) { norm.weights = select(slot, slot - HEADS, isKey) * HEAD_DIM; }
  if (IS_LAYER) {
    var sum = 0.0;
    for (var i = lane; i < width; i += LANES) { sum += normalized(head, token, i, norm); }
    norm.mean = sumOf(sum, lane) / f32(width);
  }
  var squares = 0.0;
  for (var i = lane; i < width; i += LANES) {
    let value = normalized(head, token, i, norm) - norm.mean;
    squares += value * value;
  }
  norm.factor = inverseSqrt(sumOf(squares, lane) / f32(width) + EPSILON);
  return norm;
}

// Element i of a head at `head`, as its norm reads it.
fn normalized(head: u32, token: u32, i: u32, norm: Norm) -> f32 {
  if (NORMS_TURNED && norm.kind != PLAIN) { return turned(head, token, i, without(norm.isKey)); }
  return x[head + i];
}

// Element i, which is `value`, as the norm leaves it.
fn normalize(value: f32, i: u32, norm: Norm) -> f32 {
  if (norm.kind == 0u) { return value; }
  let normed = (value - norm.mean) * norm.factor;
  if (norm.kind == PLAIN) { return normed; }
  let at = norm.weights + i;
  if (norm.isKey) {
    if (KEY_BIAS) { return normed * keyWeight[at] + keyWeight[KV_HEADS * HEAD_DIM + at]; }
    return normed * keyWeight[at];
  }
  if (QUERY_BIAS) { return normed * queryWeight[at] + queryWeight[HEADS * HEAD_DIM + at]; }
  return normed * queryWeight[at];
}

// Element i of a head, normalised, then turned.
fn turned(head: u32, token: u32, i: u32, norm: Norm) -> f32 {
  if (i >= ROTATED || (norm.isKey && !KEYS_TURNED)) { return valueAt(head, i, norm); }
  let half = ROTATED / 2u;
  let pair = select(i / 2u, i % max(half, 1u), IS_NEOX);
  let isSecond = select(i % 2u == 1u, i >= half, IS_NEOX);
  let a = valueAt(head, select(2u * pair, pair, IS_NEOX), norm);
  let b = valueAt(head, select(2u * pair + 1u, pair + half, IS_NEOX), norm);
  let at = token * RECORD + select(QUERY_START, ROPE_START, norm.isKey) + pair;
  let cosine = bitcast<f32>(records[at]);
  let sine = bitcast<f32>(records[at + half]);
  return select(a * cosine - b * sine, a * sine + b * cosine, isSecond);
}

fn valueAt(head: u32, i: u32, norm: Norm) -> f32 { return normalize(x[head + i], i, norm); }

// Element i, both done in the order of the model.
fn finished(head: u32, token: u32, i: u32, norm: Norm) -> f32 {
  if (NORMS_TURNED) { return normalize(turned(head, token, i, without(norm.isKey)), i, norm); }
  return turned(head, token, i, norm);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let slot = workgroup.x;
  let token = workgroup.y;
  let isValue = slot >= HEADS + KV_HEADS;
  let width = select(HEAD_DIM, VALUE_DIM, isValue);
  let others = HEADS + KV_HEADS; // as long as keys
  let head = X_START + token * X_STRIDE + min(slot, others) * HEAD_DIM +
    max(slot, others) * VALUE_DIM - others * VALUE_DIM;
  let norm = normOf(slot, head, token, lane);
  var pairs: array<vec2<f32>, 4>;
  for (var i = 0u; i < 4u; i++) {
    let first = 2u * (lane + i * LANES);
    if (first < width) {
      if (isValue) {
        pairs[i] = vec2(valueAt(head, first, norm), valueAt(head, first + 1u, norm));
      } else {
        pairs[i] = vec2(
          finished(head, token, first, norm),
          finished(head, token, first + 1u, norm),
        );
      }
    }
  }
  storageBarrier();
  let kvHead = (slot - HEADS) % max(KV_HEADS, 1u);
  let row = (placeOfToken(token) * KV_HEADS + kvHead) * width;
  for (var i = 0u; i < 4u; i++) {
    let first = 2u * (lane + i * LANES);
    if (first >= width) { return; }
    let pair = pairs[i];
    if (slot < HEADS) {
      x[head + first] = pair.x;
      x[head + first + 1u] = pair.y;
    } else if (IS_F32) {
      let words = bitcast<vec2<u32>>(pair);
      if (isValue) {
        values[row + first] = words.x;
        values[row + first + 1u] = words.y;
      } else {
        keys[row + first] = words.x;
        keys[row + first + 1u] = words.y;
      }
    } else {
      let word = pack2x16float(pair);
      if (isValue) { values[(row + first) / 2u] = word; } else { keys[(row + first) / 2u] = word; }
    }
  }
}
