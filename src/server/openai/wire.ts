/**
 * Answers as OpenAI's clients read them, whole and in chunks, with llama.cpp's `timings` beside.
 * Pure: choices in, objects and lines of an event stream out. Knows nothing of HTTP or engines.
 */
import type { GenerateResult, Timings } from "../../llm/types.ts";
import type { Choice, ChoiceFinish, ToolCall } from "../answers/choices.ts";
import type { StreamFormat } from "../answers/event_stream.ts";
import { errorBody, toRequestError } from "../http_errors.ts";
import type { Delta } from "../tools/answer_parser.ts";
import type { LogprobsWriter, WrittenToken } from "./logprobs.ts";

/** The two forms of answers: messages of a chat, or plain text. */
export type AnswerKind = "chat" | "text";

/** What every part of one answer repeats. */
export interface AnswerHead {
  readonly kind: AnswerKind;
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  /** The model's name. */
  readonly model: string;
  /** Writes log probabilities; null: none were asked for. */
  readonly logprobs: LogprobsWriter | null;
}

/** Token counts of all choices together. */
export interface Usage {
  readonly promptTokens: number;
  /** How many of the prompts' tokens were in the cache already. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Those of them that are thoughts. */
  readonly reasoningTokens: number;
}

/** Starts an answer: a fresh id, now. */
export function answerHead(
  kind: AnswerKind,
  model: string,
  logprobs: LogprobsWriter | null,
): AnswerHead {
  const id = freshId(kind === "chat" ? "chatcmpl-" : "cmpl-");
  return { kind, id, created: Math.floor(Date.now() / 1000), model, logprobs };
}

export function freshId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll("-", "");
}

/** What is put before a choice's text: its prompt, and how likely that was. */
export interface Echo {
  readonly text: string;
  readonly tokens: readonly WrittenToken[];
}

/** The answer in one piece; `echoes` are put before the choices. */
export function wholeAnswer(
  head: AnswerHead,
  choices: readonly Choice[],
  { usage, timings, echoes = [] }: {
    readonly usage: Usage;
    readonly timings: readonly Timings[];
    readonly echoes?: readonly Echo[];
  },
) {
  const { id, created, model, kind, logprobs } = head;
  return {
    id,
    object: kind === "chat" ? "chat.completion" : "text_completion",
    created,
    model,
    choices: choices.map((choice, index) => ({
      index,
      ...(kind === "chat"
        ? { message: messageOnWire(choice) }
        : { text: (echoes[index]?.text ?? "") + choice.text }),
      logprobs: logprobs === null
        ? null
        : logprobs.of(index, [...echoes[index]?.tokens ?? [], ...choice.logprobs]),
      finish_reason: choice.finish,
      ...stopReason(choice.result),
    })),
    usage: usageOnWire(usage),
    timings: timingsOnWire(timings),
  };
}

/** vLLM's field for what its clients' reasons have no name of: the request's time was over. */
function stopReason({ finishReason }: GenerateResult): { stop_reason?: "max_time" } {
  return finishReason === "time" ? { stop_reason: "max_time" } : {};
}

function messageOnWire({ text, reasoning, calls }: Choice) {
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning !== "" && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls.map(callOnWire) }),
  };
}

function callOnWire({ id, name, arguments: args }: ToolCall) {
  return { id, type: "function", function: { name, arguments: args } };
}

/** Writes one answer as events of a stream. */
export interface ChunkWriter {
  /** Says whose turn it is; nothing for plain text. */
  opening(index: number): string;
  piece(index: number, deltas: readonly Delta[], logprobs: readonly WrittenToken[]): string;
  finish(index: number, finish: ChoiceFinish, result: GenerateResult): string;
  usage(usage: Usage): string;
}

/**
 * A writer whose chunks count tokens at the end if `includeUsage`; of a call that must be made they
 * begin without a text, which some clients would show.
 */
