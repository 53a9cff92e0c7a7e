// The best logits of a token, and the id that a sampler would take of them: penalties, biases and
// grammars it does not know. Whoever reads the candidates chooses once more, exactly; this choice
// is what the next token is computed of meanwhile.
//
// | binding | what | shape |
// |---|---|---|
// | choice | the token's place and the sampler's settings: step_chain.ts | – |
// | logits | bits of f32 | [WIDTH], from X_START |
// | maxima | keys by choose_maxima.wgsl | [PARTS, LANES] |
// | chosen | id, how many candidates, 0, 0, their logits' bits, their ids | [places, 4 + 2 · BEST] |
// | | from LAST on: this token's place, and that of the one behind it | |
//
// Candidates are the BEST largest logits, of equal ones those of smaller ids, in this order. The
// BEST-th largest of the columns' maxima is a bound that BEST logits reach; what reaches it is
// gathered and sorted. Where that are more than ROOM, the count is TOO_MANY. Grid: [1].

struct Choice {
  tokens: u32, position: u32, scored: u32, sequence: u32,
  index: u32, // place of the token
  top_k: u32,
  temperature: f32, // 0: the best one
  top_p: f32, min_p: f32,
  point: f32, // of the distribution, in [0, 1)
  sees_all: u32,
  next: u32, // place of the token behind it
}

@group(0) @binding(0) var<uniform> choice: Choice;
@group(0) @binding(1) var<storage, read_write> logits: array<u32>;
@group(0) @binding(2) var<storage, read_write> maxima: array<u32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;

override PARTS: u32;
override LAST: u32;

const BEST = 64u;
const ROOM = 512u;
const TOO_MANY = 0xffffffffu;

var<workgroup> keys: array<vec4<u32>, 128>; // [ROOM / 4]
var<workgroup> ids: array<vec4<u32>, 128>; // likewise
var<workgroup> best: array<vec2<u32>, BEST>; // keys and ids in their order
var<workgroup> gathered: atomic<u32>;
var<workgroup> weights: array<f32, BEST>; // at temperature 1,
var<workgroup> heated: array<f32, BEST>; // and at the sampler's

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  var most = 0u;
  for (var part = 0u; part < PARTS; part += 4u) {
    let four = fourMaxima(part, lane);
    most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
  }
  putPair(lane, most, lane);
  workgroupBarrier();
  order(most, lane, LANES);
  workgroupBarrier();
  let bound = max(1u, best[BEST - 1u].x);
  putPair(lane, 0u, TOO_MANY);
  putPair(lane + LANES, 0u, TOO_MANY);
  workgroupBarrier();
  if (lane < BEST) { best[lane] = vec2(0u, TOO_MANY); }
  gather(bound, lane);
  workgroupBarrier();
  let total = atomicLoad(&gathered);
  let there = min(total, ROOM);
  for (var i = lane; i < there; i += LANES) {
    order(keys[i / 4u][i % 4u], ids[i / 4u][i % 4u], there);
  }
  workgroupBarrier();
  let count = min(total, BEST);
  let at = choice.index * (4u + 2u * BEST);
  if (lane < BEST) {
    let id = select(0u, best[lane].y, lane < count);
    let bits = logits[X_START + id];
    let first = logits[X_START + select(0u, best[0].y, count > 0u)];
    let behind = bitcast<f32>(bits) - bitcast<f32>(first);
    weights[lane] = exp(behind);
    heated[lane] = exp(behind / choice.temperature);
    chosen[at + 4u + lane] = bits;
    chosen[at + 4u + BEST + lane] = id;
  }
  workgroupBarrier();
  if (lane > 0u) { return; }
  chosen[at] = select(0u, best[pick(count)].y, count > 0u);
  chosen[at + 1u] = select(count, TOO_MANY, total > ROOM);
  chosen[LAST] = choice.index;
  chosen[LAST + 1u] = choice.next;
}

fn putPair(at: u32, key: u32, id: u32) {
  keys[at / 4u][at % 4u] = key;
  ids[at / 4u][at % 4u] = id;
}

// The maxima of column `lane` of four parts, asked for at once; zeros for those that are not there.
fn fourMaxima(part: u32, lane: u32) -> vec4<u32> {
  let last = PARTS - 1u;
  let four = vec4(
    maxima[part * LANES + lane],
    maxima[min(part + 1u, last) * LANES + lane],
    maxima[min(part + 2u, last) * LANES + lane],
    maxima[min(part + 3u, last) * LANES + lane],
  );
  return select(vec4(0u), four, vec4(part) + vec4(0u, 1u, 2u, 3u) <= vec4(last));
}

// What reaches the bound, of columns of parts in which something does.
fn gather(bound: u32, lane: u32) {
  for (var part = 0u; part < PARTS; part += 4u) {
    let reaches = fourMaxima(part, lane) >= vec4(bound);
    if (!any(reaches)) { continue; }
    for (var i = 0u; i < 4u; i++) {
      if (reaches[i]) { gatherOf(part + i, bound, lane); }
    }
  }
}

fn gatherOf(part: u32, bound: u32, lane: u32) {
  for (var row = 0u; row < PART_ROWS; row++) {
    let id = (part * PART_ROWS + row) * LANES + lane;
    if (id >= WIDTH) { break; }
    let key = keyOf(logits[X_START + id]);
    if (key < bound) { continue; }
    let place = atomicAdd(&gathered, 1u);
    if (place < ROOM) { putPair(place, key, id); }
  }
}

// Puts a key, one of the first `count`, to its place among all of them, if that is one of the best: largest first, of equal ones the smaller id. As many are compared as there are, at most ROOM,
// and no invocation waits for another: far less than to sort takes.
fn order(key: u32, id: u32, count: u32) {
  var place = 0u;
  for (var i = 0u; i < count; i += 4u) {
    let others = keys[i / 4u];
    let isBefore = (others > vec4(key)) | ((others == vec4(key)) & (ids[i / 4u] < vec4(id)));
    place += dot(select(vec4(0u), vec4(1u), isBefore), vec4(1u));
  }
  if (place < BEST) { best[place] = vec2(key, id); }
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
