/** Cuts text into the words within which a byte-level BPE merges. Knows nothing of vocabularies. */
import { UnsupportedModelError } from "../base/errors.ts";
import {
  PRE_TOKENIZER_NAMES,
  type PreTokenizer,
  preTokenizer,
  type Stage,
} from "./pre_tokenizers.ts";

/**
 * A word may not be longer, in UTF-16 units: V8's expressions keep a stack of where they might have
 * to go back to, and run out of it after some ten million letters.
 */
const BLOCK_UNITS = 1 << 21;

/** Where all but two, which have phrases, end a word: before the space between ASCII letters. */
const CERTAIN_END = /[A-Za-z](?= [A-Za-z])/g;

/**
 * The words of `text` as the pre-tokenizer called `pre` cuts it; joined, they are `text`.
 * @throws {UnsupportedModelError} when there is no pre-tokenizer of that name.
 */
export function splitWords(pre: string, text: string): string[] {
  return [...wordBlocks(findPreTokenizer(pre), text)].flat();
}

/**
 * The pre-tokenizer of that name.
 * @throws {UnsupportedModelError} when there is none.
 */
export function findPreTokenizer(pre: string): PreTokenizer {
  const found = preTokenizer(pre);
  if (found !== undefined) return found;
  throw new UnsupportedModelError(
    `Cannot split text as the model's "tokenizer.ggml.pre" says: "${
      pre.slice(0, 80)
    }" is none of ` +
      `${PRE_TOKENIZER_NAMES.join(", ")}: use a model with one of these`,
  );
}

/** `splitWords` with the pre-tokenizer at hand, some ten thousand units of `text` at a time. */
export function* wordBlocks(pre: PreTokenizer, text: string): Generator<readonly string[]> {
  if (text === "") return;
  for (const block of blocksOf(text)) yield* cutPieces([block], pre.stages, 0);
}

/** `text` in blocks short enough for an expression, cut where a word ends if one does. */
function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let begin = 0;
  while (text.length - begin > BLOCK_UNITS) {
    const end = begin + lastWordEnd(text.slice(begin, begin + BLOCK_UNITS));
    blocks.push(text.slice(begin, end));
    begin = end;
  }
  blocks.push(text.slice(begin));
  return blocks;
}

/** Units of `block` up to a sure end of a word; without one, all but half a surrogate pair. */
function lastWordEnd(block: string): number {
  const tail = Math.max(0, block.length - 65536);
  let end = 0;
  CERTAIN_END.lastIndex = tail;
  while (CERTAIN_END.test(block)) end = CERTAIN_END.lastIndex;
  if (end > 0) return end;
  const isHighSurrogate = (block.charCodeAt(block.length - 1) & 0xfc00) === 0xd800;
  return isHighSurrogate ? block.length - 1 : block.length;
}

/** UTF-16 units that are cut in a few milliseconds. */
const STEP_UNITS = 1 << 14;

/**
 * Every piece cut into what the stage `index` matches and what lies between, and each of these by
 * the stages behind it. Others may use the expressions between two steps.
 */
function* cutPieces(
  pieces: readonly string[],
  stages: readonly Stage[],
  index: number,
): Generator<readonly string[]> {
  if (index === stages.length) return yield pieces;
  const { expression, charactersFromEnd } = stages[index];
  let words: string[] = [];
  let units = 0;
  for (const piece of pieces) {
    let end = 0;
    for (;;) {
      expression.lastIndex = end;
      const match = expression.exec(piece);
      if (match === null) break;
      units += expression.lastIndex - end;
      if (match.index > end) words.push(piece.slice(end, match.index));
      end = expression.lastIndex;
      if (charactersFromEnd === 0) words.push(match[0]);
      else for (const group of groupsFromEnd(match[0], charactersFromEnd)) words.push(group);
      if (units < STEP_UNITS) continue;
      yield* cutPieces(words, stages, index + 1);
      [words, units] = [[], 0];
    }
    if (end === 0) words.push(piece);
    else if (end < piece.length) words.push(piece.slice(end));
    units += piece.length - end;
  }
  if (words.length > 0) yield* cutPieces(words, stages, index + 1);
}

/** `word` in pieces of `length` characters, the first of them what is left. */
function* groupsFromEnd(word: string, length: number): Generator<string> {
  let count = 0;
  for (let at = 0; at < word.length; at += unitsAt(word, at)) count++;
  let left = count % length || length;
  for (let begin = 0, at = 0; at < word.length;) {
    at += unitsAt(word, at);
    if (--left > 0) continue;
    yield word.slice(begin, at);
    [begin, left] = [at, length];
  }
}

/** UTF-16 units of the character at `at`. */
function unitsAt(word: string, at: number): number {
  return word.codePointAt(at)! > 0xffff ? 2 : 1;
}
