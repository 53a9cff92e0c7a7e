// Of each channel c of head h, whose group has a key and a query (of length 1, and 1 / √STATES):
// state = stays · state + rate · (value[t, c] − stays · state · key) · key; to[t, c] = state · query;
// stays = exp(softplus(steps[t, h] + bias[h]) · a[h]), rate = sigmoid(rates[t, h]).
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl | [tokens, RECORD] |
// | vectors | f32; bias, a | [heads], [heads] |
// | x | f32; queries, keys, [groups, STATES] each, values, [CHANNELS] | [tokens, X_STRIDE] vec4s, from X_START |
// | input | f32; rates from RATES_START, steps from STEPS_START, [heads] each | [tokens, INPUT_STRIDE] |
// | to | f32, from TO_START | [tokens, TO_STRIDE] |
// | places | see parts/state_columns.wgsl | [places, PLACE] |
//
// Grid: [⌈CHANNELS / COLUMNS⌉, sequences].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> input: array<f32>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;
@group(0) @binding(6) var<storage, read_write> places: array<f32>;

override HEAD_DIM: u32;
override GROUPS: u32;
override IN_TURNS: bool; // head h is of group h mod GROUPS, else heads of a group are neighbours
override X_START: u32; // vec4s
override X_STRIDE: u32;
override RATES_START: u32; // f32s
override STEPS_START: u32;
override INPUT_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

// state · key and state · query of the state before a token, and key · query.
alias Sums = vec3<f32>;

fn rowAt(at: u32, i: u32, own: Own) -> vec4<f32> {
  if (own.first + i >= STATES) { return vec4(0.0); }
  return x[at + i / 4u];
}

// Own numbers of row `row` of queries and keys.
fn rowOf(token: u32, row: u32, own: Own) -> Sixteen {
  let at = X_START + token * X_STRIDE + (row * STATES + own.first) / 4u;
  return Sixteen(rowAt(at, 0u, own), rowAt(at, 4u, own), rowAt(at, 8u, own), rowAt(at, 12u, own));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = ownOf(workgroup.x, lane);
  let head = own.channel / HEAD_DIM;
  let heads = CHANNELS / HEAD_DIM;
  var group = head / (heads / GROUPS);
  if (IN_TURNS) { group = head % GROUPS; }
  let bias = vectors[head];
  let decay = vectors[heads + head];
  let at = 2u * GROUPS * STATES + own.channel;
  let first = firstToken(workgroup.y);
  var state = stateOf(first, own);
  for (var t = first; t < endToken(workgroup.y); t++) {
    let query = rowOf(t, group, own);
    let key = rowOf(t, GROUPS + group, own);
    let value = x[X_START + t * X_STRIDE + at / 4u][at % 4u];
    let row = t * INPUT_STRIDE + head;
    let stays = exp(softplus(input[row + STEPS_START] + bias) * decay);
    let rate = sigmoid(input[row + RATES_START]);
    let known = vec3(product(state, key), product(state, query), product(key, query));
    let sum = sumOf(known, own, t);
    let delta = rate * (value - stays * sum.x);
    state.a = stays * state.a + delta * key.a;
    state.b = stays * state.b + delta * key.b;
    state.c = stays * state.c + delta * key.c;
    state.d = stays * state.d + delta * key.d;
    if (own.isFirst) {
      to[TO_START + t * TO_STRIDE + own.channel] = stays * sum.y + delta * sum.z;
    }
    keep(t, own, state);
  }
}