export function createChunkWriter(
  head: AnswerHead,
  { includeUsage, isCall = false }: { readonly includeUsage: boolean; readonly isCall?: boolean },
): ChunkWriter {
  const { id, created, model, kind, logprobs } = head;
  const object = kind === "chat" ? "chat.completion.chunk" : "text_completion";
  // All but the text is the same in every chunk: serialised once.
  const fields = JSON.stringify({ id, object, created, model }).slice(0, -1);
  const noUsage = includeUsage ? `,"usage":null` : "";
  const chunk = (
    index: number,
    payload: string,
    { reason = "null", rest = "", chances = "null" } = {},
  ) =>
    `data: ${fields},"choices":[{"index":${index},${payload},"logprobs":${chances},` +
    `"finish_reason":${reason}}]${noUsage}${rest}}\n\n`;
  const isChat = kind === "chat";
  const text = isCall ? "null" : `""`;
  const payloadOf = isChat ? chatPayload : textPayload;
  return {
    opening: (index) =>
      isChat ? chunk(index, `"delta":{"role":"assistant","content":${text}}`) : "",
    piece: (index, deltas, tokens) => {
      const hasLogprobs = logprobs !== null && tokens.length > 0;
      const chances = hasLogprobs ? JSON.stringify(logprobs.of(index, tokens)) : "null";
      if (deltas.length === 0) {
        return hasLogprobs ? chunk(index, payloadOf({ kind: "text", text: "" }), { chances }) : "";
      }
      // They are those of the text.
      const first = Math.max(0, deltas.findIndex(({ kind }) => kind === "text"));
      const rest = (at: number) => at === first ? { chances } : {};
      return deltas.map((delta, at) => chunk(index, payloadOf(delta), rest(at))).join("");
    },
    finish: (index, finish, result) => {
      const { stop_reason: stop } = stopReason(result);
      const payload = isChat ? `"delta":{}` : `"text":""`;
      return chunk(index, stop === undefined ? payload : `${payload},"stop_reason":"${stop}"`, {
        reason: JSON.stringify(finish),
        rest: `,"timings":${JSON.stringify(timingsOnWire([result.timings]))}`,
      });
    },
    usage: (usage) =>
      `data: ${fields},"choices":[],"usage":${JSON.stringify(usageOnWire(usage))}}\n\n`,
  };
}

function textPayload(delta: Delta): string {
  return `"text":${JSON.stringify(delta.kind === "text" ? delta.text : "")}`;
}

function chatPayload(delta: Delta): string {
  if (delta.kind === "text") return `"delta":{"content":${JSON.stringify(delta.text)}}`;
  if (delta.kind === "reasoning") {
    return `"delta":{"reasoning_content":${JSON.stringify(delta.text)}}`;
  }
  const call = delta.kind === "call"
    ? { index: delta.call, ...callOnWire({ ...delta, arguments: "" }) }
    : { index: delta.call, function: { arguments: delta.text } };
  return `"delta":{"tool_calls":[${JSON.stringify(call)}]}`;
}

/** The last event of a stream that went well. */
export const DONE_EVENT = "data: [DONE]\n\n";

/** An event stream as OpenAI's clients read it. */
export const EVENT_STREAM: StreamFormat = {
  contentType: "text/event-stream",
  keepAlive: ": keep-alive\n\n",
  errorEvent: (error) => `data: ${JSON.stringify(errorBody(toRequestError(error)))}\n\n`,
};

function usageOnWire(usage: Usage) {
  const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = usage;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}

/** llama.cpp counts as prompt what had to be computed, and apart from it what was cached. */
export function timingsOnWire(all: readonly Timings[]) {
  const sum = (of: (timings: Timings) => number) => all.reduce((total, one) => total + of(one), 0);
  const cachedTokens = sum(cachedOf);
  const promptTokens = sum((timings) => timings.promptTokens) - cachedTokens;
  const promptMs = sum((timings) => timings.promptMs);
  const predictedTokens = sum((timings) => timings.predictedTokens);
  const predictedMs = sum((timings) => timings.predictedMs);
  const draftedTokens = sum((timings) => timings.draftedTokens ?? 0);
  return {
    cache_n: cachedTokens,
    prompt_n: promptTokens,
    prompt_ms: promptMs,
    prompt_per_token_ms: ratio(promptMs, promptTokens),
    prompt_per_second: ratio(promptTokens * 1000, promptMs),
    predicted_n: predictedTokens,
    predicted_ms: predictedMs,
    predicted_per_token_ms: ratio(predictedMs, predictedTokens),
    predicted_per_second: ratio(predictedTokens * 1000, predictedMs),
    ...draftedTokens === 0 ? {} : {
      draft_n: draftedTokens,
      draft_n_accepted: sum((timings) => timings.acceptedTokens ?? 0),
    },
  };
}

/** Tokens of the prompt that needed no computing. */
export function cachedOf(timings: Timings): number {
  return timings.cachedTokens ?? 0;
}

function ratio(a: number, b: number): number {
  return b > 0 ? a / b : 0;
}

/** How many tokens something would have been read as, in OpenAI's words. */
export function inputTokens(count: number) {
  return { object: "response.input_tokens", input_tokens: count };
}
