// Of each channel c of head h: state = exp(dt · a) · state + dt · x[t, c] · writes[t];
// to[t, c] = state · reads[t] + skip[h] · x[t, c]; dt = softplus(steps[t, h] + bias[h]).
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl | [tokens, RECORD] |
// | vectors | f32; bias, skip, a: of heads, or of each number of their states where A_OF_STATES | [heads], [heads], [heads] or [heads, STATES] |
// | x | f32, from X_START | [tokens, X_STRIDE] vec4s |
// | made | f32; what writes and reads where IS_APART_MADE, else in x | [tokens, MADE_STRIDE] vec4s, groups of STATES from WRITES_START and READS_START |
// | steps | f32, from STEPS_START | [tokens, STEPS_STRIDE] |
// | to | f32, from TO_START | [tokens, TO_STRIDE] |
// | places | see parts/state_columns.wgsl | [places, PLACE] |
//
// Grid: [⌈CHANNELS / COLUMNS⌉, sequences].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> made: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> steps: array<f32>;
@group(0) @binding(6) var<storage, read_write> to: array<f32>;
@group(0) @binding(7) var<storage, read_write> places: array<f32>;

override HEAD_DIM: u32;
override GROUPS: u32; // heads of a group are neighbours
override A_OF_STATES: bool = false;
override IS_APART_MADE: bool = false;
override X_START: u32; // vec4s
override X_STRIDE: u32;
override WRITES_START: u32;
override READS_START: u32;
override MADE_STRIDE: u32;
override STEPS_START: u32; // f32s
override STEPS_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

alias Sums = f32;

fn madeAt(at: u32, i: u32, own: Own) -> vec4<f32> {
  if (own.first + i >= STATES) { return vec4(0.0); }
  if (IS_APART_MADE) { return made[at + i / 4u]; }
  return x[at + i / 4u];
}

fn madeOf(token: u32, start: u32, group: u32, own: Own) -> Sixteen {
  let at = start + token * MADE_STRIDE + (group * STATES + own.first) / 4u;
  return Sixteen(
    madeAt(at, 0u, own),
    madeAt(at, 4u, own),
    madeAt(at, 8u, own),
    madeAt(at, 12u, own),
  );
}

fn decayAt(start: u32, i: u32, own: Own) -> vec4<f32> {
  if (own.first + i >= STATES) { return vec4(0.0); }
  let at = start + own.first + i;
  return vec4(vectors[at], vectors[at + 1u], vectors[at + 2u], vectors[at + 3u]);
}

fn decaysOf(head: u32, heads: u32, own: Own) -> Sixteen {
  let start = 2u * heads + head * select(1u, STATES, A_OF_STATES);
  if (!A_OF_STATES) {
    let same = vec4(vectors[start]);
    return Sixteen(same, same, same, same);
  }
  return Sixteen(
    decayAt(start, 0u, own),
    decayAt(start, 4u, own),
    decayAt(start, 8u, own),
    decayAt(start, 12u, own),
  );
}

// By how much numbers stay: one exp for all of them where a head has one decay.
fn staysOf(dt: f32, decays: Sixteen) -> Sixteen {
  let first = exp(dt * decays.a);
  if (!A_OF_STATES) { return Sixteen(first, first, first, first); }
  return Sixteen(first, exp(dt * decays.b), exp(dt * decays.c), exp(dt * decays.d));
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = ownOf(workgroup.x, lane);
  let head = own.channel / HEAD_DIM;
  let heads = CHANNELS / HEAD_DIM;
  let group = head / (heads / GROUPS);
  let bias = vectors[head];
  let skip = vectors[heads + head];
  let decays = decaysOf(head, heads, own);
  let first = firstToken(workgroup.y);
  var state = stateOf(first, own);
  for (var t = first; t < endToken(workgroup.y); t++) {
    let value = x[X_START + t * X_STRIDE + own.channel / 4u][own.channel % 4u];
    let dt = softplus(steps[STEPS_START + t * STEPS_STRIDE + head] + bias);
    let stays = staysOf(dt, decays);
    let writes = madeOf(t, WRITES_START, group, own);
    let reads = madeOf(t, READS_START, group, own);
    let added = dt * value;
    state.a = stays.a * state.a + added * writes.a;
    state.b = stays.b * state.b + added * writes.b;
    state.c = stays.c * state.c + added * writes.c;
    state.d = stays.d * state.d + added * writes.d;
    let y = sumOf(product(state, reads), own, t);
    if (own.isFirst) { to[TO_START + t * TO_STRIDE + own.channel] = y + skip * value; }
    keep(t, own, state);
  }
}
