/** Sets of code points as sorted ranges, and the byte sequences in which UTF-8 writes them. */

/** [first, last, first, last, …], ascending, apart, without surrogates. */
export type CodePoints = readonly number[];

const CODE_POINT_MAX = 0x10ffff;
const SURROGATE_FIRST = 0xd800;
const SURROGATE_LAST = 0xdfff;

/** Every code point. */
export const ANY_CODE_POINT: CodePoints = [0, 0xd7ff, 0xe000, CODE_POINT_MAX];

/** The set of any pairs [first, last, …], in whatever order and overlapping as they like. */
export function codePoints(pairs: readonly number[]): CodePoints {
  const sorted: (readonly [number, number])[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const first = Math.max(0, pairs[i]);
    const last = Math.min(CODE_POINT_MAX, pairs[i + 1]);
    if (first < SURROGATE_FIRST) sorted.push([first, Math.min(last, SURROGATE_FIRST - 1)]);
    if (last > SURROGATE_LAST) sorted.push([Math.max(first, SURROGATE_LAST + 1), last]);
  }
  const set: number[] = [];
  for (const [first, last] of sorted.filter(([a, b]) => a <= b).sort((a, b) => a[0] - b[0])) {
    if (set.length > 0 && first <= set[set.length - 1] + 1) {
      set[set.length - 1] = Math.max(set[set.length - 1], last);
    } else set.push(first, last);
  }
  return set;
}

/** All code points that are not in the set. */
export function without(set: CodePoints): CodePoints {
  const pairs: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i] > next) pairs.push(next, set[i] - 1);
    next = set[i + 1] + 1;
  }
  if (next <= CODE_POINT_MAX) pairs.push(next, CODE_POINT_MAX);
  return codePoints(pairs);
}

/** What is in both. */
export function common(a: CodePoints, b: CodePoints): CodePoints {
  return without(codePoints([...without(a), ...without(b)]));
}

export function hasCodePoint(set: CodePoints, point: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (point >= set[i] && point <= set[i + 1]) return true;
  return false;
}

/** Byte sequences, each [first, last] per byte: together they spell the set, and nothing else. */
export function utf8Sequences(set: CodePoints): number[][] {
  const sequences: number[][] = [];
  for (let i = 0; i < set.length; i += 2) {
    // Ranges still to be split, the lowest on top.
    const rest: [number, number][] = [[set[i], set[i + 1]]];
    for (let range = rest.pop(); range !== undefined; range = rest.pop()) {
      const [first, last] = range;
      const cut = cutOf(first, last);
      if (cut === null) sequences.push(bytesBetween(first, last));
      else rest.push([cut + 1, last], [first, cut]);
    }
  }
  return sequences;
}

/** Where a range has to be cut so that each byte runs through a range of its own; null: nowhere. */
function cutOf(first: number, last: number): number | null {
  for (const end of [0x7f, 0x7ff, 0xffff]) if (first <= end && last > end) return end;
  const length = utf8Length(first);
  for (let i = 1; i < length; i++) {
    const low = (1 << (6 * i)) - 1; // what the last i bytes say
    if ((first & ~low) === (last & ~low)) continue;
    if ((first & low) !== 0) return first | low;
    if ((last & low) !== low) return (last & ~low) - 1;
  }
  return null;
}

function bytesBetween(first: number, last: number): number[] {
  const a = utf8Bytes(first);
  const b = utf8Bytes(last);
  return a.flatMap((byte, i) => [byte, b[i]]);
}

function utf8Length(point: number): number {
  return point <= 0x7f ? 1 : point <= 0x7ff ? 2 : point <= 0xffff ? 3 : 4;
}

function utf8Bytes(point: number): number[] {
  const length = utf8Length(point);
  if (length === 1) return [point];
  const bytes = [(0xf00 >> length) & 0xff | point >> (6 * (length - 1))];
  for (let i = length - 2; i >= 0; i--) bytes.push(0x80 | (point >> (6 * i)) & 0x3f);
  return bytes;
}
