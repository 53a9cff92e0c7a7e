/**
 * The pairs that merge, from what a file has: byte-level BPE lists them in order; SentencePiece
 * has scores, and every way to cut a token in two is a pair. Symbols that are no tokens but lead to
 * one are added behind the vocabulary.
 */
import { isStepEnd, type Steps } from "../base/steps.ts";
import type { StringArray } from "../gguf/mod.ts";
import { PairTable } from "./pair_table.ts";
import { EMPTY_HASH, extendHash, HashPowers, type SymbolTable } from "./symbol_table.ts";
import { utf8Length } from "./utf8.ts";

const SPACE = 0x20;

/**
 * Longer SentencePiece tokens merge from nothing. Real ones have a tenth of this; a hostile file
 * with one token for each number of "a"s would take time with the cube of its longest.
 */
const CUT_BYTES_MAX = 256;

/**
 * Puts the bytes that a spelling stands for at `out[at]` and after.
 * @returns how many; -1: it is none.
 */
export type ReadSpelling = (text: Uint8Array, out: Uint8Array, at: number) => number;

/**
 * Pairs of a list of merges, "left right" as tokens are spelt, ranked by their place in it. An
 * entry that is not of this form merges nothing.
 */
export function* pairsFromMerges(
  merges: StringArray,
  symbols: SymbolTable,
  read: ReadSpelling,
): Steps<PairTable> {
  const pairs = new PairTable(merges.length);
  let scratch = new Uint8Array(256);
  for (let rank = 0; rank < merges.length; rank++) {
    if (isStepEnd(rank)) yield;
    const text = merges.bytesAt(rank);
    if (text.length > scratch.length) scratch = new Uint8Array(2 * text.length);
    const space = text.indexOf(SPACE, 1);
    if (space < 0) continue;
    const leftBytes = read(text.subarray(0, space), scratch, 0);
    const rightBytes = read(text.subarray(space + 1), scratch, leftBytes);
    if (leftBytes <= 0 || rightBytes <= 0) continue;
    pairs.add({
      left: symbols.intern(scratch, 0, leftBytes),
      right: symbols.intern(scratch, leftBytes, leftBytes + rightBytes),
      merged: symbols.intern(scratch, 0, leftBytes + rightBytes),
      rank,
    });
  }
  return pairs;
}

/**
 * Pairs of a SentencePiece vocabulary of `size` tokens: two neighbours merge when together they are
 * a token, the one with the highest score first.
 */
export function* pairsFromScores(
  scores: ArrayLike<number> | null,
  symbols: SymbolTable,
  size: number,
): Steps<PairTable> {
  const pairs = new PairTable(2 * size);
  const ranks = yield* ranksOf(scores, size);
  const mergeable: number[] = [];
  for (let id = 0; id < size; id++) {
    if (isStepEnd(id)) yield;
    const sizeBytes = symbols.endOf(id) - symbols.beginOf(id);
    if (sizeBytes <= CUT_BYTES_MAX && isIndexed(symbols, id)) mergeable.push(id);
  }
  for (let i = 0; i < mergeable.length; i++) {
    if (isStepEnd(i)) yield;
    addCharacters(symbols, mergeable[i]);
  }
  const powers = new HashPowers();
  for (let i = 0; i < mergeable.length; i++) {
    if (isStepEnd(i)) yield;
    const id = mergeable[i];
    addCuts({ symbols, powers, pairs, id, rank: ranks[id] });
  }
  return pairs;
}

/**
 * For each token how many distinct scores are above its own; a score that is no number loses
 * against all others.
 */
function* ranksOf(scores: ArrayLike<number> | null, size: number): Steps<Int32Array> {
  const ranks = new Int32Array(size);
  if (scores === null) return ranks;
  const known = Float64Array.from(scores, (score) => Number.isNaN(score) ? -Infinity : score);
  yield;
  const sorted = known.slice().sort();
  yield;
  // Distinct ones, the highest first, and behind them what equals nothing.
  const distinct = new Float64Array(size).fill(NaN);
  let count = 0;
  for (let i = size - 1; i >= 0; i--) {
    if (count === 0 || sorted[i] !== distinct[count - 1]) distinct[count++] = sorted[i];
  }
  let rank = 0;
  for (let id = 0; id < size; id++) {
    if (isStepEnd(id)) yield;
    // Most vocabularies are in the order of their scores.
    if (distinct[rank] !== known[id]) {
      rank = distinct[rank + 1] === known[id] ? rank + 1 : rankOf(known[id], distinct, count);
    }
    ranks[id] = rank;
  }
  return ranks;
}

/** Where a score is among the first `count` of `distinct`, the highest first, which have it. */
function rankOf(score: number, distinct: Float64Array, count: number): number {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (distinct[middle] <= score) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Whether text may become the token, and it is the first of its kind. */
function isIndexed(symbols: SymbolTable, id: number): boolean {
  return symbols.find(symbols.buffer, symbols.beginOf(id), symbols.endOf(id)) === id;
}

/** Makes symbols of the characters of `id`: that is what its merging begins with. */
function addCharacters(symbols: SymbolTable, id: number): void {
  const end = symbols.endOf(id);
  for (let at = symbols.beginOf(id); at < end;) {
    const next = Math.min(end, at + utf8Length(symbols.buffer[at]));
    symbols.intern(symbols.buffer, at, next);
    at = next;
  }
}

/** Adds every pair of symbols that together are `id`. */
function addCuts(of: {
  symbols: SymbolTable;
  powers: HashPowers;
  pairs: PairTable;
  id: number;
  rank: number;
}): void {
  const { symbols, powers, pairs, id, rank } = of;
  const bytes = symbols.buffer;
  const begin = symbols.beginOf(id);
  const end = symbols.endOf(id);
  let whole = EMPTY_HASH;
  for (let at = begin; at < end; at++) whole = extendHash(whole, bytes[at]);
  let head = EMPTY_HASH;
  for (let at = begin + 1; at < end; at++) {
    head = extendHash(head, bytes[at - 1]);
    if ((bytes[at] & 0xc0) === 0x80) continue;
    const left = symbols.findHashed(bytes, begin, at, head);
    if (left < 0) continue;
    const right = symbols.findHashed(bytes, at, end, powers.tailHash(whole, head, end - at));
    if (right >= 0) pairs.add({ left, right, merged: id, rank });
  }
}
