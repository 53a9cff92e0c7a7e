// Part of a product whose weights all rows of inputs meet. Its other form: parts/routed.wgsl.

// Rows of inputs from `first` on, before `end`; the first row of the weights that they meet.
struct Span { first: u32, end: u32, weights: u32 }

// The `tile`-th `size` rows.
fn spanOf(tile: u32, size: u32) -> Span {
  return Span(tile * size, select(step.tokens, step.scored, SCORED), 0u);
}

// Where row `at` of a span is read, and where what it gives goes.
fn inputOf(at: u32) -> u32 { return at; }
fn outputOf(at: u32) -> u32 { return at; }
