import { assertEquals } from "@std/assert";
import { loadedModels } from "../../../src/server/mod.ts";
import type { Steps } from "../../../src/base/steps.ts";
import type { PromptSteps } from "../../../src/llm/types.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
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

class SteppedModel extends ScriptedModel {
  /** A step that takes as long as turns are apart; the id says whether somebody had one then. */
  override get inSteps(): PromptSteps {
    const text = function* (): Steps<number[]> {
      let hadTurn = 0;
      setTimeout(() => hadTurn = 1, 0);
      for (const startMs = performance.now(); performance.now() - startMs < 60;);
      yield;
      return [hadTurn];
    };
    return { ...super.inSteps, text };
  }
}

class CountingModel extends ScriptedModel {
  pieces = 0;

  override tokenBytes(id: number): Uint8Array {
    this.pieces++;
    return super.tokenBytes(id);
  }
}

Deno.test("/tokenize lets others have their turns, and spells each of its tokens once", async () => {
  const model = new SteppedModel();
  const { app } = testApp({}, { models: loadedModels([model]) });
  const ask = { content: "x", with_pieces: true };
  assertEquals(await (await post(app, "/tokenize", ask)).json(), {
    tokens: [{ id: 1, piece: "\x01" }],
  });
  const plain = new CountingModel();
  const { app: other } = testApp({}, { models: loadedModels([plain]) });
  const content = "ab".repeat(5000);
  const { tokens } = await (await post(other, "/tokenize", { ...ask, content })).json();
  assertEquals([tokens.length, tokens.at(-1), plain.pieces], [10_000, { id: 98, piece: "b" }, 2]);
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
  assertEquals((await refused(app, "/detokenize", { tokens: [1, "a"] })).param, "tokens[1]");
  for (const tokens of [undefined, "1", Array(2 ** 20 + 1).fill(1)]) {
    assertEquals((await refused(app, "/detokenize", { tokens })).param, "tokens");
  }
  assertEquals((await refused(app, "/detokenize", { tokens: [7, 2 ** 16] })).param, "tokens[1]");
  assertEquals((await refused(app, "/apply-template", { messages: [] })).param, "messages");
});
