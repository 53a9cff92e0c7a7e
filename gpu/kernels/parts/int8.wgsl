// Part of a product by integer dot products: 32 columns of weights and of inputs as signed bytes;
// `codes` and `x` are the shader's.
//
// A piece of the inputs is three vec4<u32>: columns 0 … 15, columns 16 … 31, and floats: the scale
// of its bytes, and scale · (sum of bytes) of either half.

override IS_NIBBLE: bool; // codes of 4 bits, else of 8

struct Weights { low: vec4<u32>, high: vec4<u32> } // columns 0 … 15 and 16 … 31

// Piece `at` of 32 columns.
fn weightsAt(at: u32) -> Weights {
  if (IS_NIBBLE) {
    let words = codes[at];
    return Weights(words & vec4(0x0F0F0F0Fu), (words >> vec4(4u)) & vec4(0x0F0F0F0Fu));
  }
  return Weights(codes[2u * at], codes[2u * at + 1u]);
}
