/** Answers as Ollama's clients read them: lines of JSON, durations in nanoseconds. Pure. */
import type { GenerateResult, LanguageModel, TokenLogprobs } from "../../llm/types.ts";
import type { ChoiceFinish, ToolCall } from "../answers/choices.ts";
import type { StreamFormat } from "../answers/event_stream.ts";
import { textErrorBody, toRequestError } from "../http_errors.ts";
import { chatLogprobs } from "../openai/logprobs.ts";

/** Lines of JSON. There is nothing that clients skip: silence stays silent. */
export const NDJSON: StreamFormat = {
  contentType: "application/x-ndjson",
  keepAlive: null,
  errorEvent: (error) => `${JSON.stringify(textErrorBody(toRequestError(error)))}\n`,
};

/** "chat" answers with messages, "generate" with text. */
export type AnswerKind = "chat" | "generate";

export interface AnswerHead {
  readonly kind: AnswerKind;
  readonly model: LanguageModel;
  /** When the request came, on the clock of `performance.now()`. */
  readonly startMs: number;
  /** When its model was there. */
  readonly loadedMs: number;
}

/** What an object of an answer brings. */
export interface Part {
  readonly text: string;
  /** What the model thought before. */
  readonly reasoning: string;
  readonly calls: readonly ToolCall[];
  readonly logprobs: readonly TokenLogprobs[];
}

/** An object of an answer that goes on. */
export function partOnWire(head: AnswerHead, { text, reasoning, calls, logprobs }: Part) {
  const { kind, model } = head;
  const { broken, whole } = readCalls(calls);
  const content = text + broken;
  const thinking = reasoning === "" ? {} : { thinking: reasoning };
  return {
    model: model.id,
    created_at: new Date().toISOString(),
    ...(kind === "generate" ? { response: content, ...thinking } : {
      message: {
        role: "assistant",
        content,
        ...thinking,
        ...(whole.length > 0 && { tool_calls: whole }),
      },
    }),
    ...(logprobs.length > 0 && { logprobs: chatLogprobs(model, logprobs) }),
    done: false,
  };
}

/** The last object, or the only one. */
export function endOnWire(
  head: AnswerHead,
  part: Part,
  { finish, result }: { readonly finish: ChoiceFinish; readonly result: GenerateResult },
) {
  const { promptTokens, promptMs, predictedMs } = result.timings;
  return {
    ...partOnWire(head, part),
    done: true,
    done_reason: finish === "length" ? "length" : "stop",
    total_duration: nanoseconds(performance.now() - head.startMs),
    load_duration: nanoseconds(head.loadedMs - head.startMs),
    prompt_eval_count: promptTokens,
    prompt_eval_duration: nanoseconds(promptMs),
    eval_count: result.ids.length,
    eval_duration: nanoseconds(predictedMs),
  };
}

/** The answer to a request that only wanted the model to be there, or gone. */
export function emptyOnWire(head: AnswerHead, reason: "load" | "unload") {
  return { ...partOnWire(head, NOTHING), done: true, done_reason: reason };
}

/** What brings nothing. */
export const NOTHING: Part = { text: "", reasoning: "", calls: [], logprobs: [] };

export function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

/** Calls with their arguments as objects; the text of those that broke off. */
function readCalls(calls: readonly ToolCall[]) {
  const whole: unknown[] = [];
  let broken = "";
  for (const { id, name, arguments: text } of calls) {
    try {
      whole.push({ id, function: { name, arguments: JSON.parse(text) } });
    } catch {
      broken += `${name}(${text}`;
    }
  }
  return { whole, broken };
}
