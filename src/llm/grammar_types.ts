/** What an answer must be, as whoever asks for it says it. Data only. */

/** What an answer must be; compiled by src/grammar. */
export type GrammarSource =
  & (
    | { readonly kind: "gbnf"; readonly text: string }
    /** Any JSON object. */
    | { readonly kind: "json" }
    | { readonly kind: "jsonSchema"; readonly schema: unknown }
    | { readonly kind: "parts"; readonly parts: GrammarPart; readonly named?: GrammarParts }
  )
  & {
    /** The text is free until this has been generated; the grammar holds from then on. */
    readonly trigger?: string;
  };

/** Parts that others name: written once, however often they are used. */
export type GrammarParts = Readonly<Record<string, GrammarPart>>;

/** A part of what an answer must be. */
export type GrammarPart =
  /** Exactly this text. */
  | string
  /** The control token that is spelt so, and no text. */
  | { readonly token: string }
  /** Free text, up to and with the first of these; of a list, of all its members in a row. */
  | { readonly until: GrammarMark | readonly GrammarMark[] }
  /**
   * Free text, which may end anywhere. Behind the first lead in it follows what belongs to that,
   * then `behind`; isAtStart: behind the one that it begins with.
   */
  | {
    readonly leads: readonly GrammarLead[];
    readonly isAtStart?: boolean;
    readonly behind?: GrammarPart;
  }
  /** One part after the other. */
  | { readonly all: readonly GrammarPart[] }
  | { readonly anyOf: readonly GrammarPart[] }
  /** From `min` (0) to `max` (no limit, else at least 1) times, parted by `between` (nothing). */
  | {
    readonly repeat: GrammarPart;
    readonly between?: GrammarPart;
    readonly min?: number;
    readonly max?: number;
  }
  | { readonly grammar: GrammarSource }
  /** One that the grammar names; none is a part of itself. */
  | { readonly part: string };

/** A text, or the control token that is spelt so. */
export type GrammarMark = string | { readonly token: string };

/** What in a free text is followed by something that is bound. */
export interface GrammarLead {
  /** In a row; blanks are any white space, or none. */
  readonly lead: readonly (GrammarMark | { readonly isBlank: true })[];
  /** What follows it. */
  readonly then: GrammarPart;
}

/**
 * What an answer begins with where that has to come to its end in time, as thoughts have. Behind
 * it there may be another one, unless the prompt has begun it.
 */
export interface Prelude {
  /** Of the answer, which is no sentence of it from where that begins to where it ends. */
  readonly grammar: GrammarSource;
  /** Tokens that it may have, all of them together, from where it has begun. */
  readonly tokensMax: number;
  /** Tokens that end it, which are not counted. */
  readonly endTokens: number;
}
