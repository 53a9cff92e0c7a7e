// Part of a product by integer dot products of which ROW_LANES neighbouring invocations make a row:
// pieces, and four of them asked for at once.

fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) +
    dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

// A piece of weights times that of a token.
fn product(w: Weights, factors: vec4<f32>, token: u32, piece: u32) -> f32 {
  return productOf(w, factors, rowAt(token, piece));
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

// Four pieces, ROW_LANES apart, and their factors.
struct Four {
  a: Weights, b: Weights, c: Weights, d: Weights,
  factorsA: vec4<f32>, factorsB: vec4<f32>, factorsC: vec4<f32>, factorsD: vec4<f32>,
}

fn weightsFrom(start: u32, piece: u32) -> Four {
  let end = PIECES - 1u;
  let p1 = start + min(piece + ROW_LANES, end);
  let p2 = start + min(piece + 2u * ROW_LANES, end);
  let p3 = start + min(piece + 3u * ROW_LANES, end);
  return Four(
    weightsAt(start + piece), weightsAt(p1), weightsAt(p2), weightsAt(p3),
    factorsOfHalves(start + piece), factorsOfHalves(p1), factorsOfHalves(p2), factorsOfHalves(p3),
  );
}

// Times those of a token; zero for what is not there.
fn fourProducts(w: Four, token: u32, piece: u32) -> f32 {
  let end = PIECES - 1u;
  let p1 = min(piece + ROW_LANES, end);
  let p2 = min(piece + 2u * ROW_LANES, end);
  let p3 = min(piece + 3u * ROW_LANES, end);
  let first = product(w.a, w.factorsA, token, piece);
  let second = select(0.0, product(w.b, w.factorsB, token, p1), piece + ROW_LANES <= end);
  let third = select(0.0, product(w.c, w.factorsC, token, p2), piece + 2u * ROW_LANES <= end);
  let fourth = select(0.0, product(w.d, w.factorsD, token, p3), piece + 3u * ROW_LANES <= end);
  return first + second + third + fourth;
}
