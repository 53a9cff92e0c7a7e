// Part of a shader that makes what neurons give on; stands with parts/curves.wgsl.

override ACTIVATION: u32;
override IS_GATED: bool;
override ACTIVATES_UP: bool = false;
override THRESHOLD: f32 = 0.0;
override GATE_MOST: f32 = 0.0; // act(gate) at most, and ups within ± UP_MOST; 0: no limits
override UP_MOST: f32 = 0.0;
override CURVE_NEGATIVE: f32 = 0.0; // a curve: src/model/types.ts
override CURVE_POSITIVE: f32 = 0.0;
override CURVE_LINEAR: f32 = 0.0;
override CURVE_LEAST: f32 = 0.0;

// e^x − 1, with its digits near 0.
fn lessOne(x: f32) -> f32 {
  let series = x * (1.0 + x * (0.5 + x * (1.0 / 6.0 + x / 24.0)));
  return select(exp(max(x, -80.0)) - 1.0, series, abs(x) < 0.03);
}

fn act(g: f32) -> f32 {
  if (ACTIVATION == 0u) { return silu(g); }
  if (ACTIVATION == 4u) {
    let cut = min(g, 7.0);
    return cut / (1.0 + exp(-max(1.702 * cut, -80.0)));
  }
  if (ACTIVATION == 1u) { return gelu(g); }
  if (ACTIVATION == 6u) { return g / (1.0 + exp(-max(1.702 * g, -80.0))); }
  if (ACTIVATION == 5u) {
    let curved = select(CURVE_NEGATIVE * (lessOne(min(g, CURVE_LEAST)) - g), CURVE_POSITIVE * g * g, g > 0.0);
    return curved + CURVE_LINEAR * g;
  }
  let positive = max(g, 0.0);
  return select(positive, positive * positive, ACTIVATION == 3u);
}

// act(gate) · up, with a threshold: see activate.wgsl; gate is up where there is none.
fn firedBy(gate: f32, up: f32) -> f32 {
  var g = gate;
  if (THRESHOLD > 0.0 && g < THRESHOLD) { g = 0.0; }
  var activated = act(g);
  if (GATE_MOST > 0.0) { activated = min(activated, GATE_MOST); }
  if (!IS_GATED) { return activated; }
  var u = up;
  if (ACTIVATES_UP) { u = act(up); }
  if (ACTIVATION == 4u) { u = clamp(up, -7.0, 7.0) + 1.0; }
  if (GATE_MOST > 0.0) { u = clamp(up, -UP_MOST, UP_MOST); }
  return activated * u;
}
