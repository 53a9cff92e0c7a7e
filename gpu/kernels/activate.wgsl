// to[t, i] = act(g) · u: what neurons give on.
//
// g = gate[t, i], or up[t, i] where there is no gate (then u = 1), 0 below THRESHOLD if that is above
// 0; u = up[t, i], or act(up[t, i]) where ACTIVATES_UP. Where |act(g)| is not above QUIET: 0.
// act: 0 silu g·sigmoid(g), 1 gelu by tanh, 2 relu, 3 relu².
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | x | f32; gates from GATE_START, ups from UP_START | [tokens, X_STRIDE] |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// An invocation makes one value. Grid: [⌈WIDTH / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> to: array<f32>;

override WIDTH: u32;
override ACTIVATION: u32;
override IS_GATED: bool;
override ACTIVATES_UP: bool = false;
override THRESHOLD: f32 = 0.0;
override QUIET: f32 = -1.0;
override GATE_START: u32;
override UP_START: u32;
override X_STRIDE: u32;
override TO_START: u32;
override TO_STRIDE: u32;

fn act(g: f32) -> f32 {
  if (ACTIVATION == 0u) { return g / (1.0 + exp(-max(g, -80.0))); }
  if (ACTIVATION == 1u) {
    // 1 + tanh(u) = 2 / (1 + exp(−2u)), which keeps its digits where tanh is near −1.
    let u = 1.5957691216 * (g + 0.044715 * g * g * g);
    return g / (1.0 + exp(-max(u, -80.0)));
  }
  let positive = max(g, 0.0);
  return select(positive, positive * positive, ACTIVATION == 3u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH) { return; }
  let row = id.y * X_STRIDE + id.x;
  let up = x[row + UP_START];
  var g = up;
  if (IS_GATED) { g = x[row + GATE_START]; }
  if (THRESHOLD > 0.0 && g < THRESHOLD) { g = 0.0; }
  let activated = act(g);
  var value = activated;
  if (IS_GATED) {
    var u = up;
    if (ACTIVATES_UP) { u = act(up); }
    value = activated * u;
  }
  if (abs(activated) <= QUIET) { value = 0.0; }
  to[TO_START + id.y * TO_STRIDE + id.x] = value;
}
