// Part of a product by integer dot products of which ROW_LANES neighbouring invocations make a row:
// pieces, and four of them asked for at once.

fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) +
    dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

// A piece of weights times that of a token.
fn product(w: Weights, factors: vec4<f32>, token: u32, piece: u32) -> f32 {
  return productOf(w, factors, inputsAt(token, piece));
}

fn productOf(w: Weights, factors: vec4<f32>, inputs: Inputs) -> f32 {
  let low = dots(w.low, inputs.low);
  let high = dots(w.high, inputs.high);
  let known = inputs.known;
  if (GROUP == 32u) {
    return factors.x * (known.x * f32(low + high)) + factors.y * (known.y + known.z);
  }
  return factors.x * (known.x * f32(low)) + factors.y * known.y +
    factors.z * (known.x * f32(high)) + factors.w * known.z;
}

// For one token: four pieces, ROW_LANES apart, asked for at once; zero for what is not there.
fn fourProducts(start: u32, token: u32, piece: u32) -> f32 {
  let end = PIECES - 1u;
  let p1 = min(piece + ROW_LANES, end);
  let p2 = min(piece + 2u * ROW_LANES, end);
  let p3 = min(piece + 3u * ROW_LANES, end);
  let w0 = weightsAt(start + piece);
  let w1 = weightsAt(start + p1);
  let w2 = weightsAt(start + p2);
  let w3 = weightsAt(start + p3);
  let f0 = factorsOfHalves(start + piece);
  let f1 = factorsOfHalves(start + p1);
  let f2 = factorsOfHalves(start + p2);
  let f3 = factorsOfHalves(start + p3);
  let first = product(w0, f0, token, piece);
  let second = select(0.0, product(w1, f1, token, p1), piece + ROW_LANES <= end);
  let third = select(0.0, product(w2, f2, token, p2), piece + 2u * ROW_LANES <= end);
  let fourth = select(0.0, product(w3, f3, token, p3), piece + 3u * ROW_LANES <= end);
  return first + second + third + fourth;
}
