// Which experts tokens use and what each counts there, as src/rank/neurons/routing.ts chooses them, in f32.
//
// Of a token's logits come probabilities p: 0 softmax, 1 sigmoid, 2 the logits themselves (a softmax of
// the chosen ones follows). The USED experts with the highest scores, p + bias, are chosen, of equal
// ones those of lower numbers; where there are GROUPS, of those groups only whose two best scores come
// to most. Weights are p, over their sum where NORMALIZES, times WEIGHT_SCALE and the expert's scale.
//
// | binding | what | shape |
// |---|---|---|
// | logits | f32 | [tokens, X_STRIDE], from X_START |
// | bias | f32 | [EXPERTS], if HAS_BIAS |
// | scales | f32 | [EXPERTS], if HAS_SCALES |
// | routes | expert and weight's bits | [tokens, USED, 2] |
//
// A workgroup makes a token. Experts are compared each with all: at most a few hundred, and no
// invocation waits for another meanwhile. Grid: [tokens].

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> routes: array<u32>;

override EXPERTS: u32;
override ROOM: u32; // fours of experts
override USED: u32;
override GATING: u32;
override NORMALIZES: bool;
override WEIGHT_SCALE: f32;
override HAS_BIAS: bool;
override HAS_SCALES: bool;
override GROUPS: u32 = 0;
override GROUPS_ROOM: u32 = 1;
override USED_GROUPS: u32 = 0;
override X_START: u32;
override X_STRIDE: u32;

const LANES = 128u;
const LEAST = -3.0e38;
const SUM_LEAST = 6.103515625e-5; // 2^-14, the smallest normal f16

var<workgroup> rated: array<vec4<f32>, ROOM>; // logits, then p, by expert
var<workgroup> scores: array<vec4<f32>, ROOM>;
var<workgroup> groupScores: array<f32, GROUPS_ROOM>;
var<workgroup> chosen: array<u32, USED>; // best first
var<workgroup> weights: array<f32, USED>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  for (var e = lane; e < 4u * ROOM; e += LANES) {
    let at = X_START + token * X_STRIDE + min(e, EXPERTS - 1u);
    rated[e / 4u][e % 4u] = select(LEAST, logits[at], e < EXPERTS);
  }
  workgroupBarrier();
  rate(lane);
  workgroupBarrier();
  closeGroups(lane);
  for (var e = lane; e < EXPERTS; e += LANES) {
    let place = placeOf(e);
    if (place < USED) { chosen[place] = e; }
  }
  workgroupBarrier();
  if (lane < USED) {
    weights[lane] = weightOf(rated[chosen[lane] / 4u][chosen[lane] % 4u]);
  }
  workgroupBarrier();
  if (lane >= USED) { return; }
  let e = chosen[lane];
  var weight = weights[lane] * WEIGHT_SCALE;
  if (NORMALIZES || GATING == 2u) {
    var sum = 0.0;
    for (var j = 0u; j < USED; j++) { sum += weights[j]; }
    weight /= max(sum, SUM_LEAST);
  }
  if (HAS_SCALES) { weight *= scales[e]; }
  let at = 2u * (token * USED + lane);
  routes[at] = e;
  routes[at + 1u] = bitcast<u32>(weight);
}

// Logits become p, and scores are made.
fn rate(lane: u32) {
  var top = LEAST;
  var sum = 1.0;
  if (GATING == 0u) {
    var tops = vec4(LEAST);
    for (var i = 0u; i < ROOM; i++) { tops = max(tops, rated[i]); }
    top = max(max(tops.x, tops.y), max(tops.z, tops.w));
    var sums = vec4(0.0);
    for (var i = 0u; i < ROOM; i++) { sums += exp(rated[i] - top); }
    sum = sums.x + sums.y + sums.z + sums.w;
  }
  workgroupBarrier(); // all have read logits
  for (var e = lane; e < EXPERTS; e += LANES) {
    let logit = rated[e / 4u][e % 4u];
    var p = logit;
    if (GATING == 0u) { p = exp(logit - top) / sum; }
    if (GATING == 1u) { p = 1.0 / (1.0 + exp(-max(logit, -80.0))); }
    var score = p;
    if (HAS_BIAS) { score += bias[e]; }
    rated[e / 4u][e % 4u] = p;
    scores[e / 4u][e % 4u] = score;
  }
  for (var e = EXPERTS + lane; e < 4u * ROOM; e += LANES) { scores[e / 4u][e % 4u] = LEAST; }
}

// Experts of groups that are not used are out of the choice.
fn closeGroups(lane: u32) {
  if (GROUPS == 0u) { return; }
  let size = EXPERTS / max(GROUPS, 1u);
  for (var group = lane; group < GROUPS; group += LANES) {
    var best = LEAST;
    var second = LEAST;
    for (var e = group * size; e < (group + 1u) * size; e++) {
      let score = scores[e / 4u][e % 4u];
      second = max(second, min(best, score));
      best = max(best, score);
    }
    groupScores[group] = best + second;
  }
  workgroupBarrier();
  for (var e = lane; e < EXPERTS; e += LANES) {
    let group = e / size;
    var better = 0u;
    for (var other = 0u; other < GROUPS; other++) {
      let isFirst = groupScores[other] == groupScores[group] && other < group;
      if (groupScores[other] > groupScores[group] || isFirst) { better++; }
    }
    if (better >= USED_GROUPS) { scores[e / 4u][e % 4u] = LEAST; }
  }
  workgroupBarrier();
}

// How many experts are before expert e.
fn placeOf(e: u32) -> u32 {
  let own = scores[e / 4u][e % 4u];
  var place = 0u;
  for (var i = 0u; i < ROOM; i++) {
    let others = scores[i];
    let isLower = vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(e);
    let isBefore = (others > vec4(own)) | ((others == vec4(own)) & isLower);
    place += dot(select(vec4(0u), vec4(1u), isBefore), vec4(1u));
  }
  return place;
}

// What p counts; of a softmax of the chosen ones, before it is divided by their sum.
fn weightOf(p: f32) -> f32 {
  if (GATING != 2u) { return p; }
  return exp(p - rated[chosen[0] / 4u][chosen[0] % 4u]);
}
