import { assertEquals } from "@std/assert";
import { hello, post, refused, testApp } from "../http_client.ts";

Deno.test("/tokenize and /detokenize are each other's inverse", async () => {
  const { app } = testApp();
  const { tokens } = await (await post(app, "/tokenize", { content: "Hi é" })).json();
  assertEquals(tokens, [72, 105, 32, 233]);
  assertEquals(await (await post(app, "/detokenize", { tokens })).json(), { content: "Hi é" });
  const pieces = await (await post(app, "/tokenize", { content: "é", with_pieces: true })).json();
  assertEquals(pieces, { tokens: [{ id: 233, piece: "é" }] });
  assertEquals(await (await post(app, "/tokenize", { content: "" })).json(), { tokens: [] });
});

Deno.test("/apply-template shows the prompt, what opens a call included", async () => {
  const { app } = testApp({ details: { chatTemplate: "{{ tools }}<tool_call>" } });
  const messages = [{ role: "system", content: "s" }, ...hello.messages];
  assertEquals(await (await post(app, "/apply-template", { messages })).json(), {
    prompt: "s\nHi",
  });
  const tools = [{ type: "function", function: { name: "f" } }];
  const forced = { ...hello, tools, tool_choice: "required" };
  assertEquals(await (await post(app, "/apply-template", forced)).json(), {
    prompt: "Hi<tool_call>\n",
  });
});

Deno.test("/v1/chat/completions/input_tokens counts what a chat would", async () => {
  const { app } = testApp();
  assertEquals(await (await post(app, "/v1/chat/completions/input_tokens", hello)).json(), {
    object: "response.input_tokens",
    input_tokens: 2,
  });
});

Deno.test("/tokenize, /detokenize and /apply-template name the field at fault", async () => {
  const { app } = testApp();
  assertEquals((await refused(app, "/tokenize", {})).param, "content");
  assertEquals((await refused(app, "/tokenize", { content: 5 })).param, "content");
  assertEquals((await refused(app, "/detokenize", { tokens: [-1] })).param, "tokens[0]");
  assertEquals((await refused(app, "/detokenize", { tokens: ["a"] })).param, "tokens[0]");
  assertEquals((await refused(app, "/apply-template", { messages: [] })).param, "messages");
});
