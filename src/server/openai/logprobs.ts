/** Log probabilities as OpenAI's clients read them. Pure. */
import type { LanguageModel, TokenLogprob, TokenLogprobs } from "../../llm/types.ts";

/** Writes the log probabilities of an answer's choices, piece by piece. */
export interface LogprobsWriter {
  /** Of the next tokens of choice `index`. */
  of(index: number, tokens: readonly WrittenToken[]): unknown;
}

/** The first token of a prompt: nothing is before it, and so nobody knows how likely it is. */
export interface FirstToken {
  readonly id: number;
  readonly logprob: null;
  readonly top: null;
}

export type WrittenToken = TokenLogprobs | FirstToken;

type TokenBytes = Pick<LanguageModel, "tokenBytes">;

/** A token as text, which may be a part of a character only, its bytes, and its logarithm. */
function logprobOnWire(model: TokenBytes, { id, logprob }: TokenLogprob) {
  const bytes = model.tokenBytes(id);
  return { token: textOf(bytes), logprob: finite(logprob), bytes: [...bytes] };
}

/** A list of tokens with their alternatives, as chats have it. */
export function chatLogprobs(model: TokenBytes, tokens: readonly TokenLogprobs[]) {
  return tokens.map((token) => ({
    ...logprobOnWire(model, token),
    top_logprobs: token.top.map((each) => logprobOnWire(model, each)),
  }));
}

function isKnown(token: WrittenToken): token is TokenLogprobs {
  return token.logprob !== null;
}

export function chatLogprobsWriter(model: TokenBytes): LogprobsWriter {
  return {
    of: (_index, tokens) => ({
      content: chatLogprobs(model, tokens.filter(isKnown)),
      refusal: null,
    }),
  };
}

/** Of plain text, which may begin with its prompt. */
export function textLogprobsWriter(model: TokenBytes): LogprobsWriter {
  const offsets = new Map<number, number>();
  return {
    of: (index, tokens) => {
      let offset = offsets.get(index) ?? 0;
      const texts = tokens.map(({ id }) => textOf(model.tokenBytes(id)));
      const textOffsets = texts.map((text) => {
        const at = offset;
        offset += text.length;
        return at;
      });
      offsets.set(index, offset);
      return {
        tokens: texts,
        token_logprobs: tokens.map(({ logprob }) => logprob === null ? null : finite(logprob)),
        top_logprobs: tokens.map(({ top }) =>
          top && Object.fromEntries(
            top.map(({ id, logprob }) => [textOf(model.tokenBytes(id)), finite(logprob)]),
          )
        ),
        text_offset: textOffsets,
      };
    },
  };
}

const decoder = new TextDecoder();

function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** JSON has no infinity; OpenAI writes this for what cannot occur. */
function finite(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}
