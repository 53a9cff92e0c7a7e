// Part of a product with few tokens of which ROW_LANES neighbouring invocations make a row.

const LANES = 128u; // invocations of a workgroup
const ROW_LANES = 32u;

fn slotOf(lane: u32) -> u32 { return lane % ROW_LANES; }

fn prepare(token: u32, lane: u32) {}

// Puts sums of all of a row's invocations; any ROW_LANES neighbours come here, each puts a token's.
fn putSums(sums: Sums, row: u32, span: Span, lane: u32) {
  let token = lane % ROW_LANES;
  if (token >= TOKENS || span.first + token >= span.end || row >= ROWS) { return; }
  let sum = select(sums.low[token % 4u], sums.high[token % 4u], token >= 4u);
  put(outputOf(span.first + token), row, span.weights, sum);
}
