// to[t, p] = 32 columns of x[t] in 8 bits, for products by integer dot products.
//
// q = round(127 · x / largest |x| of the 32), as the CPU's kernels do it.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | x | f32 | [tokens, X_STRIDE] vec4s, from X_START |
// | to | pieces, see parts/int8.wgsl | [tokens, PIECES, 3] vec4<u32> |
//
// An invocation makes a piece. Grid: [⌈PIECES / 64⌉, tokens].

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> to: array<vec4<u32>>;

const LEAST = 7.888609e-31; // 2^-100: groups of smaller values count as zeros

override PIECES: u32;
override X_START: u32; // vec4s
override X_STRIDE: u32; // vec4s

fn largest(v: vec4<f32>) -> f32 {
  let size = abs(v);
  return max(max(size.x, size.y), max(size.z, size.w));
}

// The bytes of four columns each, and their sum.
struct Half { words: vec4<u32>, sum: i32 }

fn quantize(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, factor: f32) -> Half {
  let p = vec4<i32>(round(factor * a));
  let q = vec4<i32>(round(factor * b));
  let r = vec4<i32>(round(factor * c));
  let s = vec4<i32>(round(factor * d));
  let all = p + q + r + s;
  let words = vec4(pack4xI8(p), pack4xI8(q), pack4xI8(r), pack4xI8(s));
  return Half(words, all.x + all.y + all.z + all.w);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let piece = id.x;
  if (piece >= PIECES) { return; }
  let start = X_START + id.y * X_STRIDE + 8u * piece;
  let a = x[start];
  let b = x[start + 1u];
  let c = x[start + 2u];
  let d = x[start + 3u];
  let e = x[start + 4u];
  let f = x[start + 5u];
  let g = x[start + 6u];
  let h = x[start + 7u];
  let low = max(max(largest(a), largest(b)), max(largest(c), largest(d)));
  let high = max(max(largest(e), largest(f)), max(largest(g), largest(h)));
  let top = max(low, high);
  let factor = select(0.0, 127.0 / top, top >= LEAST);
  let first = quantize(a, b, c, d, factor);
  let second = quantize(e, f, g, h, factor);
  let scale = select(0.0, top / 127.0, top >= LEAST);
  let sums = scale * vec2(f32(first.sum), f32(second.sum));
  let at = 3u * (id.y * PIECES + piece);
  to[at] = first.words;
  to[at + 1u] = second.words;
  to[at + 2u] = bitcast<vec4<u32>>(vec4(scale, sums, 0.0));
}
