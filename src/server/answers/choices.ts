/**
 * Choices of an answer: what generations make, with calls of functions told apart from text. Knows
 * nothing of how any API writes them.
 */
import { RequestError } from "../../base/errors.ts";
import type {
  GenerateChunk,
  GenerateRequest,
  GenerateResult,
  GrammarSource,
  LanguageModel,
  TokenLogprobs,
} from "../../llm/types.ts";
import type { AnswerParser, Delta } from "../tools/answer_parser.ts";
import { watchGeneration } from "../telemetry/generations.ts";
import { cutShortError } from "../work_stop.ts";
import type { Work } from "./answer.ts";
import { type StartGeneration, startGenerations } from "./generations.ts";
import { TextTokens } from "./text_tokens.ts";
import { VisibleStop } from "./visible_stop.ts";

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
    /** What the model wrote since the piece before: of text, some may be held back. */
    readonly ids: readonly number[];
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
  const ends = Array.from(
    { length: ask.prompts.length * ask.count },
    () => new AbortController(),
  );
  const events = startBound(start, ask, { ends, signal });
  const newChoice = (index: number) => new OpenChoice(ask, { model, endGeneration: ends[index] });
  return readChoices(events, { ...ask, newChoice }, () => cutShortError(settings));
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

/** What ends a request's generations: one of them each, and all. */
interface Ends {
  readonly ends: readonly AbortController[];
  readonly signal: AbortSignal;
}

function startBound(startOne: StartGeneration, ask: Ask, { ends, signal }: Ends) {
  const { looserGrammar: grammar, grammarParam: param } = ask;
  const start = (request: Ask["request"]) =>
    startGenerations(startOne, requestsOf(ask, request, ends), signal);
  try {
    return start(ask.request);
  } catch (error) {
    if (!(error instanceof RequestError) || error.code !== "invalid_grammar") throw error;
    if (grammar !== undefined) return start({ ...ask.request, grammar });
    const { message, status, code } = error;
    throw param === undefined ? error : new RequestError(message, { status, code, param });
  }
}

function requestsOf(
  { prompts, count, newParser }: Ask,
  request: Ask["request"],
  ends: readonly AbortController[],
): GenerateRequest[] {
  return prompts.flatMap(({ ids }, prompt) =>
    Array.from({ length: count }, (_, index) => ({
      ...request,
      ids,
      ...(index > 0 && { sampling: withOwnSeed(request.sampling, index) }),
      // Where only a part of the text is the answer, `OpenChoice` looks for stop strings in it.
      ...(newParser !== undefined && {
        ...{ stop: undefined, endSignal: ends[prompt * count + index].signal },
      }),
    }))
  );
}

/** Equal seeds would make equal answers. */
function withOwnSeed(sampling: GenerateRequest["sampling"], index: number) {
  return sampling?.seed === undefined ? sampling : { ...sampling, seed: sampling.seed + index };
}

async function* readChoices(
  events: ReturnType<typeof startGenerations>,
  { request, newChoice }: { request: Ask["request"]; newChoice: (index: number) => OpenChoice },
  cutShort: () => Error,
): AsyncGenerator<ChoiceEvent> {
  const choices = new Map<number, OpenChoice>();
  for await (const event of events) {
    const { index } = event;
    const choice = choices.get(index) ?? newChoice(index);
    choices.set(index, choice);
    if (event.kind === "chunk") {
      if (request.logprobs !== undefined && event.chunk.logprobs === undefined) {
        throw noLogprobsError();
      }
      // What was on its way when it was told to end.
      if (choice.isStopped) continue;
      const { deltas, logprobs } = choice.push(event.chunk);
      if (deltas.length + logprobs.length > 0) {
        yield { kind: "piece", index, deltas, logprobs, ids: choice.takeIds() };
      }
      continue;
    }
    // If it was the client who left, nobody reads this.
    if (event.result.finishReason === "cancelled") throw cutShort();
    const rest = choice.end();
    if (rest.deltas.length > 0) yield { kind: "piece", index, ...rest, ids: choice.takeIds() };
    yield { kind: "end", index, ...choice.outcome(event.result) };
  }
}

