// Part of a shader that uses these functions.

fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-max(x, -80.0))); }

fn silu(x: f32) -> f32 { return x / (1.0 + exp(-max(x, -80.0))); }

// By tanh: 1 + tanh(u) = 2 / (1 + exp(−2u)), which keeps its digits where tanh is near −1.
fn gelu(x: f32) -> f32 {
  let u = 1.5957691216 * (x + 0.044715 * x * x * x);
  return x / (1.0 + exp(-max(u, -80.0)));
}

// ln(1 + eˣ). Of small results as exact as of large ones: ln(1 + u) is 2 artanh(u / (2 + u)), whose
// series ends here, for a sum with 1 would leave nothing of a small u.
fn softplus(x: f32) -> f32 {
  let u = exp(-abs(x));
  let z = u / (2.0 + u); // at most 1/3
  let s = z * z;
  var sum = 1.0 / 15.0;
  for (var n = 13; n > 0; n -= 2) { sum = 1.0 / f32(n) + s * sum; }
  return max(x, 0.0) + 2.0 * z * sum;
}
