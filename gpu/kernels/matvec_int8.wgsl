// to[t, r] (+)= scale · (Σ_k w[r, k] · x[t, k] + bias[r]) for few tokens; x in 8 bits.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | weights, see parts/int8.wgsl | [rows, ROW_PIECES] |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | bias | f32 | [rows], if HAS_BIAS |
// | x | see parts/int8.wgsl | [tokens, 3 · PIECES] vec4<u32> |
// | to | f32 | [tokens, TO_STRIDE], from TO_START |
//
// A workgroup makes 4 rows for TOKENS tokens: 32 neighbouring invocations a row, which read
// neighbouring pieces. Grid: [⌈ROWS / 4⌉, ⌈tokens / TOKENS⌉].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> to: array<f32>;

override TOKENS: u32 = 1; // 1, 2, 4 or 8

const LANES = 32u;
var<workgroup> lowSums: array<vec4<f32>, 128>; // tokens 0 … 3 by invocation
var<workgroup> highSums: array<vec4<f32>, 128>; // tokens 4 … 7

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

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let count = select(step.tokens, step.scored, SCORED);
  let row = workgroup.x * 4u + lane / LANES;
  let start = min(row, ROWS - 1u) * ROW_PIECES;
  let first = workgroup.y * TOKENS;
  let last = count - 1u; // what is beyond it is computed in vain
  var low = vec4(0.0);
  var high = vec4(0.0);
  if (TOKENS == 1u) {
    for (var piece = lane % LANES; piece < PIECES; piece += 4u * LANES) {
      low.x += fourProducts(start, first, piece);
    }
  }
  for (var piece = lane % LANES; TOKENS > 1u && piece < PIECES; piece += LANES) {
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
  lowSums[lane] = low;
  if (TOKENS >= 8u) { highSums[lane] = high; }
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % LANES < half) {
      lowSums[lane] += lowSums[lane + half];
      if (TOKENS >= 8u) { highSums[lane] += highSums[lane + half]; }
    }
  }
  workgroupBarrier();
  let token = lane % LANES;
  if (token >= TOKENS || first + token >= count || row >= ROWS) { return; }
  let mine = lane - token;
  if (token < 4u) { put(first + token, row, lowSums[mine][token]); }
  else { put(first + token, row, highSums[mine][token % 4u]); }
}
