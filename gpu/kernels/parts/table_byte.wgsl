// Part of a lookup of rows in a table of signed bytes, by pieces of 16 columns, which go to `put`.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;

const FOURS = 4u; // columns of a piece

fn putPiece(base: u32, at: u32) {
  let factors = factorsOf(at * 16u / GROUP);
  let words = codes[at];
  for (var j = 0u; j < 4u; j++) {
    put(base + j, weightsOf(words[j], factors));
  }
}
