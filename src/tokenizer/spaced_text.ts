/**
 * Text as SentencePiece sees it: a space before it, "▁" for spaces, and cut into words where no
 * token could cross. Knows nothing of merging.
 */
import { TokenType } from "./token_types.ts";
import type { Vocab } from "./vocab.ts";

/** What a space is written as; a text that has it means a space by it. */
export const SPACE_MARK = "▁";
const MARK_BYTES = [0xe2, 0x96, 0x81] as const;
const SPACE = 0x20;

/**
 * Reads `text` as the bytes that it stands for, "▁" being a space.
 * @returns how many bytes were put at `out[at]` and after.
 */
export function readSpaced(text: Uint8Array, out: Uint8Array, at: number): number {
  let end = at;
  for (let i = 0; i < text.length; i++) {
    const isSpace = text[i] === MARK_BYTES[0] && text[i + 1] === MARK_BYTES[1] &&
      text[i + 2] === MARK_BYTES[2];
    out[end++] = isSpace ? SPACE : text[i];
    if (isSpace) i += 2;
  }
  return end - at;
}

/** Prepares text for one vocabulary. */
export class SpacedText {
  readonly #addsPrefix: boolean;
  readonly #removesExtraSpaces: boolean;
  readonly #cutsAtSpaces: boolean;

  constructor(
    rules: { readonly addsSpacePrefix: boolean; readonly removesExtraSpaces: boolean },
    vocab: Vocab,
  ) {
    this.#addsPrefix = rules.addsSpacePrefix;
    this.#removesExtraSpaces = rules.removesExtraSpaces;
    this.#cutsAtSpaces = !hasTokenAcrossWords(vocab);
  }

  /** The pieces of `text` to merge one by one; with `atStart` the space prefix comes first. */
  wordsOf(text: string, atStart: boolean): Iterable<string> {
    let spaced = text.replaceAll(SPACE_MARK, " ");
    if (this.#removesExtraSpaces) spaced = spaced.replace(/ {2,}/g, " ").replace(/^ | $/g, "");
    if (spaced === "") return [];
    if (this.#addsPrefix && atStart) spaced = " " + spaced;
    return this.#cutsAtSpaces ? markedWords(spaced, " ") : [spaced];
  }
}

/** `text` in words: runs of `mark`, a character, and what follows them up to the next. */
export function* markedWords(text: string, mark: string): Generator<string> {
  for (let begin = 0; begin < text.length;) {
    let end = begin;
    while (text[end] === mark) end++;
    end = text.indexOf(mark, end);
    if (end < 0) end = text.length;
    yield text.slice(begin, end);
    begin = end;
  }
}

/**
 * Whether some token has a space behind another character. If none has, no merge crosses the
 * beginning of a run of spaces, and what lies between merges as it would in the whole text.
 */
function hasTokenAcrossWords({ symbols, types, size }: Vocab): boolean {
  for (let id = 0; id < size; id++) {
    if (types[id] === TokenType.userDefined || types[id] === TokenType.byte) continue;
    const bytes = symbols.bytesOf(id);
    const space = bytes.lastIndexOf(SPACE);
    if (space > 0 && bytes.subarray(0, space).some((byte) => byte !== SPACE)) return true;
  }
  return false;
}
