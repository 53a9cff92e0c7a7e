/**
 * A message as Anthropic's clients read it: blocks that grow event by event, and the whole. Pure:
 * deltas in, events out.
 */
import type { GenerateResult } from "../../llm/types.ts";
import type { ChoiceFinish } from "../answers/choices.ts";
import { objectOf } from "../openai/messages.ts";
import { cachedOf, freshId } from "../openai/wire.ts";
import type { Delta } from "../tools/answer_parser.ts";

/** An event of a stream. */
export interface MessageEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface MessageHead {
  /** The model's name. */
  readonly model: string;
  readonly promptTokens: number;
}

interface Block {
  readonly kind: "text" | "reasoning" | "call";
  /** Of calls. */
  readonly id: string;
  readonly name: string;
  /** Of calls: their arguments. */
  text: string;
}

/**
 * Proves nothing: thoughts here are nobody's secret. But clients leave out of the next request what
 * has none.
 */
const SIGNATURE = "Z2FuZ2xpb24=";

/** Builds one message. */
export class MessageWriter {
  readonly #head: MessageHead;
  readonly #id = freshId("msg_");
  readonly #blocks: Block[] = [];
  #end: { readonly stop_reason: string | null; readonly stop_sequence: string | null } = {
    stop_reason: null,
    stop_sequence: null,
  };
  #usage: object;

  constructor(head: MessageHead) {
    this.#head = head;
    // How much of it was read before is known when the model has begun: the end says it.
    this.#usage = usageOnWire({
      promptTokens: head.promptTokens,
      cachedTokens: 0,
      outputTokens: 0,
    });
  }

  opening(): MessageEvent[] {
    return [{ type: "message_start", message: this.message() }];
  }

  /** What `deltas` add. */
  piece(deltas: readonly Delta[]): MessageEvent[] {
    return deltas.flatMap((delta) => this.#add(delta));
  }

  end(
    finish: ChoiceFinish,
    { ids, timings, stopText }: GenerateResult,
    thinkingTokens: number,
  ): MessageEvent[] {
    const events = this.#endBlock();
    const isStopped = finish === "stop" && stopText !== undefined;
    this.#end = {
      stop_reason: isStopped ? "stop_sequence" : REASONS[finish],
      stop_sequence: isStopped ? stopText : null,
    };
    const { promptTokens } = this.#head;
    const cachedTokens = cachedOf(timings);
    this.#usage = {
      ...usageOnWire({ promptTokens, cachedTokens, outputTokens: ids.length }),
      output_tokens_details: { thinking_tokens: thinkingTokens },
    };
    return [
      ...events,
      { type: "message_delta", delta: this.#end, usage: this.#usage },
      { type: "message_stop" },
    ];
  }

  /** The message as it is now. */
  message() {
    return {
      id: this.#id,
      type: "message",
      role: "assistant",
      model: this.#head.model,
      content: this.#blocks.map(blockOnWire),
      ...this.#end,
      usage: this.#usage,
    };
  }

  #add(delta: Delta): MessageEvent[] {
    if (delta.kind === "call") {
      return this.#begin({ kind: "call", id: delta.id, name: delta.name, text: "" });
    }
    const { kind, text } = delta;
    const events = kind !== "arguments" && this.#blocks.at(-1)?.kind !== kind
      ? this.#begin({ kind, id: "", name: "", text: "" })
      : [];
    this.#blocks[this.#blocks.length - 1].text += text;
    events.push(this.#delta(deltaOnWire(kind, text)));
    return events;
  }

  #begin(block: Block): MessageEvent[] {
    const events = this.#endBlock();
    const index = this.#blocks.push(block) - 1;
    const empty = block.kind === "reasoning"
      ? { ...blockOnWire(block), signature: "" }
      : blockOnWire(block);
    return [...events, { type: "content_block_start", index, content_block: empty }];
  }

  /** Ends the last block, if there is one. */
  #endBlock(): MessageEvent[] {
    const last = this.#blocks.at(-1);
    if (last === undefined) return [];
    const index = this.#blocks.length - 1;
    const signature = last.kind === "reasoning"
      ? [this.#delta({ type: "signature_delta", signature: SIGNATURE })]
      : [];
    return [...signature, { type: "content_block_stop", index }];
  }

  #delta(delta: object): MessageEvent {
    return { type: "content_block_delta", index: this.#blocks.length - 1, delta };
  }
}

const REASONS: Readonly<Record<ChoiceFinish, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
};

function deltaOnWire(kind: "text" | "reasoning" | "arguments", text: string): object {
  if (kind === "text") return { type: "text_delta", text };
  if (kind === "reasoning") return { type: "thinking_delta", thinking: text };
  return { type: "input_json_delta", partial_json: text };
}

function blockOnWire({ kind, id, name, text }: Block) {
  if (kind === "text") return { type: "text", text };
  if (kind === "reasoning") return { type: "thinking", thinking: text, signature: SIGNATURE };
  return { type: "tool_use", id, name, input: objectOf(text) };
}

/** What was read before is not among the tokens of the input, but beside them. */
function usageOnWire(
  { promptTokens, cachedTokens, outputTokens }: {
    readonly promptTokens: number;
    readonly cachedTokens: number;
    readonly outputTokens: number;
  },
) {
  return {
    input_tokens: promptTokens - cachedTokens,
    // All that is read is kept while there is room: nothing is kept at a price.
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
  };
}
