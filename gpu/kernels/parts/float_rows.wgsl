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
