import { assertEquals, assertMatch } from "@std/assert";
import { MessageWriter } from "../../../src/server/anthropic/message_writer.ts";
import type { GenerateResult } from "../../../src/llm/types.ts";

const head = { model: "m", promptTokens: 9 };
const result = (more: Partial<GenerateResult> = {}): GenerateResult => ({
  ...{ text: "", ids: [1, 2, 3], finishReason: "stop" },
  timings: { promptTokens: 9, cachedTokens: 4, promptMs: 1, predictedTokens: 3, predictedMs: 1 },
  ...more,
});

Deno.test("MessageWriter begins and ends the blocks that deltas are of", () => {
  const writer = new MessageWriter(head);
  const [{ type, message }] = writer.opening();
  const { id, ...opened } = message as ReturnType<MessageWriter["message"]>;
  assertMatch(id, /^msg_/);
  assertEquals([type, opened], ["message_start", {
    ...{ type: "message", role: "assistant", model: "m", content: [] },
    ...{ stop_reason: null, stop_sequence: null },
    usage: {
      ...{ input_tokens: 9, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
      output_tokens: 0,
    },
  }]);
  const thinking = { type: "thinking", thinking: "", signature: "" };
  const delta = (index: number, delta: object) => ({ type: "content_block_delta", index, delta });
  const stop = (index: number) => ({ type: "content_block_stop", index });
  const signature = "Z2FuZ2xpb24=";
  assertEquals(writer.piece([{ kind: "reasoning", text: "Hm" }, { kind: "text", text: "So" }]), [
    { type: "content_block_start", index: 0, content_block: thinking },
    delta(0, { type: "thinking_delta", thinking: "Hm" }),
    delta(0, { type: "signature_delta", signature }),
    stop(0),
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    delta(1, { type: "text_delta", text: "So" }),
  ]);
  assertEquals(writer.piece([{ kind: "text", text: "." }]), [
    delta(1, { type: "text_delta", text: "." }),
  ]);
  assertEquals(
    writer.piece([
      { kind: "call", call: 0, id: "c1", name: "f" },
      { kind: "arguments", call: 0, text: `{"a":` },
      { kind: "arguments", call: 0, text: `1}` },
      { kind: "call", call: 1, id: "c2", name: "g" },
    ]).slice(1),
    [
      {
        ...{ type: "content_block_start", index: 2 },
        content_block: { type: "tool_use", id: "c1", name: "f", input: {} },
      },
      delta(2, { type: "input_json_delta", partial_json: `{"a":` }),
      delta(2, { type: "input_json_delta", partial_json: `1}` }),
      stop(2),
      {
        ...{ type: "content_block_start", index: 3 },
        content_block: { type: "tool_use", id: "c2", name: "g", input: {} },
      },
    ],
  );
  const usage = {
    ...{ input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 4 },
    ...{ output_tokens: 3, output_tokens_details: { thinking_tokens: 1 } },
  };
  assertEquals(writer.end("tool_calls", result(), 1), [
    stop(3),
    {
      ...{ type: "message_delta", usage },
      delta: { stop_reason: "tool_use", stop_sequence: null },
    },
    { type: "message_stop" },
  ]);
  assertEquals(writer.message().content, [
    { type: "thinking", thinking: "Hm", signature },
    { type: "text", text: "So." },
    { type: "tool_use", id: "c1", name: "f", input: { a: 1 } },
    { type: "tool_use", id: "c2", name: "g", input: {} },
  ]);
});

Deno.test("MessageWriter says why a message ended", () => {
  const of = (
    ...[finish, more]: [Parameters<MessageWriter["end"]>[0], Partial<GenerateResult>?]
  ) => {
    const writer = new MessageWriter(head);
    writer.end(finish, result(more), 0);
    const { stop_reason, stop_sequence, content } = writer.message();
    assertEquals(content, []);
    return [stop_reason, stop_sequence];
  };
  assertEquals(of("stop"), ["end_turn", null]);
  assertEquals(of("stop", { stopText: "END" }), ["stop_sequence", "END"]);
  assertEquals(of("length"), ["max_tokens", null]);
  // What was called is to be done, whatever was said behind it.
  assertEquals(of("tool_calls", { stopText: "END" }), ["tool_use", null]);
});

Deno.test("MessageWriter shows arguments that broke off as what they are", () => {
  const writer = new MessageWriter(head);
  writer.piece([{ kind: "call", call: 0, id: "c", name: "f" }]);
  writer.piece([{ kind: "arguments", call: 0, text: `{"a":` }]);
  writer.end("length", result(), 0);
  assertEquals(writer.message().content, [
    { type: "tool_use", id: "c", name: "f", input: { arguments: `{"a":` } },
  ]);
});
