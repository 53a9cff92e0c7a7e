/** What is asked of a model, before anything is computed of it: ids, and how many may follow. */
import { isModelChanged, RequestError } from "../base/errors.ts";
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

/**
 * How many tokens may be generated: Infinity is "until the context is full", as is leaving it out.
 * @throws {RequestError} 400 when it is no number of tokens.
 */
export function tokensWanted(maxTokens: number | undefined, contextLength: number): number {
  if (maxTokens === undefined || maxTokens === Infinity) return contextLength;
  if (Number.isInteger(maxTokens) && maxTokens >= 0) return maxTokens;
  throw new RequestError(
    `Cannot generate ${maxTokens} tokens: maxTokens is an integer of at least 0`,
    { status: 400, code: "invalid_value", param: "max_tokens" },
  );
}

/** @throws {RequestError} 500 when the engine has failed; the failure: its model has changed. */
export function requireAlive(failure: Error | null): void {
  if (failure === null) return;
  if (isModelChanged(failure)) throw failure;
  throw new RequestError(`The engine has failed: ${failure.message}: load the model again`, {
    status: 500,
    code: "engine_failed",
  });
}

function promptError(
  code: string,
  message: string,
  tokens: RequestError["tokens"] = null,
): RequestError {
  return new RequestError(message, { status: 400, code, tokens });
}
