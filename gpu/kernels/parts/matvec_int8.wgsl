// Part of a product with few tokens in 8 bits: what an invocation adds to it.

fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) +
    dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

// A piece of weights times that of a token.
fn product(w: Weights, factors: vec4<f32>, token: u32, piece: u32) -> f32 {
  let inputs = inputsAt(token, piece);
  let low = dots(w.low, inputs.low);
  let high = dots(w.high, inputs.high);
  let known = inputs.known;
  if (GROUP == 32u) {
    return factors.x * (known.x * f32(low + high)) + factors.y * (known.y + known.z);
  }
  return factors.x * (known.x * f32(low)) + factors.y * known.y +
    factors.z * (known.x * f32(high)) + factors.w * known.z;
}

// For one token: four pieces, LANES apart, asked for at once; zero for those that are not there.
fn fourProducts(start: u32, token: u32, piece: u32) -> f32 {
  let end = PIECES - 1u;
  let p1 = min(piece + LANES, end);
  let p2 = min(piece + 2u * LANES, end);
  let p3 = min(piece + 3u * LANES, end);
  let w0 = weightsAt(start + piece);
  let w1 = weightsAt(start + p1);
  let w2 = weightsAt(start + p2);
  let w3 = weightsAt(start + p3);
  let f0 = factorsOfHalves(start + piece);
  let f1 = factorsOfHalves(start + p1);
  let f2 = factorsOfHalves(start + p2);
  let f3 = factorsOfHalves(start + p3);
  let first = product(w0, f0, token, piece);
  let second = select(0.0, product(w1, f1, token, p1), piece + LANES <= end);
  let third = select(0.0, product(w2, f2, token, p2), piece + 2u * LANES <= end);
  let fourth = select(0.0, product(w3, f3, token, p3), piece + 3u * LANES <= end);
  return first + second + third + fourth;
}

// What an invocation adds to a row's products with TOKENS of `count` tokens, from `first` on.
fn sumsOf(row: u32, first: u32, count: u32, lane: u32) -> Sums {
  let start = min(row, ROWS - 1u) * ROW_PIECES;
  let last = count - 1u; // what is beyond it is computed in vain
  var low = vec4(0.0);
  var high = vec4(0.0);
  if (TOKENS == 1u) {
    for (var piece = lane % LANES; piece < PIECES; piece += 4u * LANES) {
      low.x += fourProducts(start, first, piece);
    }
    return Sums(low, high);
  }
  for (var piece = lane % LANES; piece < PIECES; piece += LANES) {
    let w = weightsAt(start + piece);
    let factors = factorsOfHalves(start + piece);
    low.x += product(w, factors, first, piece);
    low.y += product(w, factors, min(first + 1u, last), piece);
    if (TOKENS >= 4u) {
      low.z += product(w, factors, min(first + 2u, last), piece);
      low.w += product(w, factors, min(first + 3u, last), piece);
    }
    if (TOKENS >= 8u) {
      high.x += product(w, factors, min(first + 4u, last), piece);
      high.y += product(w, factors, min(first + 5u, last), piece);
      high.z += product(w, factors, min(first + 6u, last), piece);
      high.w += product(w, factors, min(first + 7u, last), piece);
    }
  }
  return Sums(low, high);
}
