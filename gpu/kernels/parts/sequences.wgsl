// Part of a shader that looks where tokens are; `step` and `records` are the shader's.
//
// A token's record: its id, its position, the place of its keys and values in the cache, the word of
// `records` where its sequence's table begins, its sequence's slot, and, plus 1, the places of the
// state that its sequence goes on with and of the one that it leaves. The table has a sequence's
// blocks of 32 positions. Rows of an encoder's step are positions of one sequence, whatever texts they
// are of; nobody keeps states there, and the last two words say where the token's text begins and ends.

override RECORD: u32; // words of a token's record
override IS_APART: bool = false; // each token is another sequence's
// Where it is: tokens that see fewer positions, or more, are another shader's.
override SEEN_FROM: u32 = 0;
override SEEN_TO: u32 = 4294967295;

fn positionOf(token: u32) -> u32 { return records[token * RECORD + 1u]; }

// Where a token's keys and values go.
fn placeOfToken(token: u32) -> u32 { return records[token * RECORD + 2u]; }

fn tableOf(token: u32) -> u32 { return records[token * RECORD + 3u]; }

// Its slot.
fn sequenceOf(token: u32) -> u32 { return records[token * RECORD + 4u]; }

// Of a sequence's first token in the step; 0: there is none yet.
fn stateBefore(token: u32) -> u32 { return records[token * RECORD + 5u]; }

// 0: it is not kept.
fn stateBehind(token: u32) -> u32 { return records[token * RECORD + 6u]; }

// Of an encoder: the first row of a token's text, and the one behind its last.
fn textStartOf(token: u32) -> u32 { return records[token * RECORD + 5u]; }

fn textEndOf(token: u32) -> u32 { return records[token * RECORD + 6u]; }

// Tokens of the step that are before it in its sequence.
fn earlierTokens(token: u32) -> u32 { return select(token, 0u, IS_APART); }

// Where the cache has a position.
fn placeAt(table: u32, position: u32) -> u32 {
  return records[table + position / 32u] * 32u + position % 32u;
}

// Positions of a token's sequence, those of the step included.
fn contextOf(token: u32) -> u32 {
  if (IS_APART) { return positionOf(token) + 1u; }
  return step.position + step.tokens;
}

fn isOthers(token: u32) -> bool {
  if (!IS_APART) { return false; }
  let seen = positionOf(token) + 1u;
  return seen < SEEN_FROM || seen > SEEN_TO;
}
