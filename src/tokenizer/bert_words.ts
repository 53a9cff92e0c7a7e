/**
 * Text cut into the words that WordPiece spells, as llama.cpp's files mean it: at white space, and
 * around every mark of punctuation, ASCII symbol and Chinese character; accents and case dropped
 * where the vocabulary has none. Knows nothing of vocabularies.
 */

/** What a vocabulary has no forms of. */
export interface BertNormalizer {
  readonly lowercases: boolean;
  readonly stripsAccents: boolean;
}

/** What a character does to words: the low bits of what the table has; above, what it becomes. */
const ACTION_BITS = 3;
const UNREAD = 0;
const DROPPED = 1;
const SPACE = 2;
const ALONE = 3;
const PART = 4;

const WHITE_SPACE = /\p{White_Space}/u;
/** Controls, formats, private use and half a pair; what no Unicode names is a letter. */
const NO_TEXT = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\uFFFD]/u;
const ACCENT = /\p{M}/u;
const MARK = /[\p{P}$+<=>^`|~]/u;
/** Of Extension E the first 256 are missing: Hugging Face's tokenizers began there with a slip. */
const CHINESE = new RegExp(
  String.raw`[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}` +
    String.raw`\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]`,
  "u",
);

const BMP = 0x10000;
/** Longer words are not made of arguments, of which a call may have some ten thousand. */
const ARGUMENTS_MAX = 1024;
/** Scratch space beyond this many units is given back after the word that needed it. */
const KEPT_UNITS = 1 << 16;

/** Cuts text, one at a time, in scratch space of its own. */
export class BertWords {
  readonly #normalizer: BertNormalizer;
  /** By UTF-16 unit; what is beyond them is read anew each time. */
  readonly #actions = new Int32Array(BMP);
  #word = new Uint16Array(256);
  #length = 0;

  constructor(normalizer: BertNormalizer) {
    this.#normalizer = normalizer;
  }

  /** Calls `take` with every word of `text`, none of which is empty. */
  forEach(text: string, take: (word: string) => void): void {
    for (let at = 0; at < text.length; at++) {
      let code = text.charCodeAt(at);
      if ((code & 0xfc00) === 0xd800) code = text.codePointAt(at)!;
      if (code >= BMP) at++;
      const found = this.#read(code);
      const action = found & ((1 << ACTION_BITS) - 1);
      if (action === PART) {
        this.#push(found >> ACTION_BITS);
      } else if (action !== DROPPED) {
        this.#end(take);
        if (action === ALONE) take(String.fromCodePoint(found >> ACTION_BITS));
      }
    }
    this.#end(take);
    if (this.#word.length > KEPT_UNITS) this.#word = new Uint16Array(KEPT_UNITS);
  }

  #read(code: number): number {
    if (code >= BMP) return actionOf(code, this.#normalizer);
    const known = this.#actions[code];
    return known !== UNREAD ? known : this.#actions[code] = actionOf(code, this.#normalizer);
  }

  #push(code: number): void {
    if (this.#length + 2 > this.#word.length) {
      const longer = new Uint16Array(2 * this.#word.length);
      longer.set(this.#word);
      this.#word = longer;
    }
    if (code >= BMP) {
      this.#word[this.#length++] = 0xd800 + ((code - BMP) >> 10);
      this.#word[this.#length++] = 0xdc00 + (code & 0x3ff);
    } else {
      this.#word[this.#length++] = code;
    }
  }

  #end(take: (word: string) => void): void {
    if (this.#length === 0) return;
    const units = this.#word.subarray(0, this.#length);
    this.#length = 0;
    take(
      units.length <= ARGUMENTS_MAX
        ? String.fromCharCode.apply(null, units as unknown as number[])
        : new TextDecoder("utf-16le", { ignoreBOM: true }).decode(units),
    );
  }
}

/** What the character does, and what it becomes. */
function actionOf(code: number, { lowercases, stripsAccents }: BertNormalizer): number {
  // Of a character's decomposition only the first is kept: of Korean syllables, too.
  let character = String.fromCodePoint(code);
  if (stripsAccents) character = firstOf(character.normalize("NFD"));
  if (WHITE_SPACE.test(character)) return SPACE;
  if (NO_TEXT.test(character)) return DROPPED;
  if (stripsAccents && ACCENT.test(character)) return DROPPED;
  const isAlone = MARK.test(character) || CHINESE.test(character);
  if (lowercases) character = firstOf(character.toLowerCase());
  return character.codePointAt(0)! << ACTION_BITS | (isAlone ? ALONE : PART);
}

function firstOf(text: string): string {
  return String.fromCodePoint(text.codePointAt(0)!);
}
