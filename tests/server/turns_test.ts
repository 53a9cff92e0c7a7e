/** Texts of any length are encoded in steps, whatever API they came by. */
import { assert, assertEquals } from "@std/assert";
import type { PromptSteps } from "../../src/llm/types.ts";
import { loadedModels } from "../../src/server/mod.ts";
import { ScriptedModel } from "../support/scripted_model.ts";
import { hello, post, testApp } from "./http_client.ts";

/** Steps that take longer than turns are apart, each noting whether others had one after it. */
class SteppedModel extends ScriptedModel {
  readonly hadTurns: boolean[] = [];

  override get inSteps(): PromptSteps {
    const own = super.inSteps;
    const slowly = <T extends unknown[]>(encode: (...of: T) => Generator<void, number[]>) => {
      const { hadTurns } = this;
      return function* (...of: T): Generator<void, number[]> {
        let hadTurn = false;
        setTimeout(() => hadTurn = true, 0);
        for (const beginMs = performance.now(); performance.now() - beginMs < 25;);
        yield;
        hadTurns.push(hadTurn);
        return yield* encode(...of);
      };
    };
    return {
      ...{ chat: slowly(own.chat), prompt: slowly(own.prompt), text: slowly(own.text) },
      ...{ whole: slowly(own.whole), pair: slowly(own.pair) },
    };
  }
}

const gapMarks = { prefix: 1, suffix: 2, middle: 3, repository: null, file: null };
const asked: readonly [path: string, body: object][] = [
  ["/v1/chat/completions", hello],
  ["/v1/chat/completions/input_tokens", hello],
  ["/v1/messages", { ...hello, max_tokens: 1 }],
  ["/v1/messages/count_tokens", hello],
  ["/v1/responses", { input: "a" }],
  ["/v1/responses/input_tokens", { input: "a" }],
  ["/v1/completions", { prompt: "a" }],
  ["/v1/completions", { prompt: "a", suffix: "b" }],
  ["/completion", { prompt: "a" }],
  ["/infill", { input_prefix: "a", input_suffix: "b", input_extra: [{ text: "c" }] }],
  ["/tokenize", { content: "a" }],
  ["/v1/embeddings", { input: "a" }],
  ["/embed", { inputs: ["a"], truncate: true }],
  ["/v1/rerank", { query: "a", documents: ["b"] }],
  ["/api/chat", { ...hello, stream: false }],
  ["/api/generate", { prompt: "a", raw: true, stream: false }],
  ["/api/generate", { prompt: "a", suffix: "b", stream: false }],
  ["/api/embed", { input: "a" }],
  ["/api/embeddings", { prompt: "a" }],
];

for (const [path, body] of asked) {
  Deno.test(`${path} lets others have turns while it encodes ${Object.keys(body)}`, async () => {
    const model = new SteppedModel({ details: { gapMarks }, rank: () => 0 });
    const { app } = testApp({}, { models: loadedModels([model]) });
    const response = await post(app, path, { model: "scripted", ...body });
    assertEquals(response.status, 200, await response.text());
    assert(model.hadTurns.length > 0 && model.hadTurns.every(Boolean), `${model.hadTurns}`);
  });
}
