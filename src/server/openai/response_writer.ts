/**
 * A response as OpenAI's clients read it: items of output that grow event by event, and the whole.
 * Pure: deltas in, events out.
 */
import type { GenerateResult, TokenLogprobs } from "../../llm/types.ts";
import type { ChoiceFinish } from "../answers/choices.ts";
import { errorBody, toRequestError } from "../http_errors.ts";
import type { Body } from "../known_fields.ts";
import type { Delta } from "../tools/answer_parser.ts";
import type { OwnName } from "./namespaces.ts";
import { cachedOf, freshId } from "./wire.ts";

/** An event of a stream, without its number. */
export interface ResponseEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface ResponseHead {
  /** The model's name. */
  readonly model: string;
  /** Fields that are the request's. */
  readonly repeated: Body;
  /** How the client knows functions of namespaces. */
  readonly ownNames: ReadonlyMap<string, OwnName>;
  readonly promptTokens: number;
  /** Writes log probabilities; null: none were asked for. */
  readonly logprobs: ((tokens: readonly TokenLogprobs[]) => unknown[]) | null;
}

interface TextItem {
  /** Thoughts are text, too, under other names. */
  readonly kind: "text" | "reasoning";
  readonly id: string;
  text: string;
  logprobs: unknown[];
}

interface CallItem {
  readonly kind: "call";
  readonly id: string;
  readonly callId: string;
  /** As the client knows it, in a namespace or in none. */
  readonly own: { readonly name: string; readonly namespace?: string };
  arguments: string;
}

type Item = TextItem | CallItem;
type Status = "in_progress" | "completed" | "incomplete";

/** Builds one response. */
export class ResponseWriter {
  readonly #head: ResponseHead;
  readonly #id = freshId("resp_");
  readonly #created = Math.floor(Date.now() / 1000);
  readonly #items: Item[] = [];
  /** Log probabilities whose text is held back. */
  readonly #waiting: unknown[] = [];
  #usage: object | null = null;
  /** What cut it short, if it is incomplete. */
  #cutBy: "max_output_tokens" | "max_time" = "max_output_tokens";

  constructor(head: ResponseHead) {
    this.#head = head;
  }

  opening(): ResponseEvent[] {
    const response = this.response("in_progress");
    return [
      { type: "response.created", response },
      { type: "response.in_progress", response },
    ];
  }

  /** What `deltas` add. Log probabilities are those of text: calls and thoughts have none. */
  piece(deltas: readonly Delta[], tokens: readonly TokenLogprobs[]): ResponseEvent[] {
    this.#waiting.push(...this.#head.logprobs?.(tokens) ?? []);
    // Where no text has begun, none may come: marks of thoughts bring nothing by themselves.
    const goesOn = this.#waiting.length > 0 && this.#items.at(-1)?.kind === "text";
    const all = deltas.length === 0 && goesOn ? [EMPTY_TEXT] : deltas;
    return all.flatMap((delta) => {
      const logprobs = this.#waiting.splice(0);
      return this.#add(delta, delta.kind === "text" ? logprobs : []);
    });
  }

