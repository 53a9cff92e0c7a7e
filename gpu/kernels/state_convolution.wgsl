// to[t, c] = silu(bias[c] + Σ_i weights[c, i] · row(t − TAPS + 1 + i)[c]), of the rows of a sequence:
// those of this step, x, and before them the last TAPS − 1 that its place keeps, zeros without one.
// Tokens whose state is kept leave the last rows in its place.
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
// An invocation makes one value. Nobody writes the place that is read. Grid: [⌈WIDTH / 64⌉, tokens].

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

// Column c of the row `back` before a token that has `earlier` ones of its sequence in the step.
fn rowAt(token: u32, earlier: u32, back: u32, c: u32) -> f32 {
  if (back <= earlier) { return x[X_START + (token - back) * X_STRIDE + c]; }
  let place = stateBefore(token - earlier);
  if (place == 0u) { return 0.0; }
  return places[(place - 1u) * PLACE + (TAPS - 1u + earlier - back) * WIDTH + c];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let c = id.x;
  let token = id.y;
  if (c >= WIDTH) { return; }
  let earlier = earlierTokens(token);
  var sum = 0.0;
  if (HAS_BIAS) { sum = bias[c]; }
  for (var i = 0u; i < TAPS; i++) {
    sum += weights[c * TAPS + i] * rowAt(token, earlier, TAPS - 1u - i, c);
  }
  to[TO_START + token * TO_STRIDE + c] = sum * sigmoid(sum);
  let place = stateBehind(token);
  if (place == 0u) { return; }
  for (var i = 0u; i + 1u < TAPS; i++) {
    places[(place - 1u) * PLACE + i * WIDTH + c] = rowAt(token, earlier, TAPS - 2u - i, c);
  }
}
