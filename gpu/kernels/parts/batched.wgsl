// Part of a product of which each head of a token meets a matrix of its own; those of all heads lie
// one below the other, ROWS each. A row is a head of a token: the head is in its upper 16 bits. Where
// rows are is told by steps, X_STRIDE and TO_STRIDE are 1. Its other form: parts/whole.wgsl.

override BATCH: u32; // heads whose matrices this binding has
override FIRST_HEAD: u32; // the first of them
override X_TOKEN: u32; // vec4s from a token to the next one
override X_HEAD: u32;
override TO_TOKEN: u32; // f32s
override TO_HEAD: u32;

// As in parts/whole.wgsl; empty beyond the last head.
struct Span { first: u32, end: u32, weights: u32 }

fn spanOf(tile: u32, size: u32) -> Span {
  let tiles = (step.tokens + size - 1u) / size;
  let own = tile / tiles;
  if (own >= BATCH) { return Span(0u, 0u, 0u); }
  let head = (FIRST_HEAD + own) << 16u;
  return Span(head + tile % tiles * size, head + step.tokens, own * ROWS);
}

fn inputOf(at: u32) -> u32 { return (at & 0xFFFFu) * X_TOKEN + (at >> 16u) * X_HEAD; }
fn outputOf(at: u32) -> u32 { return (at & 0xFFFFu) * TO_TOKEN + (at >> 16u) * TO_HEAD; }
