/**
 * Answers as OpenAI's clients read them, whole and in chunks, with llama.cpp's `timings` beside.
 * Pure: results in, objects and lines of an event stream out. Knows nothing of HTTP or models.
 */
import type { GenerateResult, Timings } from "../llm/types.ts";
import { errorBody, toRequestError } from "./http_errors.ts";

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
}

/** An ended generation as one choice of the answer. */
export interface Choice {
  readonly promptTokens: number;
  /** The prompt, where the client wants it back. */
  readonly echo: string;
  readonly result: GenerateResult;
}

/** Token counts of all choices together. */
export interface Usage {
  readonly promptTokens: number;
  /** How many of the prompts' tokens were in the cache already. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** Starts an answer: a fresh id, now. */
export function answerHead(kind: AnswerKind, model: string): AnswerHead {
  const id = `${kind === "chat" ? "chatcmpl" : "cmpl"}-${crypto.randomUUID().replaceAll("-", "")}`;
  return { kind, id, created: Math.floor(Date.now() / 1000), model };
}

/** The answer in one piece. */
export function wholeAnswer(head: AnswerHead, choices: readonly Choice[]) {
  const { id, created, model, kind } = head;
  return {
    id,
    object: kind === "chat" ? "chat.completion" : "text_completion",
    created,
    model,
    choices: choices.map(({ echo, result }, index) => ({
      index,
      ...(kind === "chat"
        ? { message: { role: "assistant", content: result.text, refusal: null } }
        : { text: echo + result.text }),
      logprobs: null,
      finish_reason: result.finishReason,
    })),
    usage: usageOnWire({
      promptTokens: choices.reduce((sum, choice) => sum + choice.promptTokens, 0),
      cachedTokens: choices.reduce((sum, { result }) => sum + cachedOf(result.timings), 0),
      completionTokens: choices.reduce((sum, choice) => sum + choice.result.ids.length, 0),
    }),
    timings: timingsOnWire(choices.map((choice) => choice.result.timings)),
  };
}

/** Writes one answer as events of a stream. */
export interface ChunkWriter {
  /** Says whose turn it is; nothing for plain text. */
  opening(): string;
  piece(index: number, text: string): string;
  finish(index: number, result: GenerateResult): string;
  usage(usage: Usage): string;
}

/** A writer whose chunks count tokens at the end if `includeUsage`. */
export function createChunkWriter(head: AnswerHead, includeUsage: boolean): ChunkWriter {
  const { id, created, model, kind } = head;
  const object = kind === "chat" ? "chat.completion.chunk" : "text_completion";
  // All but the text is the same in every chunk: serialised once.
  const fields = JSON.stringify({ id, object, created, model }).slice(0, -1);
  const noUsage = includeUsage ? `,"usage":null` : "";
  const chunk = (index: number, payload: string, reason: string, rest = "") =>
    `data: ${fields},"choices":[{"index":${index},${payload},"logprobs":null,` +
    `"finish_reason":${reason}}]${noUsage}${rest}}\n\n`;
  const isChat = kind === "chat";
  return {
    opening: () => isChat ? chunk(0, `"delta":{"role":"assistant","content":""}`, "null") : "",
    piece: (index, text) => {
      const json = JSON.stringify(text);
      return chunk(index, isChat ? `"delta":{"content":${json}}` : `"text":${json}`, "null");
    },
    finish: (index, { finishReason, timings }) =>
      chunk(
        index,
        isChat ? `"delta":{}` : `"text":""`,
        JSON.stringify(finishReason),
        `,"timings":${JSON.stringify(timingsOnWire([timings]))}`,
      ),
    usage: (usage) =>
      `data: ${fields},"choices":[],"usage":${JSON.stringify(usageOnWire(usage))}}\n\n`,
  };
}

/** The last event of a stream that went well. */
export const DONE_EVENT = "data: [DONE]\n\n";

/** A comment, which clients skip: keeps a silent connection open. */
export const KEEP_ALIVE_EVENT = ": keep-alive\n\n";

/** The last event of a stream that failed after it had begun. */
export function errorEvent(error: unknown): string {
  return `data: ${JSON.stringify(errorBody(toRequestError(error)))}\n\n`;
}

function usageOnWire({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** llama.cpp counts as prompt what had to be computed, and apart from it what was cached. */
function timingsOnWire(all: readonly Timings[]) {
  const sum = (of: (timings: Timings) => number) => all.reduce((total, one) => total + of(one), 0);
  const cachedTokens = sum(cachedOf);
  const promptTokens = sum((timings) => timings.promptTokens) - cachedTokens;
  const promptMs = sum((timings) => timings.promptMs);
  const predictedTokens = sum((timings) => timings.predictedTokens);
  const predictedMs = sum((timings) => timings.predictedMs);
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
  };
}

/** Tokens of the prompt that needed no computing. */
export function cachedOf(timings: Timings): number {
  return timings.cachedTokens ?? 0;
}

function ratio(a: number, b: number): number {
  return b > 0 ? a / b : 0;
}
