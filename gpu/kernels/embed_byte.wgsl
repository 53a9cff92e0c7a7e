// to[t, i] (+)= scale · w[id(t) − FIRST_ID, i]; w of signed bytes.
//
// Which row a token has: parts/embed.wgsl.
//
// Codes and factors: parts/byte.wgsl.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | pieces of 16 columns | [rows, ROW_PIECES] vec4<u32> |
// | groups | factors, see `factorsOf` | per group of GROUP columns, rows one after another |
// | records | u32 words; the first of a token's is its id | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// An invocation makes one piece, 16 columns. Grid: [⌈ROW_PIECES / 64⌉, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> records: array<u32>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
