// Part of a lookup of rows in a table of 4-bit codes, by pieces of 32 columns, which go to `put`.

@group(0) @binding(1) var<storage, read> codes: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;

const FOURS = 8u; // columns of a piece

fn putPiece(base: u32, at: u32) {
  let factors = factorsOfHalves(at);
  let words = codes[at];
  // Levels as they are: 16 (h - 1) of those that count. What is made of them is rounded once, as
  // threads round it.
  let line = lineOf(vec2(1.0, 0.0));
  let plain = vec4(line, line);
  for (var j = 0u; j < 4u; j++) {
    put(base + j, factors.x * lowWeights(words[j], plain) + factors.y);
    put(base + 4u + j, factors.z * highWeights(words[j], plain) + factors.w);
  }
}
