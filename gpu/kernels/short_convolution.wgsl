// to[t, c] = query[t, c] · Σ_i weights[c, i] · row(p − TAPS + 1 + i)[c], of a token at position p;
// row = key ⊙ value, 0 before position 0. Rows that later tokens will look at are kept.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl | [tokens, RECORD], then tables |
// | weights | f32, the token's own tap last | [WIDTH, TAPS] |
// | x | f32; query, key, value side by side, WIDTH each | [tokens, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
// | rings | f32; position p in row p modulo RING | [sequences, RING, WIDTH] |
// | ends | f32; the last rows of each block of 32 positions | [blocks, TAPS − 1, WIDTH] |
//
// src/memory/convolution_layout.ts says why there are both. An invocation makes one value, and
// looks at rows of the step in x: what is read of a ring nobody writes in the same step, for it has
// rows for all of a step and those before it. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> to: array<f32>;
@group(0) @binding(5) var<storage, read_write> rings: array<f32>;
@group(0) @binding(6) var<storage, read_write> ends: array<f32>;

override WIDTH: u32;
override TAPS: u32;
override RING: u32; // rows
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

// A row of the step.
fn product(token: u32, c: u32) -> f32 {
  let at = X_START + token * X_STRIDE + c;
  return x[at + WIDTH] * x[at + 2u * WIDTH];
}

fn ringAt(token: u32, position: u32) -> u32 {
  return (sequenceOf(token) * RING + position % RING) * WIDTH;
}

// It is one of the last rows of its block.
fn isEnd(position: u32) -> bool { return position % 32u + TAPS > 32u; }

fn endAt(token: u32, position: u32) -> u32 {
  let place = placeAt(tableOf(token), position);
  return (place / 32u * (TAPS - 1u) + place % 32u + TAPS - 33u) * WIDTH;
}

// A row from before the step: a sequence that took over a block has its last ones and no others.
fn keptRow(token: u32, position: u32, c: u32) -> f32 {
  if (isEnd(position)) { return ends[endAt(token, position) + c]; }
  return rings[ringAt(token, position) + c];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let c = id.x;
  let token = id.y;
  if (c >= WIDTH) { return; }
  let position = positionOf(token);
  let earlier = earlierTokens(token);
  let own = product(token, c);
  var sum = weights[c * TAPS + TAPS - 1u] * own;
  for (var back = 1u; back < min(TAPS, position + 1u); back++) {
    var row = 0.0;
    if (back <= earlier) { row = product(token - back, c); }
    else { row = keptRow(token, position - back, c); }
    sum += weights[c * TAPS + TAPS - 1u - back] * row;
  }
  to[TO_START + token * TO_STRIDE + c] = x[X_START + token * X_STRIDE + c] * sum;
  rings[ringAt(token, position) + c] = own;
  if (isEnd(position)) { ends[endAt(token, position) + c] = own; }
}
