// Part of a product by integer dot products: 32 columns of weights and of inputs as signed bytes;
// `codes` and `x` are the shader's.
//
// A token's row of inputs has two vec4<u32> for each piece of 32 columns, the bytes of columns
// 0 … 15 and 16 … 31, and behind those of all pieces a vec4 for each: the scale of its bytes, and
// scale · (sum of bytes) of either half.

override IS_NIBBLE: bool; // codes of 4 bits, else of 8

struct Weights { low: vec4<u32>, high: vec4<u32> } // columns 0 … 15 and 16 … 31

// Piece `at` of 32 columns.
fn weightsAt(at: u32) -> Weights {
  if (IS_NIBBLE) {
    let words = codes[at];
    let a = levelsOf(words.x);
    let b = levelsOf(words.y);
    let c = levelsOf(words.z);
    let d = levelsOf(words.w);
    return Weights(vec4(a.x, b.x, c.x, d.x), vec4(a.y, b.y, c.y, d.y));
  }
  return Weights(codes[2u * at], codes[2u * at + 1u]);
}

struct Inputs { low: vec4<u32>, high: vec4<u32>, known: vec4<f32> }

fn inputsAt(token: u32, piece: u32) -> Inputs {
  let row = 3u * token * PIECES;
  let at = row + 2u * piece;
  return Inputs(x[at], x[at + 1u], bitcast<vec4<f32>>(x[row + 2u * PIECES + piece]));
}
