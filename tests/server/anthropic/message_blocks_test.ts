import { assertEquals } from "@std/assert";
import { messagesField, systemField } from "../../../src/server/anthropic/message_blocks.ts";

const text = (text: string, more: object = {}) => ({ type: "text", text, ...more });
const use = (id: string, input?: object) => ({ type: "tool_use", id, name: "f", input });
const result = (id: string, more: object) => ({ type: "tool_result", tool_use_id: id, ...more });
const call = (id: string, args: object) => ({
  ...{ id, type: "function" },
  function: { name: "f", arguments: args },
});
const read = (messages: unknown) => messagesField.parse(messages);

/** What is wrong with a conversation, and where. */
function fault(messages: unknown): string {
  const { error } = messagesField.safeParse(messages);
  const [{ path, message }] = error!.issues;
  return `${path.join(".")}: ${message}`;
}

Deno.test("messages are texts or blocks, which hints change nothing of", () => {
  const cache_control = { type: "ephemeral" };
  assertEquals(
    read([
      { role: "user", content: "a\ud800" },
      { role: "assistant", content: [text("b", { citations: null }), text("c")] },
      { role: "user", content: [text("d", { cache_control }), text(""), text("e")] },
    ]),
    [
      { role: "user", content: "a\ufffd" },
      // One text that its server has cut, and several that were put beside one another.
      { role: "assistant", content: "bc" },
      { role: "user", content: "d\n\ne" },
    ],
  );
});

Deno.test("calls and their results are messages of their own, thoughts a part of the answer", () => {
  const calls = [use("c1", { a: 1 }), use("c2")];
  const thoughts = [
    { type: "thinking", thinking: "t1", signature: "s" },
    { type: "redacted_thinking", data: "secret" },
    { type: "thinking", thinking: "t2" },
  ];
  const results = [
    text("so"),
    result("c1", { content: "1" }),
    result("c2", { content: [text("x"), text("y")], is_error: true }),
    result("c3", {}),
  ];
  assertEquals(
    read([
      { role: "user", content: "q" },
      { role: "assistant", content: [...thoughts, text("look"), ...calls] },
      { role: "user", content: results },
    ]),
    [
      { role: "user", content: "q" },
      {
        ...{ role: "assistant", content: "look", reasoning_content: "t1\n\nt2" },
        tool_calls: [call("c1", { a: 1 }), call("c2", {})],
      },
      { role: "tool", content: "1", tool_call_id: "c1" },
      { role: "tool", content: "Error: x\n\ny", tool_call_id: "c2" },
      { role: "tool", content: "", tool_call_id: "c3" },
      { role: "user", content: "so" },
    ],
  );
});

Deno.test("messages of one side are one turn, a system's amid them a part of the user's", () => {
  assertEquals(
    read([
      { role: "system", content: "s1" },
      { role: "system", content: [text("s2")] },
      { role: "user", content: "a" },
      { role: "system", content: "now" },
      { role: "user", content: "b" },
      { role: "assistant", content: [use("c1")] },
      { role: "assistant", content: "c" },
      { role: "user", content: [result("c1", { content: "1" })] },
      { role: "system", content: "then" },
    ]),
    [
      { role: "system", content: "s1\n\ns2" },
      { role: "user", content: "a\n\n<system-reminder>\nnow\n</system-reminder>\n\nb" },
      { role: "assistant", content: "c", tool_calls: [call("c1", {})] },
      { role: "tool", content: "1", tool_call_id: "c1" },
      { role: "user", content: "<system-reminder>\nthen\n</system-reminder>" },
    ],
  );
});

Deno.test("systems are texts or blocks, without words for a server that bills", () => {
  assertEquals(systemField.parse("x-anthropic-billing-header: a"), "x-anthropic-billing-header: a");
  const header = text("x-anthropic-billing-header: cc_version=1; cch=0a1b2;");
  assertEquals(systemField.parse([header, text("a\udc00"), text("b")]), "a\ufffd\n\nb");
  assertEquals(systemField.parse(null), undefined);
});

Deno.test("what is no block of a role's, or no model here could read, is refused by its name", () => {
  const of = (role: string, ...content: unknown[]) => fault([{ role, content }]);
  const unknown = (type: string) => `blocks of type "${type}" are not supported here`;
  const source = (of: object) => ({ type: "image", source: { type: "base64", ...of } });
  assertEquals(
    of("user", text("a"), source({ data: "?" })).split(":")[0],
    "0.content.1.source.data",
  );
  assertEquals(
    of("user", source({ type: "url", url: "https://example.com/a.png" })).split(":")[0],
    "0.content.0.source.type",
  );
  assertEquals(of("user", { type: "document" }), `0.content.0.type: ${unknown("document")}`);
  assertEquals(
    of("user", result("c", { content: [{ type: "video" }] })),
    `0.content.0.content.0.type: ${unknown("video")}`,
  );
  const wrong = (role: string, type: string) =>
    `0.content.0: messages of "${role}" have no blocks of type "${type}"`;
  assertEquals(of("user", use("c")), wrong("user", "tool_use"));
  assertEquals(of("assistant", result("c", {})), wrong("assistant", "tool_result"));
  assertEquals(of("system", use("c")), wrong("system", "tool_use"));
  assertEquals(of("assistant", source({ data: "AA==" })), wrong("assistant", "image"));
  assertEquals(of("user", { text: "a" }), "0.content.0.type: expected a block with a type");
  assertEquals(of("tool", text("a")), '0.role: expected "user" or "assistant"');
  assertEquals(fault([]), ": expected at least one message");
});
