// to[t, i] = act(g) · u: what neurons give on. The same in 8 bits where TO_INT8.
//
// g = gate[t, i], or up[t, i] where there is no gate (then u = 1), 0 below THRESHOLD if that is
// above 0; u = up[t, i], or act(up[t, i]) where ACTIVATES_UP.
// act: 0 silu g·sigmoid(g), 1 gelu by tanh, 2 relu, 3 relu², 4 swiglu7: g·sigmoid(1.702·g) of min(g, 7);
// then u = clamp(up[t, i], −7, 7) + 1; 5 xielu: CURVE_LINEAR·g + (g > 0 ? CURVE_POSITIVE·g² :
// CURVE_NEGATIVE·(e^min(g, CURVE_LEAST) − 1 − g)); 6 g·sigmoid(1.702·g). Where GATE_MOST is above 0 act(g) is that at most, and u within
// ± UP_MOST.
//
// | binding | what | shape |
// |---|---|---|
// | x | f32; gates from GATE_START, ups from UP_START | [tokens, X_STRIDE] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
// | int8 | see parts/int8.wgsl | [tokens, 12 · WIDTH / 32] |
//
// An invocation makes four neighbours. Grid: [⌈WIDTH / 256⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> to: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> int8: array<u32>;

override WIDTH: u32;
override GATE_START: u32;
override UP_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;
override TO_INT8: bool = false;

// What neuron i of the token whose row begins at `row` gives; 0 where there is none.
fn valueAt(row: u32, i: u32) -> f32 {
  if (i >= WIDTH) { return 0.0; }
  let up = x[row + UP_START + i];
  var g = up;
  if (IS_GATED) { g = x[row + GATE_START + i]; }
  return firedBy(g, up);
}

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = id.y * X_STRIDE;
  let i = 4u * id.x;
  let a = valueAt(row, i);
  let b = valueAt(row, i + 1u);
  let c = valueAt(row, i + 2u);
  let d = valueAt(row, i + 3u);
  let value = vec4(a, b, c, d);
  if (i < WIDTH) {
    let at = TO_START + id.y * TO_STRIDE + id.x;
    // What is beyond the row is another one's.
    to[at] = select(to[at], value, vec4(i) + vec4(0u, 1u, 2u, 3u) < vec4(WIDTH));
  }
  if (TO_INT8) { putInt8(value, lane, id.y, WIDTH / 32u, id.x, i < WIDTH); }
}
