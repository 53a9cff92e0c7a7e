// The best logits of a token, and the id that a sampler would take of them: penalties, biases and
// grammars it does not know. Whoever reads the candidates chooses once more, exactly; this choice
// is what the next token is computed of meanwhile.
//
// | binding | what | shape |
// |---|---|---|
// | choice | the token's number and the sampler's settings: step_chain.ts | – |
// | logits | bits of f32 | [WIDTH], from X_START |
// | maxima | keys by choose_maxima.wgsl | [PARTS, LANES] |
// | chosen | id, how many candidates, 0, 0, their logits' bits, their ids | [tokens, 4 + 2 · BEST] |
//
// Candidates are the BEST largest logits, of equal ones those of smaller ids, in this order. The
// BEST-th largest of the columns' maxima is a bound that BEST logits reach; what reaches it is
// gathered and sorted. Where that are more than ROOM, the count is TOO_MANY. Grid: [1].

struct Choice {
  tokens: u32, position: u32, scored: u32, sequence: u32,
  index: u32, // of the token in its chain
  top_k: u32,
  temperature: f32, // 0: the best one
  top_p: f32, min_p: f32,
  point: f32, // of the distribution, in [0, 1)
}

@group(0) @binding(0) var<uniform> choice: Choice;
@group(0) @binding(1) var<storage, read_write> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> maxima: array<u32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;

override PARTS: u32;

const BEST = 64u;
const ROOM = 512u;
const TOO_MANY = 0xffffffffu;

var<workgroup> keys: array<u32, ROOM>;
var<workgroup> ids: array<u32, ROOM>;
var<workgroup> gathered: atomic<u32>;
var<workgroup> weights: array<f32, BEST>; // at temperature 1,
var<workgroup> heated: array<f32, BEST>; // and at the sampler's

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var most = 0u;
  for (var part = 0u; part < PARTS; part++) { most = max(most, maxima[part * LANES + lane]); }
  keys[lane] = most;
  ids[lane] = lane;
  sort(LANES, lane);
  let bound = max(1u, keys[BEST - 1u]);
  workgroupBarrier();
  keys[lane] = 0u;
  keys[lane + LANES] = 0u;
  ids[lane] = TOO_MANY;
  ids[lane + LANES] = TOO_MANY;
  workgroupBarrier();
  gather(bound, lane);
  sort(ROOM, lane);
  let total = atomicLoad(&gathered);
  let count = min(total, BEST);
  let at = choice.index * (4u + 2u * BEST);
  if (lane < BEST) {
    let id = select(0u, ids[lane], lane < count);
    let bits = logits[X_START + id];
    let behind = bitcast<f32>(bits) - bitcast<f32>(logits[X_START + select(0u, ids[0], count > 0u)]);
    weights[lane] = exp(behind);
    heated[lane] = exp(behind / choice.temperature);
    chosen[at + 4u + lane] = bits;
    chosen[at + 4u + BEST + lane] = id;
  }
  workgroupBarrier();
  if (lane > 0u) { return; }
  chosen[at] = select(0u, ids[pick(count)], count > 0u);
  chosen[at + 1u] = select(count, TOO_MANY, total > ROOM);
}

// What reaches the bound, of columns of parts in which something does.
fn gather(bound: u32, lane: u32) {
  for (var part = 0u; part < PARTS; part++) {
    if (maxima[part * LANES + lane] < bound) { continue; }
    for (var row = 0u; row < PART_ROWS; row++) {
      let id = (part * PART_ROWS + row) * LANES + lane;
      if (id >= WIDTH) { break; }
      let key = keyOf(logits[X_START + id]);
      if (key < bound) { continue; }
      let place = atomicAdd(&gathered, 1u);
      if (place < ROOM) {
        keys[place] = key;
        ids[place] = id;
      }
    }
  }
}

// The first `size` keys, a power of two, largest first, of equal ones the smaller id: bitonic.
fn sort(size: u32, lane: u32) {
  for (var length = 2u; length <= size; length <<= 1u) {
    for (var distance = length >> 1u; distance > 0u; distance >>= 1u) {
      workgroupBarrier();
      if (lane < size / 2u) {
        let a = 2u * distance * (lane / distance) + lane % distance;
        let b = a + distance;
        let isTurned = keys[b] > keys[a] || (keys[b] == keys[a] && ids[b] < ids[a]);
        if (isTurned == ((a & length) == 0u)) { swap(a, b); }
      }
    }
  }
  workgroupBarrier();
}

fn swap(a: u32, b: u32) {
  let key = keys[a];
  keys[a] = keys[b];
  keys[b] = key;
  let id = ids[a];
  ids[a] = ids[b];
  ids[b] = id;
}

// As sampler_candidates.ts does it, in f32: top-k, top-p, min-p, temperature, a draw.
fn pick(count: u32) -> u32 {
  if (choice.temperature == 0.0) { return 0u; }
  var kept = min(count, choice.top_k);
  if (choice.top_p < 1.0) {
    var total = 0.0;
    for (var i = 0u; i < kept; i++) { total += weights[i]; }
    var missing = choice.top_p * total;
    var taken = 0u;
    while (missing > 0.0 && taken < kept) {
      missing -= weights[taken];
      taken++;
    }
    kept = max(1u, taken);
  }
  while (kept > 1u && weights[kept - 1u] < choice.min_p) { kept--; }
  var total = 0.0;
  for (var i = 0u; i < kept; i++) { total += heated[i]; }
  var rest = choice.point * total;
  var found = 0u;
  for (var i = 0u; i < kept && rest >= 0.0; i++) {
    if (heated[i] == 0.0) { break; }
    found = i;
    rest -= heated[i];
  }
  return found;
}
