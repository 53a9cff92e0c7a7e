/**
 * Text as a unigram vocabulary sees it: characters replaced by the file's table, "▁" for spaces
 * and before words. Knows nothing of tokens.
 */
import { RequestError } from "../base/errors.ts";
import type { Steps } from "../base/steps.ts";
import type { CharsMap } from "./chars_map.ts";
import { utf8Length } from "./utf8.ts";

const SPACE = 0x20;
/** A space as it is written. */
const MARK_BYTES = 3;
/** NFKC makes of U+FDFA's three bytes 39 with spaces written so; more is no honest table's work. */
const GROWTH_MAX = 16;
const NOTHING = new Uint8Array(0);

/** What the file says of spaces. */
export interface UnigramSpaces {
  readonly addsSpacePrefix: boolean;
  readonly removesExtraSpaces: boolean;
}

/** Of a long text, bytes that are read in a few milliseconds. */
const STEP_BYTES = 1 << 15;

/** Prepares text for one vocabulary. */
export class UnigramText {
  readonly #spaces: UnigramSpaces;
  readonly #map: CharsMap | null;

  constructor(spaces: UnigramSpaces, map: CharsMap | null) {
    this.#spaces = spaces;
    this.#map = map;
  }

  /** @throws {RequestError} when the file's table makes far more of `text` than any real one. */
  normalize(text: string): Steps<string> {
    return new NormalizedText(this.#spaces, this.#map).read(text);
  }
}

/** One text. */
class NormalizedText {
  readonly #map: CharsMap | null;
  readonly #addsPrefix: boolean;
  readonly #merges: boolean;
  #out = NOTHING;
  #length = 0;
  #isInWord = false;
  #isPrefixed = false;

  constructor(spaces: UnigramSpaces, map: CharsMap | null) {
    this.#addsPrefix = spaces.addsSpacePrefix;
    this.#merges = spaces.removesExtraSpaces;
    this.#map = map;
  }

  *read(text: string): Steps<string> {
    const bytes = new TextEncoder().encode(text);
    this.#out = new Uint8Array(bytes.length + (bytes.length >> 1) + 64);
    let stepEnd = STEP_BYTES;
    for (let at = 0; at < bytes.length;) {
      if (at >= stepEnd) {
        yield;
        stepEnd = at + STEP_BYTES;
      }
      const replaced = this.#map === null ? 0 : this.#map.match(bytes, at);
      if (replaced > 0) {
        const { replacements, begin, end } = this.#map!;
        this.#append(replacements, begin, end);
        if (this.#length > GROWTH_MAX * (bytes.length + 256)) throw growthError();
        at += replaced;
      } else {
        const end = at + utf8Length(bytes[at]);
        this.#append(bytes, at, end);
        at = end;
      }
    }
    const normalized = this.#out.subarray(0, this.#length);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(normalized);
  }

  #append(bytes: Uint8Array, begin: number, end: number): void {
    this.#reserve((end - begin + 1) * MARK_BYTES);
    for (let i = begin; i < end; i++) {
      if (bytes[i] === SPACE) {
        this.#isInWord = false;
        if (!this.#merges) this.#appendMark();
        continue;
      }
      if (!this.#isInWord) {
        this.#isInWord = true;
        if (this.#merges || (this.#addsPrefix && !this.#isPrefixed)) this.#appendMark();
        this.#isPrefixed = true;
      }
      this.#out[this.#length++] = bytes[i];
    }
  }

  #appendMark(): void {
    this.#out[this.#length++] = 0xe2;
    this.#out[this.#length++] = 0x96;
    this.#out[this.#length++] = 0x81;
  }

  #reserve(sizeBytes: number): void {
    if (this.#length + sizeBytes <= this.#out.length) return;
    const longer = new Uint8Array(2 * (this.#length + sizeBytes));
    longer.set(this.#out);
    this.#out = longer;
  }
}

function growthError(): RequestError {
  return new RequestError(
    "Cannot read the text: the model's table of characters makes more than " +
      `${GROWTH_MAX} bytes of each: take another model`,
    { status: 400, code: "invalid_value" },
  );
}