/** What is new of a choice. */
type Piece = Pick<ChoiceEvent & { readonly kind: "piece" }, "deltas" | "logprobs">;
type TokenBytes = Pick<LanguageModel, "tokenBytes">;

/** A choice while it comes. */
class OpenChoice {
  readonly #parser: AnswerParser | undefined;
  readonly #stop: VisibleStop | null;
  readonly #textTokens: TextTokens;
  readonly #endGeneration: AbortController;
  #tokens = 0;
  #reasoningTokens = 0;
  #newIds: number[] = [];

  constructor(
    { newParser, request: { stop } }: Ask,
    { model, endGeneration }: { model: TokenBytes; endGeneration: AbortController },
  ) {
    this.#parser = newParser?.();
    this.#textTokens = new TextTokens((id) => model.tokenBytes(id));
    this.#stop = newParser !== undefined && stop !== undefined ? new VisibleStop(stop) : null;
    this.#endGeneration = endGeneration;
  }

  /** A stop string was seen: nothing that comes belongs to it. */
  get isStopped(): boolean {
    return this.#stop?.isStopped ?? false;
  }

  push({ text, ids, logprobs = [] }: GenerateChunk): Piece {
    this.#tokens += ids.length;
    for (const id of ids) this.#newIds.push(id);
    if (this.#parser === undefined) {
      return { deltas: text === "" ? [] : [{ kind: "text", text }], logprobs };
    }
    const deltas = this.#parser.push(text, ids);
    if (deltas.some(({ kind }) => kind === "reasoning")) this.#reasoningTokens += ids.length;
    const piece = this.#shown(deltas, logprobs);
    if (this.isStopped) this.#endGeneration.abort();
    return piece;
  }

  /** What was written since they were taken last. */
  takeIds(): readonly number[] {
    const ids = this.#newIds;
    this.#newIds = [];
    return ids;
  }

  /** What was held back. */
  end(): Piece {
    if (this.isStopped) return { deltas: [], logprobs: [] };
    return this.#shown(this.#parser?.end() ?? [], [], { isEnd: true });
  }

  #shown(
    deltas: readonly Delta[],
    tokens: readonly TokenLogprobs[],
    { isEnd = false } = {},
  ): Piece {
    const stop = this.#stop;
    const shown = stop === null ? deltas : [...stop.push(deltas), ...isEnd ? stop.end() : []];
    return { deltas: shown, logprobs: this.#textTokens.push(tokens, deltas, shown) };
  }

  /** How it ended, where its generation ended so. */
  outcome(generated: GenerateResult): Pick<
    ChoiceEvent & { readonly kind: "end" },
    "result" | "finish" | "reasoningTokens"
  > {
    const result = this.isStopped ? this.#upToStop(generated) : generated;
    const isWhole = result.finishReason === "stop";
    const hasCalls = isWhole && (this.#parser?.callCount ?? 0) > 0;
    return {
      result,
      // It is cut short, as far as clients know reasons.
      finish: hasCalls ? "tool_calls" : isWhole ? "stop" : "length",
      reasoningTokens: this.#reasoningTokens,
    };
  }

  /** How many tokens came behind the stop string depends on the time that telling took. */
  #upToStop(result: GenerateResult): GenerateResult {
    const ids = result.ids.slice(0, this.#tokens);
    const timings = { ...result.timings, predictedTokens: ids.length };
    const stopText = this.#stop?.found ?? undefined;
    return { ...result, ids, timings, finishReason: "stop", stopText };
  }
}

function noLogprobsError(): RequestError {
  return new RequestError('This model gives no log probabilities: leave out "logprobs"', {
    status: 400,
    code: "unsupported_parameter",
    param: "logprobs",
  });
}