  end(
    finish: ChoiceFinish,
    { ids, timings, finishReason }: GenerateResult,
    reasoningTokens: number,
  ): ResponseEvent[] {
    if (finishReason === "time") this.#cutBy = "max_time";
    const status = finish === "length" ? "incomplete" : "completed";
    const events = this.#endItem(status);
    const { promptTokens } = this.#head;
    this.#usage = {
      input_tokens: promptTokens,
      input_tokens_details: { cached_tokens: cachedOf(timings) },
      output_tokens: ids.length,
      output_tokens_details: { reasoning_tokens: reasoningTokens },
      total_tokens: promptTokens + ids.length,
    };
    return [...events, { type: `response.${status}`, response: this.response(status) }];
  }

  failure(error: unknown): ResponseEvent {
    const { message } = errorBody(toRequestError(error)).error;
    const failed = { code: "server_error", message };
    return { type: "response.failed", response: { ...this.response("failed"), error: failed } };
  }

  /** The response as it is now. */
  response(status: Status | "failed") {
    const last = this.#items.length - 1;
    return {
      id: this.#id,
      object: "response",
      created_at: this.#created,
      status,
      background: false,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: this.#cutBy } : null,
      model: this.#head.model,
      output: this.#items.map((item, index) =>
        itemOnWire(item, index < last || status === "completed" ? "completed" : "incomplete")
      ),
      usage: this.#usage,
      ...this.#head.repeated,
    };
  }

  #add(delta: Delta, logprobs: unknown[]): ResponseEvent[] {
    if (delta.kind === "call") {
      const { id: callId, name } = delta;
      const own = this.#head.ownNames.get(name) ?? { name };
      return this.#begin({ kind: "call", id: freshId("fc_"), callId, own, arguments: "" });
    }
    const { kind } = delta;
    const events = kind !== "arguments" && this.#items.at(-1)?.kind !== kind
      ? this.#begin({ kind, id: freshId(TEXT_IDS[kind]), text: "", logprobs: [] })
      : [];
    const item = this.#items[this.#items.length - 1];
    const at = { item_id: item.id, output_index: this.#items.length - 1 };
    if (item.kind === "call") {
      item.arguments += delta.text;
      events.push({ type: "response.function_call_arguments.delta", ...at, delta: delta.text });
      return events;
    }
    item.text += delta.text;
    item.logprobs.push(...logprobs);
    events.push({
      type: `response.${textName(item)}.delta`,
      ...at,
      content_index: 0,
      delta: delta.text,
      ...(item.kind === "text" && { logprobs }),
    });
    return events;
  }

  #begin(item: Item): ResponseEvent[] {
    const events = this.#endItem("completed");
    const output_index = this.#items.length;
    const isText = item.kind !== "call";
    this.#items.push(item);
    events.push({
      type: "response.output_item.added",
      output_index,
      item: { ...itemOnWire(item, "in_progress"), ...(isText && { content: [] }) },
    });
    if (!isText) return events;
    events.push({
      type: "response.content_part.added",
      item_id: item.id,
      output_index,
      content_index: 0,
      part: partOnWire(item),
    });
    return events;
  }

  /** Ends the last item, if there is one. */
  #endItem(status: Status): ResponseEvent[] {
    const item = this.#items.at(-1);
    if (item === undefined) return [];
    const output_index = this.#items.length - 1;
    const at = { item_id: item.id, output_index };
    const done = {
      type: "response.output_item.done",
      output_index,
      item: itemOnWire(item, status),
    };
    if (item.kind === "call") {
      const { own: { name }, arguments: args } = item;
      return [
        { type: "response.function_call_arguments.done", ...at, name, arguments: args },
        done,
      ];
    }
    const { text, logprobs } = item;
    const within = { ...at, content_index: 0, ...(item.kind === "text" && { logprobs }) };
    return [
      { type: `response.${textName(item)}.done`, ...within, text },
      {
        type: "response.content_part.done",
        ...at,
        content_index: 0,
        part: partOnWire(item),
      },
      done,
    ];
  }
}

const TEXT_IDS = { text: "msg_", reasoning: "rs_" } as const;

function textName({ kind }: TextItem): string {
  return kind === "text" ? "output_text" : "reasoning_text";
}

const EMPTY_TEXT: Delta = { kind: "text", text: "" };

function itemOnWire(item: Item, status: Status) {
  if (item.kind === "call") {
    const { id, callId, own, arguments: args } = item;
    return { id, type: "function_call", status, call_id: callId, ...own, arguments: args };
  }
  const { id } = item;
  const content = [partOnWire(item)];
  return item.kind === "text"
    ? { id, type: "message", role: "assistant", status, content }
    : { id, type: "reasoning", status, summary: [], content };
}

function partOnWire({ kind, text, logprobs }: TextItem) {
  if (kind === "reasoning") return { type: "reasoning_text", text };
  return { type: "output_text", text, annotations: [], logprobs };
}
