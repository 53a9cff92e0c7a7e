// Part of an attention shader: rows of a key/value head are (token, query head of its group), tokens
// outermost; which positions a token sees, and how scores are capped. `step` is the shader's. Rows
// that a workgroup makes are of one sequence: where IS_APART, of one token.

override HEADS: u32;
override KV_HEADS: u32;
override HEAD_DIM: u32; // multiple of 4 or of what the shader says; at most 256 but where it says so
override GROUP_SIZE: u32;
override HEAD_OFFSET: u32 = 0;
override WINDOW: u32 = 0;
override SPAN: u32 = 0; // positions come in spans of so many, of which a token sees its own; 0: of all
override BOTH_WAYS: bool = false; // an encoder: positions are rows of the step, of which a token sees its text's
override MAX_BIAS: f32 = 0.0; // scores fall with distance, down to 2^−MAX_BIAS a position; 0: they do not
override BIAS_HEADS: u32 = 1; // the largest power of 2 that is not above the model's heads
override FIRST_HEAD: u32 = 0; // number of head 0 in the model
override SCALE: f32;
override SOFT_CAP: f32 = 0.0;
override X_START: u32; // vec4s
override X_STRIDE: u32;

const LOWEST = -3.0e38;

// Token of row j.
fn tokenOf(j: u32) -> u32 { return j / GROUP_SIZE; }

// The first row of tile i of so many rows.
fn firstRowOf(i: u32, tile: u32) -> u32 {
  if (!IS_APART) { return i * tile; }
  let tiles = (GROUP_SIZE + tile - 1u) / tile;
  return i / tiles * GROUP_SIZE + i % tiles * tile;
}

// The row behind those that a tile which begins with row j may have.
fn endOfRows(j: u32) -> u32 {
  return select(step.tokens, tokenOf(j) + 1u, IS_APART) * GROUP_SIZE;
}

// Head of row j; not below HEADS when there is none.
fn headOf(j: u32, kvHead: u32) -> u32 {
  return kvHead * GROUP_SIZE + j % GROUP_SIZE - HEAD_OFFSET; // below 0 becomes a large number
}

// The last position that a token sees.
fn lastSeen(position: u32) -> u32 {
  if (BOTH_WAYS) {
    var last = textEndOf(position) - 1u;
    if (SPAN > 0u) { last = min(last, spanStart(position) + SPAN - 1u); }
    if (WINDOW > 0u) { last = min(last, position + WINDOW - 1u); }
    return last;
  }
  return select(position, step.position + step.tokens - 1u, step.seesAll != 0u);
}

fn firstSeen(position: u32) -> u32 {
  if (SPAN > 0u) { return spanStart(position); }
  var first = 0u;
  if (BOTH_WAYS) { first = textStartOf(position); }
  if (WINDOW == 0u || position + 1u <= WINDOW) { return first; }
  return max(first, position + 1u - WINDOW);
}

// Where a position's span begins: spans are counted from the beginning of its text.
fn spanStart(position: u32) -> u32 {
  var first = 0u;
  if (BOTH_WAYS) { first = textStartOf(position); }
  return position - (position - first) % max(SPAN, 1u);
}

fn capped(score: f32) -> f32 {
  if (SOFT_CAP == 0.0) { return score; }
  return SOFT_CAP * tanh(clamp(score / SOFT_CAP, -20.0, 20.0));
}

// How much a head's scores fall with each position of distance: src/model/alibi.ts.
fn slopeOf(head: u32) -> f32 {
  if (MAX_BIAS == 0.0) { return 0.0; }
  let own = FIRST_HEAD + head;
  let isEven = own < BIAS_HEADS;
  let step = select(f32(own - BIAS_HEADS) + 0.5, f32(own + 1u), isEven);
  return exp2(-MAX_BIAS * step / f32(BIAS_HEADS));
}

// The score of a position that a token at another one sees, be it before that or behind.
fn fallen(score: f32, slope: f32, position: u32, seen: u32) -> f32 {
  if (MAX_BIAS == 0.0) { return score; }
  return score - slope * f32(max(position, seen) - min(position, seen));
}
