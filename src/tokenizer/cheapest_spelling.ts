/**
 * The cheapest tokens of a text, of which each costs its score's negative in ten-thousandths (the
 * tokenizer of PLaMo 2 and 3). Unlike `Unigram` it begins at the end of a text, which decides what
 * becomes of equal ways, and counts in whole numbers, so that there are some. Works on UTF-8.
 */
import type { Steps } from "../base/steps.ts";
import type { ByteTrie } from "./byte_trie.ts";

/** What a character costs that is no token. */
const UNKNOWN_COST = 1e7;
/** Tokens that cost as much, and those whose score is no number, are no text's. */
const COST_MAX = 2e7;
/** Scores are kept in 32 bits. */
const COST_MIN = -(2 ** 31);
/** Of a text, bytes that are spelt in a few milliseconds. */
const STEP_BYTES = 1 << 13;

/** Stands for a character that is no token. */
const UNKNOWN = -1;

/** What texts are spelt with. */
export interface CheapestRules {
  /** Tokens that text may become. */
  readonly tokens: ByteTrie;
  /** By id: `costsOfScores`. */
  readonly costs: Float64Array;
  /** Appends what stands for a character that is no token. */
  readonly spellBytes: (bytes: Uint8Array, out: number[]) => void;
}

/** Costs of tokens; infinite: no text becomes it. */
export function costsOfScores(scores: ArrayLike<number>): Float64Array {
  return Float64Array.from(scores, (score) => {
    const cost = -Math.sign(score) * Math.round(Math.abs(score) * 1e4);
    return cost < COST_MAX && cost > COST_MIN ? cost : Infinity;
  });
}

/** Appends the ids of `text`; of equal ways the one whose first token is the longest. */
export function* spellCheapest(
  text: string,
  { tokens, costs, spellBytes }: CheapestRules,
  out: number[],
): Steps<void> {
  const bytes = new TextEncoder().encode(text);
  const { length } = bytes;
  // By byte where a character begins: what the rest costs, its first token and where that ends.
  const sums = new Float64Array(length + 1);
  const ids = new Int32Array(length);
  const ends = new Int32Array(length);
  let stepEnd = length - STEP_BYTES;
  for (let at = length - 1, next = length; at >= 0; at--) {
    if (at < stepEnd) {
      yield;
      stepEnd = at - STEP_BYTES;
    }
    if (isWithin(bytes[at])) {
      // A broken token may end here, and leads nowhere.
      sums[at] = Infinity;
      continue;
    }
    sums[at] = sums[next] + UNKNOWN_COST;
    ids[at] = UNKNOWN;
    ends[at] = next;
    next = at;
    let node = tokens.begin(bytes[at]);
    for (let end = at + 1; node >= 0; end++) {
      const id = tokens.idAt(node);
      const sum = id < 0 ? Infinity : sums[end] + costs[id];
      if (sum <= sums[at]) {
        sums[at] = sum;
        ids[at] = id;
        ends[at] = end;
      }
      node = end < length ? tokens.next(node, bytes[end]) : -1;
    }
  }
  for (let at = 0, stepEnd = STEP_BYTES; at < length; at = ends[at]) {
    if (at >= stepEnd) {
      yield;
      stepEnd = at + STEP_BYTES;
    }
    if (ids[at] === UNKNOWN) spellBytes(bytes.subarray(at, ends[at]), out);
    else out.push(ids[at]);
  }
}

/** Of bytes of a character all but the first. */
function isWithin(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
