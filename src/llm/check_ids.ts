/** Ids of a prompt, before anything is computed of them. */
import { RequestError } from "../base/errors.ts";
import { counted } from "../base/units.ts";
import type { GivenRows } from "../engine/types.ts";

/** What a model can take. */
export interface IdLimits {
  readonly contextLength: number;
  readonly vocabSize: number;
  /** The prompt may fill the context: no answer follows it. */
  readonly mayFill?: boolean;
  /** Rows that ids below 0 name; left out: none do. */
  readonly given?: readonly GivenRows[];
}

/**
 * Refuses ids that cannot be computed; one place is left for an answer unless `mayFill`.
 * @throws {RequestError} 400; which field of a request the ids came from is for others to say.
 */
export function checkIds(
  ids: readonly number[],
  { contextLength, vocabSize, mayFill = false, given = [] }: IdLimits,
): void {
  if (ids.length === 0) {
    throw promptError("empty_prompt", "The prompt is empty: send at least one token");
  }
  const max = contextLength - (mayFill ? 0 : 1);
  if (ids.length > max) {
    throw promptError(
      "context_length_exceeded",
      `The prompt has ${counted(ids.length, "token")}, the context holds ${contextLength}: ` +
        `shorten it, or start with a larger --ctx-size`,
      { count: ids.length, max },
    );
  }
  const isId = (id: number) => Number.isInteger(id) && (id >= 0 || given.length > 0);
  const bad = ids.find((id) => !isId(id) || id >= vocabSize);
  if (bad === undefined) return;
  throw promptError(
    "invalid_token_id",
    `The prompt holds token id ${bad}: this model's ids are 0 to ${vocabSize - 1}`,
  );
}

/**
 * Refuses a text that has too many tokens, were each of them the longest there is: to count them
 * takes seconds of a long one, in which nobody else is answered.
 * @throws {RequestError} 400, as of ids.
 */
export function checkLength(
  text: string,
  { contextLength, tokenBytesMax }: {
    readonly contextLength: number;
    readonly tokenBytesMax: number;
  },
): void {
  // A byte of a token is one character at most.
  const least = Math.ceil(text.length / tokenBytesMax);
  if (least <= contextLength) return;
  throw promptError(
    "context_length_exceeded",
    `The prompt has at least ${least} tokens, the context holds ${contextLength}: shorten it, or ` +
      "start with a larger --ctx-size",
    { count: least, max: contextLength },
  );
}

function promptError(
  code: string,
  message: string,
  tokens: RequestError["tokens"] = null,
): RequestError {
  return new RequestError(message, { status: 400, code, tokens });
}
