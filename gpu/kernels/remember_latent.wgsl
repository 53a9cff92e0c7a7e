// The key of the one head that all query heads share, [turned, latent], from `x` to the cache: its
// first ROTATED dimensions are turned by the token's position, the latent behind them is normalised
// by its root mean square. Pairs are as in rotate_and_remember.wgsl.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | records | see parts/sequences.wgsl; f32 cosines, then sines, from ROPE_START | [tokens, RECORD] |
// | x | f32 | [tokens, X_STRIDE], from X_START |
// | weight | f32, of the norm | [HEAD_DIM − ROTATED] |
// | keys | cache: pairs of f16, or f32 where IS_F32 | [places, HEAD_DIM] |
//
// A workgroup of 64 makes one token. Grid: [tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> records: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;

override HEAD_DIM: u32; // even
override ROTATED: u32; // even
override IS_NEOX: bool = false;
override IS_F32: bool = false;
override ROPE_START: u32;
override X_START: u32;
override X_STRIDE: u32;
override EPSILON: f32;

// Element i of the turned part, of a row of x.
fn turned(row: u32, token: u32, i: u32) -> f32 {
  let half = ROTATED / 2u;
  let pair = select(i / 2u, i % half, IS_NEOX);
  let isSecond = select(i % 2u == 1u, i >= half, IS_NEOX);
  let a = x[row + select(2u * pair, pair, IS_NEOX)];
  let b = x[row + select(2u * pair + 1u, pair + half, IS_NEOX)];
  let at = token * RECORD + ROPE_START + pair;
  let cosine = bitcast<f32>(records[at]);
  let sine = bitcast<f32>(records[at + half]);
  return select(a * cosine - b * sine, a * sine + b * cosine, isSecond);
}

fn keyOf(row: u32, token: u32, i: u32, factor: f32) -> f32 {
  if (i < ROTATED) { return turned(row, token, i); }
  return x[row + i] * factor * weight[i - ROTATED];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let token = workgroup.x;
  let row = X_START + token * X_STRIDE;
  var squares = 0.0;
  for (var i = ROTATED + lane; i < HEAD_DIM; i += LANES) { squares += x[row + i] * x[row + i]; }
  let factor = inverseSqrt(sumOf(squares, lane) / f32(HEAD_DIM - ROTATED) + EPSILON);
  let key = placeOfToken(token) * HEAD_DIM;
  for (var i = 2u * lane; i < HEAD_DIM; i += 2u * LANES) {
    let pair = vec2(keyOf(row, token, i, factor), keyOf(row, token, i + 1u, factor));
    if (IS_F32) {
      keys[key + i] = bitcast<u32>(pair.x);
      keys[key + i + 1u] = bitcast<u32>(pair.y);
    } else {
      keys[(key + i) / 2u] = pack2x16float(pair);
    }
  }
}
