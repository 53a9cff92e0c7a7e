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

/** Cuts texts. */
export class BertWords {
  readonly #normalizer: BertNormalizer;
  /** By UTF-16 unit; what is beyond them is read anew each time. */
  readonly #actions = new Int32Array(BMP);

  constructor(normalizer: BertNormalizer) {
    this.#normalizer = normalizer;
  }

  /** The words of `text`, none of which is empty. */
  *of(text: string): Generator<string> {
    const word = new OpenWord();
    for (let at = 0; at < text.length; at++) {
      let code = text.charCodeAt(at);
      if ((code & 0xfc00) === 0xd800) code = text.codePointAt(at)!;
      if (code >= BMP) at++;
      const found = this.#read(code);
      const action = found & ((1 << ACTION_BITS) - 1);
      if (action === PART) {
        word.push(found >> ACTION_BITS);
      } else if (action !== DROPPED) {
        if (!word.isEmpty) yield word.take();
        if (action === ALONE) yield String.fromCodePoint(found >> ACTION_BITS);
      }
    }
    if (!word.isEmpty) yield word.take();
  }

  #read(code: number): number {
    if (code >= BMP) return actionOf(code, this.#normalizer);
    const known = this.#actions[code];
    return known !== UNREAD ? known : this.#actions[code] = actionOf(code, this.#normalizer);
  }
}

/** What there is of a word. */
class OpenWord {
  #units = new Uint16Array(256);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  push(code: number): void {
    if (this.#length + 2 > this.#units.length) {
      const longer = new Uint16Array(2 * this.#units.length);
      longer.set(this.#units);
      this.#units = longer;
    }
    if (code >= BMP) {
      this.#units[this.#length++] = 0xd800 + ((code - BMP) >> 10);
      this.#units[this.#length++] = 0xdc00 + (code & 0x3ff);
    } else {
      this.#units[this.#length++] = code;
    }
  }

  /** The word, which begins anew. */
  take(): string {
    const units = this.#units.subarray(0, this.#length);
    this.#length = 0;
    return units.length <= ARGUMENTS_MAX
      ? String.fromCharCode.apply(null, units as unknown as number[])
      : new TextDecoder("utf-16le", { ignoreBOM: true }).decode(units);
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
