/**
 * The tokenizer: finds special tokens, hands what lies between to the encoder of its kind, and
 * turns ids back into text. Knows nothing of merging.
 */
import { runSteps, type Steps } from "../base/steps.ts";
import { decodeIds, type TokenBytes, Utf8StreamDecoder } from "./decoder.ts";
import { SpecialMatcher } from "./special_matcher.ts";
import { TokenType } from "./token_types.ts";
import type { StreamDecoder, Tokenizer } from "./types.ts";
import type { Vocab } from "./vocab.ts";
import type { VocabKind } from "./vocab_metadata.ts";

/**
 * Appends the ids of text without special tokens to `out`, in steps; `afterSpecial` at the
 * beginning of a text and behind a special token.
 */
export type PlainTextEncoder = (
  plain: string,
  context: { readonly afterSpecial: boolean; readonly out: number[] },
) => Iterable<void>;

/** What a vocabulary does not say. */
export interface TokenizerRules {
  readonly kind: VocabKind;
  readonly encodePlain: PlainTextEncoder;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly addSeparator: boolean;
  readonly pairTemplate: string | null;
  readonly addsSpacePrefix: boolean;
  /** Whether a special token takes the white space behind it with it. */
  readonly specialsSwallowSpace: boolean;
  /** The token that takes the white space before it with it; null: none does. */
  readonly swallowsBefore: string | null;
  readonly warnings: readonly string[];
}

/** `SPECIAL_TOKEN_BREAKER` where it is no half of a character. */
const BREAKERS = /\uD800/gu;
/** White space of C's `isspace`. */
const SPACES = /[ \t\n\v\f\r]*/y;
/** Special tokens of Phi 3 that leave the white space behind them alone. */
const NEVER_SWALLOW: ReadonlySet<string> = new Set(["<unk>", "<s>", "<|endoftext|>"]);

const NO_BYTES = new Uint8Array(0);
/** UTF-16 units of texts between special tokens that are encoded in a few milliseconds. */
const STEP_UNITS = 1 << 14;

/** A tokenizer over one vocabulary. */
export class VocabTokenizer implements Tokenizer, TokenBytes {
  readonly kind: VocabKind;
  readonly vocabSize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly endIds: ReadonlySet<number>;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly separatorId: number | null;
  readonly addSeparator: boolean;
  readonly pairTemplate: string | null;
  readonly addsSpacePrefix: boolean;
  readonly specialTexts: readonly string[];
  readonly warnings: readonly string[];
  readonly #vocab: Vocab;
  readonly #encodePlain: PlainTextEncoder;
  /** Ids whose token takes the white space behind it with it. */
  readonly #swallowsSpace: ReadonlySet<number>;
  /** The id whose token takes the white space before it with it, or -1. */
  readonly #swallowsBefore: number;
  readonly #specials: SpecialMatcher;
  readonly #userDefined: SpecialMatcher;

  constructor(vocab: Vocab, rules: TokenizerRules) {
    this.kind = rules.kind;
    this.vocabSize = vocab.size;
    this.bosId = vocab.bosId;
    this.eosId = vocab.eosId;
    this.endIds = vocab.endIds;
    this.addBos = rules.addBos;
    this.addEos = rules.addEos;
    this.separatorId = vocab.separatorId;
    this.addSeparator = rules.addSeparator;
    this.pairTemplate = rules.pairTemplate;
    this.addsSpacePrefix = rules.addsSpacePrefix;
    this.warnings = rules.warnings;
    this.#vocab = vocab;
    this.#encodePlain = rules.encodePlain;
    const specials = specialTokens(vocab);
    const userDefined = specials.filter(({ id }) => vocab.types[id] === TokenType.userDefined);
    this.#specials = new SpecialMatcher(specials);
    this.#userDefined = new SpecialMatcher(userDefined);
    this.specialTexts = [...new Set(specials.map(({ text }) => text))];
    const swallowing = rules.specialsSwallowSpace ? specials : [];
    this.#swallowsBefore = specials.find(({ text }) => text === rules.swallowsBefore)?.id ?? -1;
    this.#swallowsSpace = new Set(
      swallowing.filter(({ text }) => !NEVER_SWALLOW.has(text)).map(({ id }) => id),
    );
  }

  encode(text: string, options?: { special?: boolean }): number[] {
    return runSteps(this.encodeSteps(text, options));
  }

  *encodeSteps(
    text: string,
    { special = false }: { special?: boolean } = {},
  ): Steps<number[]> {
    const out: number[] = [];
    const matcher = special ? this.#specials : this.#userDefined;
    let afterSpecial = true;
    let stepEnd = STEP_UNITS;
    for (let at = 0; at < text.length;) {
      if (at >= stepEnd) {
        yield;
        stepEnd = at + STEP_UNITS;
      }
      const match = matcher.find(text, at);
      let plain = text.slice(at, match?.begin);
      if (match?.id === this.#swallowsBefore) plain = withoutEndSpaces(plain);
      if (special) plain = plain.replace(BREAKERS, "");
      if (plain !== "") {
        yield* this.#encodePlain(plain, { afterSpecial, out });
        afterSpecial = false;
      }
      if (match === null) break;
      out.push(match.id);
      afterSpecial = true;
      at = this.#swallowsSpace.has(match.id) ? endOfSpaces(text, match.end) : match.end;
    }
    return out;
  }

  decode(ids: readonly number[], { special = false }: { special?: boolean } = {}): string {
    return decodeIds(ids, this, (id) => special ? this.#hiddenBytesOf(id) : NO_BYTES);
  }

  /** The token's bytes, a view that must not be written to; none for ids that are no token's. */
  bytesOf(id: number): Uint8Array {
    return this.#isToken(id) ? this.#vocab.symbols.bytesOf(id) : NO_BYTES;
  }

  /** The token's text as the vocabulary spells it; empty for ids that are no token's. */
  pieceOf(id: number): string {
    return this.#isToken(id) ? this.#vocab.tokens.at(id) : "";
  }

  streamDecoder({ atStart = false }: { atStart?: boolean } = {}): StreamDecoder {
    return new Utf8StreamDecoder(this, atStart);
  }

  /** Models may have more logits than their vocabulary has tokens, so that such ids do occur. */
  #isToken(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.vocabSize;
  }

  /** The text of a control token; other tokens without bytes stay hidden. */
  #hiddenBytesOf(id: number): Uint8Array {
    const isHidden = this.#isToken(id) && isMarker(this.#vocab.types[id]);
    return isHidden ? this.#vocab.tokens.bytesAt(id) : NO_BYTES;
  }
}

/** All tokens that are looked for in text before it is encoded. */
function specialTokens({ types, tokens }: Vocab): { id: number; text: string }[] {
  const found: { id: number; text: string }[] = [];
  types.forEach((type, id) => {
    if (type !== TokenType.userDefined && !isMarker(type)) return;
    const text = tokens.at(id);
    if (text !== "") found.push({ id, text });
  });
  return found;
}

/** Tokens that mark something and are no text themselves. */
function isMarker(type: number): boolean {
  return type === TokenType.control || type === TokenType.unknown;
}

function withoutEndSpaces(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(0, end);
}

/** As C's `isspace` has it. */
function isSpace(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

function endOfSpaces(text: string, from: number): number {
  SPACES.lastIndex = from;
  SPACES.test(text);
  return SPACES.lastIndex;
}
