// to[t, c] = silu(bias[c] + Σ_i weights[c, i] · row(t − TAPS + 1 + i)[c]), of the rows of a sequence:
// those of this step, x, and before them the last TAPS − 1 that its place keeps, zeros without one.
// Tokens whose state is kept leave the last rows in its place. The first parts of PART columns are
// divided by their length: to = v · scale / √(Σ v² + EPSILON), by QUERY_SCALE of the first QUERIES
// parts, by 1 of the next so many.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl | [tokens, RECORD] |
// | weights | f32, the token's own tap last | [WIDTH, TAPS] |
// | bias | f32, if HAS_BIAS | [WIDTH] |
// | x | f32 | [tokens, X_STRIDE], from X_START |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
// | places | f32; rows, then other things | [places, PLACE] |
//
// A workgroup of 64 makes a part of one token. Nobody writes the place that is read.
// Grid: [⌈WIDTH / PART⌉, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;
@group(0) @binding(6) var<storage, read_write> places: array<f32>;

override WIDTH: u32;
override TAPS: u32;
override PLACE: u32; // floats
override HAS_BIAS: bool = false;
override X_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override PART: u32; // at most 256
override QUERIES: u32 = 0;
override QUERY_SCALE: f32 = 1.0;
override EPSILON: f32 = 0.0;

// Column c of the row `back` before a token that has `earlier` ones of its sequence in the step.
fn rowAt(token: u32, earlier: u32, back: u32, c: u32) -> f32 {
  if (back <= earlier) { return x[X_START + (token - back) * X_STRIDE + c]; }
  let place = stateBefore(token - earlier);
  if (place == 0u) { return 0.0; }
  return places[(place - 1u) * PLACE + (TAPS - 1u + earlier - back) * WIDTH + c];
}

// Column c of a token.
fn convolved(token: u32, earlier: u32, c: u32) -> f32 {
  var sum = 0.0;
  if (HAS_BIAS) { sum = bias[c]; }
  for (var i = 0u; i < TAPS; i++) {
    sum += weights[c * TAPS + i] * rowAt(token, earlier, TAPS - 1u - i, c);
  }
  return sum * sigmoid(sum);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.y;
  let earlier = earlierTokens(token);
  let first = workgroup.x * PART;
  let end = min(first + PART, WIDTH);
  var values: array<f32, 4>;
  var squares = 0.0;
  for (var i = 0u; i < 4u; i++) {
    let c = first + lane + i * LANES;
    if (c < end) { values[i] = convolved(token, earlier, c); }
    squares += values[i] * values[i];
  }
  var factor = 1.0;
  if (QUERIES > 0u) {
    let length = sqrt(sumOf(squares, lane) + EPSILON);
    if (workgroup.x < 2u * QUERIES) { factor = select(1.0, QUERY_SCALE, workgroup.x < QUERIES) / length; }
  }
  let place = stateBehind(token);
  for (var i = 0u; i < 4u; i++) {
    let c = first + lane + i * LANES;
    if (c >= end) { return; }
    to[TO_START + token * TO_STRIDE + c] = factor * values[i];
    if (place != 0u) { keep(token, earlier, c, place); }
  }
}

// The last rows, in the place of the state behind a token.
fn keep(token: u32, earlier: u32, c: u32, place: u32) {
  for (var i = 0u; i + 1u < TAPS; i++) {
    places[(place - 1u) * PLACE + i * WIDTH + c] = rowAt(token, earlier, TAPS - 2u - i, c);
  }
}
