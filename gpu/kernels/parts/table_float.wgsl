// Part of a lookup of rows in a table of f16, bf16 or f32, by pieces of 4 columns, which go to `put`.

@group(0) @binding(1) var<storage, read> codes: array<vec2<u32>>;

const FOURS = 1u; // columns of a piece

fn putPiece(base: u32, at: u32) { put(base, weightsAt(at)); }
