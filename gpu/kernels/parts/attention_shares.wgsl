// Part of an attention shader that puts chunks of positions together; `chunkAt` is the shader's.

// What was added up: sum and divisor are times e^(−maximum).
struct Share { sum: vec4<f32>, maximum: f32, divisor: f32 }
struct Four { a: Share, b: Share, d: Share, e: Share }
// Sum and divisor times e^(−largest maximum).
struct Weighed { value: vec4<f32>, divisor: f32 }

fn nothing() -> Share { return Share(vec4(0.0), LOWEST, 0.0); }

// Chunk c, of count, and every `stride`th behind it, of four i of dimensions: asked for at once.
fn fourAt(first: u32, c: u32, stride: u32, count: u32, i: u32) -> Four {
  return Four(
    chunkAt(first, c, count, i),
    chunkAt(first, c + stride, count, i),
    chunkAt(first, c + 2u * stride, count, i),
    chunkAt(first, c + 3u * stride, count, i),
  );
}

fn withFour(all: Share, four: Four) -> Share {
  let maxima = vec4(four.a.maximum, four.b.maximum, four.d.maximum, four.e.maximum);
  let divisors = vec4(four.a.divisor, four.b.divisor, four.d.divisor, four.e.divisor);
  let top = max(all.maximum, max(max(maxima.x, maxima.y), max(maxima.z, maxima.w)));
  let before = exp(all.maximum - top);
  let f = exp(maxima - top);
  return Share(
    before * all.sum + f.x * four.a.sum + f.y * four.b.sum + f.z * four.d.sum + f.w * four.e.sum,
    top,
    before * all.divisor + dot(f, divisors),
  );
}

fn withShare(all: Weighed, share: Share, top: f32) -> Weighed {
  let factor = exp(share.maximum - top);
  return Weighed(all.value + factor * share.sum, all.divisor + factor * share.divisor);
}
