// Part of a product of floats of which ROW_LANES neighbouring invocations make a row: four pieces,
// asked for at once.

// Four pieces, ROW_LANES apart; zeros for those that are not there.
struct Four { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

fn weightsFrom(start: u32, piece: u32) -> Four {
  let end = PIECES - 1u;
  let none = vec4(0.0);
  let a = weightsAt(start + piece);
  let b = weightsAt(start + min(piece + ROW_LANES, end));
  let c = weightsAt(start + min(piece + 2u * ROW_LANES, end));
  let d = weightsAt(start + min(piece + 3u * ROW_LANES, end));
  return Four(
    a,
    select(none, b, piece + ROW_LANES <= end),
    select(none, c, piece + 2u * ROW_LANES <= end),
    select(none, d, piece + 3u * ROW_LANES <= end),
  );
}

fn fourProducts(w: Four, token: u32, piece: u32) -> f32 {
  let end = PIECES - 1u;
  let at = X_START + token * X_STRIDE;
  let a = x[at + piece];
  let b = x[at + min(piece + ROW_LANES, end)];
  let c = x[at + min(piece + 2u * ROW_LANES, end)];
  let d = x[at + min(piece + 3u * ROW_LANES, end)];
  return dot(w.a, a) + dot(w.b, b) + dot(w.c, c) + dot(w.d, d);
}

// What an invocation adds to a row's products with TOKENS tokens, from `first` on; what would be
// beyond the last one is computed in vain.
fn sumsFrom(start: u32, first: u32, last: u32, lane: u32) -> Sums {
  var low = vec4(0.0);
  var high = vec4(0.0);
  for (var piece = lane % ROW_LANES; piece < PIECES; piece += 4u * ROW_LANES) {
    let w = weightsFrom(start, piece);
    low.x += fourProducts(w, first, piece);
    if (TOKENS >= 2u) { low.y += fourProducts(w, min(first + 1u, last), piece); }
    if (TOKENS >= 4u) {
      low.z += fourProducts(w, min(first + 2u, last), piece);
      low.w += fourProducts(w, min(first + 3u, last), piece);
    }
    if (TOKENS >= 8u) {
      high.x += fourProducts(w, min(first + 4u, last), piece);
      high.y += fourProducts(w, min(first + 5u, last), piece);
      high.z += fourProducts(w, min(first + 6u, last), piece);
      high.w += fourProducts(w, min(first + 7u, last), piece);
    }
  }
  return Sums(low, high);
}
