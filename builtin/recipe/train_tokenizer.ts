/**
 * Byte-pair encoding learned from words and how often they occur. Works on any words; knows
 * nothing of models.
 */

/** What a byte-level BPE tokenizer is: tokens by id, and merges, the most urgent first. */
export interface TrainedTokenizer {
  /** Spelled in GPT-2's byte alphabet; special tokens as they are. */
  readonly tokens: readonly string[];
  /** "left right". */
  readonly merges: readonly string[];
}

/**
 * Learns merges until there are `size` tokens: special ones, one per byte, then what merges make.
 * @param counts how often each word occurs in the text.
 */
export function trainTokenizer(
  counts: ReadonlyMap<string, number>,
  { size, special }: { size: number; special: readonly string[] },
): TrainedTokenizer {
  const alphabet = byteAlphabet();
  const encoder = new TextEncoder();
  const words = [...counts].map(([word, count]) => ({
    count,
    parts: Array.from(encoder.encode(word), (byte) => alphabet[byte]),
  }));
  const tokens = [...special, ...alphabet];
  const merges: string[] = [];
  while (tokens.length < size) {
    const best = mostFrequentPair(words);
    if (best === null) break;
    const [left, right] = best;
    merges.push(`${left} ${right}`);
    tokens.push(left + right);
    for (const word of words) word.parts = mergePair(word.parts, left, right);
  }
  return { tokens, merges };
}

type Word = { readonly count: number; parts: string[] };

/** The pair that occurs most; of equals the one that sorts first, so that runs agree. */
function mostFrequentPair(words: readonly Word[]): [string, string] | null {
  const pairs = new Map<string, number>();
  for (const { count, parts } of words) {
    for (let i = 1; i < parts.length; i++) {
      const pair = `${parts[i - 1]} ${parts[i]}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + count);
    }
  }
  let best: string | null = null;
  let bestCount = 1;
  for (const [pair, count] of pairs) {
    if (count > bestCount || (count === bestCount && best !== null && pair < best)) {
      best = pair;
      bestCount = count;
    }
  }
  if (best === null) return null;
  const [left, right] = best.split(" ");
  return [left, right];
}

function mergePair(parts: string[], left: string, right: string): string[] {
  if (!parts.includes(left)) return parts;
  const merged: string[] = [];
  for (let i = 0; i < parts.length; i++) {
    if (parts[i] === left && parts[i + 1] === right) {
      merged.push(left + right);
      i++;
    } else merged.push(parts[i]);
  }
  return merged;
}

/** GPT-2's character of each byte: itself where it is printable, else U+0100 and up, in order. */
function byteAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}
