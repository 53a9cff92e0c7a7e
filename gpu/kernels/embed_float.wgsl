// to[t, i] (+)= scale · w[id(t) − FIRST_ID, i]; w of f16, bf16 or f32.
//
// Which row a token has: parts/embed.wgsl.
//
// A piece is 4 columns of a row: WORDS u32, of two weights each or of one.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | codes | words of weights | [rows, ROW_PIECES, WORDS] |
// | nothing | | |
// | records | u32 words; the first of a token's is its id | [tokens, RECORD] |
// | to | f32 | [tokens, TO_STRIDE] vec4s, from TO_START |
//
// An invocation makes one piece, 4 columns. Grid: [⌈ROW_PIECES / 64⌉, tokens].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read> records: array<u32>;
@group(0) @binding(4) var<storage, read_write> to: array<vec4<f32>>;
