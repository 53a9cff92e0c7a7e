/** Answers of `/completion` and `/infill` as llama.cpp's clients read them. Pure. */
import type { LanguageModel, TokenLogprobs } from "../../llm/types.ts";
import type { Choice } from "../answers/choices.ts";
import { chatLogprobs } from "../openai/logprobs.ts";
import { cachedOf, timingsOnWire } from "../openai/wire.ts";

/** A piece of a stream. */
export function pieceOnWire(
  model: LanguageModel,
  { index, text, ids, logprobs }: Pick<NativeEnd, "index" | "text" | "ids" | "logprobs">,
) {
  return {
    ...{ index, content: text, tokens: ids, stop: false },
    ...probabilities(model, logprobs),
  };
}

/** An answer, as it is when it has ended. */
export interface NativeEnd {
  readonly index: number;
  /** Of a stream, what has not been sent. */
  readonly text: string;
  /** The same of ids; empty where nobody asked for them. */
  readonly ids: readonly number[];
  readonly logprobs: readonly TokenLogprobs[];
  /** Whether it was ended by its lines: see LineWatch. */
  readonly isCut: boolean;
  readonly hasLine: boolean;
  readonly result: Choice["result"];
}

export function endOnWire(model: LanguageModel, end: NativeEnd) {
  const { index, text, ids, logprobs, isCut, hasLine, result } = end;
  const { finishReason, stopText, timings } = result;
  const byStop = finishReason === "stop" && !isCut;
  return {
    ...{ index, content: text, tokens: ids, stop: true, model: model.id },
    tokens_predicted: timings.predictedTokens,
    tokens_evaluated: timings.promptTokens,
    tokens_cached: timings.promptTokens + timings.predictedTokens,
    ...{ has_new_line: hasLine, truncated: false },
    stop_type: !byStop ? "limit" : stopText === undefined ? "eos" : "word",
    stopping_word: stopText ?? "",
    ...probabilities(model, logprobs),
    timings: { ...timingsOnWire([timings]), cache_n: cachedOf(timings) },
  };
}

function probabilities(model: LanguageModel, tokens: readonly TokenLogprobs[]) {
  if (tokens.length === 0) return {};
  const written = chatLogprobs(model, tokens);
  const named = tokens.map(({ id, top }, index) => {
    const { top_logprobs: others, ...rest } = written[index];
    return { id, ...rest, top_logprobs: others.map((each, i) => ({ id: top[i].id, ...each })) };
  });
  return { completion_probabilities: named };
}

/** Only what is wanted of an answer: "timings/prompt_n" is a member of that name. */
export function chosenFields(answer: object, paths: readonly string[] | undefined): object {
  if (paths === undefined || paths.length === 0) return answer;
  const chosen: [string, unknown][] = [];
  for (const path of paths) {
    let value: unknown = answer;
    for (const name of path.split("/")) {
      value = typeof value === "object" && value !== null && Object.hasOwn(value, name)
        ? (value as Record<string, unknown>)[name]
        : undefined;
    }
    if (value !== undefined) chosen.push([path, value]);
  }
  return Object.fromEntries(chosen);
}
