/** A model that fills in texts, asked over HTTP: streams, seeds, what is refused, who leaves. */
import "../../support/thread_pool.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { LoadedModel, LoadOptions } from "../../../src/llm/mod.ts";
import { createApp, loadedModels, serve } from "../../../src/server/mod.ts";
import { withModel, withTinyFile } from "../../support/loaded_model.ts";
import { CHAT, post, readEvents, refused, TEXT } from "../http_client.ts";

type App = ReturnType<typeof createApp>;
const MESSAGES = [{ role: "user", content: "a story" }];
const ASKED = { temperature: 0, max_tokens: 24 };
const FILL = { blockTokens: 8, stepTokens: 2 };

function withFilling(
  use: (app: App, model: LoadedModel) => Promise<void>,
  options: LoadOptions = {},
): Promise<void> {
  const tiny = { architecture: "llada", seed: 3, contextLength: 1024 } as const;
  return withTinyFile(tiny, (path) =>
    withModel(
      path,
      { threads: 1, gpu: "off", fill: FILL, ...options },
      (model) => use(createApp({ models: loadedModels([model]) }), model),
    ));
}

Deno.test("a chat with a model that fills in says in pieces what it says at once, by every API", () =>
  withFilling(async (app, model) => {
    const asked = { ...ASKED, messages: MESSAGES };
    const whole = await (await post(app, CHAT, asked)).json();
    const { message: { content }, finish_reason } = whole.choices[0];
    assert(content.length > 0);
    assertEquals([finish_reason, whole.usage.completion_tokens], ["length", 24]);
    const events = await readEvents(await post(app, CHAT, { ...asked, stream: true }));
    const pieces = events.filter((event) => event !== "[DONE]")
      .flatMap(({ choices }) => choices.map((choice: { delta: { content?: string } }) => choice))
      .flatMap(({ delta }) => delta.content ?? []);
    assertEquals(pieces.join(""), content);
    assert(pieces.length > 1);
    const ids = model.encodeChat([{ role: "user", content: "a story" }]);
    const own = await model.generate({ ids, maxTokens: 24, sampling: { temperature: 0 } }).result;
    assertEquals(own.text, content);
    // The same tokens as ids.
    const completed = await (await post(app, TEXT, { ...ASKED, prompt: ids })).json();
    assertEquals(completed.choices[0].text, content);
    const messages = await (await post(app, "/v1/messages", { ...asked, model: model.id })).json();
    assertEquals(messages.content, [{ type: "text", text: content }]);
    const ollama = await (await post(app, "/api/chat", {
      ...{ model: model.id, messages: MESSAGES, stream: false },
      options: { temperature: 0, num_predict: 24 },
    })).json();
    assertEquals(ollama.message.content, content);
    const native = await (await post(app, "/completion", {
      ...{ prompt: ids, temperature: 0, n_predict: 24 },
    })).json();
    assertEquals(native.content, content);
  }));

Deno.test("a seed gives the same text, several choices others, and a stop text ends an answer", () =>
  withFilling(async (app) => {
    const asked = { messages: MESSAGES, max_tokens: 16, temperature: 1, seed: 5 };
    const textsOf = async (more: object) => {
      const { choices } = await (await post(app, CHAT, { ...asked, ...more })).json();
      return choices.map((choice: { message: { content: string } }) => choice.message.content);
    };
    const [first] = await textsOf({});
    assertEquals(await textsOf({}), [first]);
    const both = await textsOf({ n: 2 });
    assertEquals([both.length, both[0] === both[1]], [2, false]);
    const letter = first.trim()[4];
    const { choices: [stopped] } = await (await post(app, CHAT, { ...asked, stop: letter })).json();
    assertEquals(stopped.finish_reason, "stop");
    assertEquals(stopped.message.content, first.slice(0, first.indexOf(letter)));
  }));

Deno.test("schemas, grammars, functions that must be called and log probabilities are refused", () =>
  withFilling(async (app) => {
    const schema = { type: "object", properties: { a: { type: "string" } } };
    const tools = [{ type: "function", function: { name: "f", parameters: schema } }];
    const cases = [
      [CHAT, { response_format: { type: "json_object" } }, "follow a grammar, a schema"],
      [CHAT, { tools, tool_choice: "required" }, "or a function's form"],
      [CHAT, { logprobs: true }, "give log probabilities"],
    ] as const;
    for (const [path, more, what] of cases) {
      for (const stream of [false, true]) {
        const asked = { ...ASKED, messages: MESSAGES, stream, ...more };
        const { message, code } = await refused(app, path, asked);
        assertStringIncludes(message, "with this model: llada fills in a text");
        assertStringIncludes(message, what);
        assertEquals(code, "unsupported");
      }
    }
    const vectors = await refused(app, "/v1/embeddings", { input: "a story" });
    assertStringIncludes(vectors.message, "Cannot make vectors of texts with this model");
  }));

Deno.test("an answer has 256 tokens where nobody says, whatever the context of a request is", () =>
  withFilling(async (app, model) => {
    const asked = { model: model.id, messages: MESSAGES, stream: false };
    const options = { temperature: 0, seed: 1 };
    const countOf = async (more: object) => {
      const response = await post(app, "/api/chat", { ...asked, options: { ...options, ...more } });
      return (await response.json()).eval_count;
    };
    // A context as long as it is, a shorter one, and one in which there is room for no more.
    const { length } = model.encodeChat([{ role: "user", content: "a story" }]);
    assertEquals([await countOf({}), await countOf({ num_ctx: 1000 })], [256, 256]);
    assertEquals(await countOf({ num_ctx: length + 100 }), 100);
    assertEquals(await countOf({ num_ctx: 1000, num_predict: 300 }), 300);
  }, { fill: { blockTokens: 64, stepTokens: 64 } }));

Deno.test("conversations with a model that fills in are not kept, and it says why", () =>
  withFilling(async (_, model) => {
    const path = await Deno.makeTempDir();
    try {
      const conversations = { path, bytesMax: 1e6 };
      const app = createApp({ models: loadedModels([model]), conversations });
      const asked = { model: model.id, name: "one", prompt: "a story" };
      const { message, code } = await refused(app, "/conversations/save", asked, 501);
      assertStringIncludes(message, "each word depends on all of it");
      assertEquals([code, [...Deno.readDirSync(path)]], ["not_supported", []]);
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  }));

Deno.test("who leaves an answer that is filled in stops it, and who waits has the next turn", () =>
  withFilling(async (_, model) => {
    const server = serve({ models: loadedModels([model]), onError: () => {}, port: 0 });
    try {
      const url = `http://127.0.0.1:${server.port}${CHAT}`;
      const ask = (more: object, signal?: AbortSignal) =>
        fetch(url, {
          ...{ method: "POST", signal },
          body: JSON.stringify({ ...ASKED, messages: MESSAGES, ...more }),
        });
      const leaves = new AbortController();
      const long = { max_tokens: 900, ignore_eos: true, stream: true };
      const left = await ask(long, leaves.signal);
      await left.body!.getReader().read();
      const waits = ask({});
      while (model.load.waiting === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      leaves.abort();
      const { choices } = await (await waits).json();
      assert(choices[0].message.content.length > 0);
      assertEquals([model.load.running, model.kv.usedTokens], [0, 0]);
    } finally {
      await server.shutdown();
    }
  }, { fill: { blockTokens: 64, stepTokens: 1 } }));
