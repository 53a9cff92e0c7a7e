/**
 * Choices of an answer: what generations make, with calls of functions told apart from text. Knows
 * nothing of how any API writes them.
 */
import { RequestError } from "../../base/errors.ts";
import type { GenerateRequest, GenerateResult, TokenLogprobs } from "../../llm/types.ts";
import type { CallParser, Delta } from "../tools/call_parser.ts";
import { watchGeneration } from "../telemetry/generations.ts";
import { cutShortError } from "../work_stop.ts";
import type { Work } from "./answer.ts";
import { startGenerations } from "./generations.ts";

/** A prompt in ids, and in text where the answer should repeat it. */
export interface Prompt {
  readonly ids: readonly number[];
  readonly echo: string;
}

/** What is asked of a model, for each of the prompts. */
export interface Ask {
  readonly prompts: readonly Prompt[];
  /** Answers to each prompt. */
  readonly count: number;
  readonly request: Omit<GenerateRequest, "ids" | "signal">;
  /** Makes what finds calls in a choice's text; left out: all is text. */
  readonly newParser?: () => CallParser;
}

/** A call of a function that the model wants done. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it. */
  readonly arguments: string;
}

export type ChoiceFinish = "stop" | "length" | "tool_calls";

/** Something new of choice `index`. */
export type ChoiceEvent =
  | {
    readonly kind: "piece";
    readonly index: number;
    readonly deltas: readonly Delta[];
    readonly logprobs: readonly TokenLogprobs[];
  }
  | {
    readonly kind: "end";
    readonly index: number;
    readonly finish: ChoiceFinish;
    readonly result: GenerateResult;
  };

/** A choice as a whole. */
export interface Choice {
  readonly text: string;
  readonly calls: readonly ToolCall[];
  readonly logprobs: readonly TokenLogprobs[];
  readonly finish: ChoiceFinish;
  readonly result: GenerateResult;
}

/**
 * Asks the request's model, at once. Choices of the first prompt come first: choice i is of prompt
 * floor(i / count).
 * @throws {RequestError} at once, when the model refuses the first.
 */
export function startChoices(
  { settings, lease: { model }, requestId }: Work,
  ask: Ask,
  signal: AbortSignal,
): AsyncGenerator<ChoiceEvent> {
  const requests = ask.prompts.flatMap(({ ids }) =>
    Array.from({ length: ask.count }, (_, index) => ({
      ...ask.request,
      ids,
      ...(index > 0 && { sampling: withOwnSeed(ask.request.sampling, index) }),
    }))
  );
  const start = (request: GenerateRequest) =>
    watchGeneration(
      { settings, model, requestId, ids: request.ids },
      () => model.generate(request),
    );
  const cutShort = () => cutShortError(settings);
  return readChoices(startGenerations(start, requests, signal), ask, cutShort);
}

/** Every choice as a whole, in order. */
export async function collectChoices(
  events: AsyncIterable<ChoiceEvent>,
  count: number,
): Promise<Choice[]> {
  const open = Array.from({ length: count }, () => ({
    text: "",
    calls: [] as { id: string; name: string; arguments: string }[],
    logprobs: [] as TokenLogprobs[],
  }));
  const choices: Choice[] = [];
  for await (const event of events) {
    const choice = open[event.index];
    if (event.kind === "end") {
      const { finish, result } = event;
      choices[event.index] = { ...choice, finish, result };
      continue;
    }
    for (const token of event.logprobs) choice.logprobs.push(token);
    for (const delta of event.deltas) {
      if (delta.kind === "text") choice.text += delta.text;
      else if (delta.kind === "arguments") choice.calls[delta.call].arguments += delta.text;
      else choice.calls[delta.call] = { id: delta.id, name: delta.name, arguments: "" };
    }
  }
  return choices;
}

/** Equal seeds would make equal answers. */
function withOwnSeed(sampling: GenerateRequest["sampling"], index: number) {
  return sampling?.seed === undefined ? sampling : { ...sampling, seed: sampling.seed + index };
}

async function* readChoices(
  events: ReturnType<typeof startGenerations>,
  { newParser, request }: Ask,
  cutShort: () => Error,
): AsyncGenerator<ChoiceEvent> {
  const parsers = new Map<number, CallParser>();
  const parserOf = (index: number): CallParser | undefined => {
    if (newParser === undefined) return undefined;
    const parser = parsers.get(index) ?? newParser();
    parsers.set(index, parser);
    return parser;
  };
  for await (const event of events) {
    const { index } = event;
    const parser = parserOf(index);
    if (event.kind === "chunk") {
      const { text, ids, logprobs = [] } = event.chunk;
      if (request.logprobs !== undefined && logprobs.length < ids.length) throw noLogprobsError();
      const deltas = parser?.push(text, ids) ?? (text === "" ? [] : [{ kind: "text", text }]);
      if (deltas.length + logprobs.length > 0) yield { kind: "piece", index, deltas, logprobs };
      continue;
    }
    const { result } = event;
    // If it was the client who left, nobody reads this.
    if (result.finishReason === "cancelled") throw cutShort();
    const deltas = parser?.end() ?? [];
    if (deltas.length > 0) yield { kind: "piece", index, deltas, logprobs: [] };
    const hasCalls = result.finishReason === "stop" && (parser?.callCount ?? 0) > 0;
    yield { kind: "end", index, finish: hasCalls ? "tool_calls" : result.finishReason, result };
  }
}

function noLogprobsError(): RequestError {
  return new RequestError('This model gives no log probabilities: leave out "logprobs"', {
    status: 400,
    code: "unsupported_parameter",
    param: "logprobs",
  });
}
