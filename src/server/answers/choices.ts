/**
 * Choices of an answer: what generations make, with calls of functions told apart from text. Knows
 * nothing of how any API writes them.
 */
import { RequestError } from "../../base/errors.ts";
import type {
  GenerateRequest,
  GenerateResult,
  GrammarSource,
  TokenLogprobs,
} from "../../llm/types.ts";
import type { AnswerParser, Delta } from "../tools/call_parser.ts";
import { watchGeneration } from "../telemetry/generations.ts";
import { cutShortError } from "../work_stop.ts";
import type { Work } from "./answer.ts";
import { type StartGeneration, startGenerations } from "./generations.ts";

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
  /** What binds the answer instead where the request's grammar is refused; left out: nothing. */
  readonly looserGrammar?: GrammarSource;
  /** The field that a refused grammar came from. */
  readonly grammarParam?: string;
  /** Makes what finds thoughts and calls in a choice's text; left out: all is text. */
  readonly newParser?: () => AnswerParser;
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
    /** Tokens of what the model thought. */
    readonly reasoningTokens: number;
  };

/** A choice as a whole. */
export interface Choice {
  readonly text: string;
  /** What the model thought before. */
  readonly reasoning: string;
  readonly reasoningTokens: number;
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
  const startMs = performance.now();
  const start = (request: GenerateRequest) =>
    watchGeneration(
      { settings, model, requestId, ids: request.ids },
      () => model.generate(withTimeLeft(request, startMs)),
    );
  const cutShort = () => cutShortError(settings);
  return readChoices(startBound(start, ask, signal), ask, cutShort);
}

/** Every choice as a whole, in order. */
export async function collectChoices(
  events: AsyncIterable<ChoiceEvent>,
  count: number,
): Promise<Choice[]> {
  const open = Array.from({ length: count }, () => ({
    text: "",
    reasoning: "",
    calls: [] as { id: string; name: string; arguments: string }[],
    logprobs: [] as TokenLogprobs[],
  }));
  const choices: Choice[] = [];
  for await (const event of events) {
    const choice = open[event.index];
    if (event.kind === "end") {
      const { finish, result, reasoningTokens } = event;
      choices[event.index] = { ...choice, finish, result, reasoningTokens };
      continue;
    }
    for (const token of event.logprobs) choice.logprobs.push(token);
    for (const delta of event.deltas) {
      if (delta.kind === "text") choice.text += delta.text;
      else if (delta.kind === "reasoning") choice.reasoning += delta.text;
      else if (delta.kind === "arguments") choice.calls[delta.call].arguments += delta.text;
      else choice.calls[delta.call] = { id: delta.id, name: delta.name, arguments: "" };
    }
  }
  return choices;
}

/** Several answers to one request share its time. */
function withTimeLeft(request: GenerateRequest, startMs: number): GenerateRequest {
  if (request.deadlineMs === undefined) return request;
  return {
    ...request,
    deadlineMs: Math.max(0, request.deadlineMs - (performance.now() - startMs)),
  };
}

function startBound(startOne: StartGeneration, ask: Ask, signal: AbortSignal) {
  const { looserGrammar: grammar, grammarParam: param } = ask;
  const start = (request: Ask["request"]) =>
    startGenerations(startOne, requestsOf(ask, request), signal);
  try {
    return start(ask.request);
  } catch (error) {
    if (!(error instanceof RequestError) || error.code !== "invalid_grammar") throw error;
    if (grammar !== undefined) return start({ ...ask.request, grammar });
    const { message, status, code } = error;
    throw param === undefined ? error : new RequestError(message, { status, code, param });
  }
}

function requestsOf({ prompts, count }: Ask, request: Ask["request"]): GenerateRequest[] {
  return prompts.flatMap(({ ids }) =>
    Array.from({ length: count }, (_, index) => ({
      ...request,
      ids,
      ...(index > 0 && { sampling: withOwnSeed(request.sampling, index) }),
    }))
  );
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
  const parsers = new Map<number, AnswerParser>();
  const parserOf = (index: number): AnswerParser | undefined => {
    if (newParser === undefined) return undefined;
    const parser = parsers.get(index) ?? newParser();
    parsers.set(index, parser);
    return parser;
  };
  const reasoningTokens: number[] = [];
  for await (const event of events) {
    const { index } = event;
    const parser = parserOf(index);
    if (event.kind === "chunk") {
      const { text, ids, logprobs = [] } = event.chunk;
      if (request.logprobs !== undefined && logprobs.length < ids.length) throw noLogprobsError();
      const deltas = parser?.push(text, ids) ?? (text === "" ? [] : [{ kind: "text", text }]);
      if (deltas.some(({ kind }) => kind === "reasoning")) {
        reasoningTokens[index] = (reasoningTokens[index] ?? 0) + ids.length;
      }
      if (deltas.length + logprobs.length > 0) yield { kind: "piece", index, deltas, logprobs };
      continue;
    }
    const { result } = event;
    // If it was the client who left, nobody reads this.
    if (result.finishReason === "cancelled") throw cutShort();
    const deltas = parser?.end() ?? [];
    if (deltas.length > 0) yield { kind: "piece", index, deltas, logprobs: [] };
    const hasCalls = result.finishReason === "stop" && (parser?.callCount ?? 0) > 0;
    yield {
      ...{ kind: "end", index, result },
      // It is cut short, as far as clients know reasons.
      finish: result.finishReason === "time"
        ? "length"
        : hasCalls
        ? "tool_calls"
        : result.finishReason,
      reasoningTokens: reasoningTokens[index] ?? 0,
    };
  }
}

function noLogprobsError(): RequestError {
  return new RequestError('This model gives no log probabilities: leave out "logprobs"', {
    status: 400,
    code: "unsupported_parameter",
    param: "logprobs",
  });
}
