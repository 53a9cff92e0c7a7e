/** A model that answers a source, asked over HTTP: what its source is, and what it is not asked. */
import "../../support/thread_pool.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import {
  bool,
  type GgufValue,
  list,
  type MetadataEntry,
  type StoredValue,
  text,
  u32,
} from "../../../src/gguf/mod.ts";
import type { LoadedModel } from "../../../src/llm/mod.ts";
import { createApp, loadedModels } from "../../../src/server/mod.ts";
import { TokenType } from "../../../src/tokenizer/token_types.ts";
import { type Entry, unigramMetadata } from "../../tokenizer/encoder_vocab.ts";
import { withModel, withTinyFile } from "../../support/loaded_model.ts";
import { TINY_SHAPE, type TinyModelOptions } from "../../support/tiny_model.ts";
import { CHAT, post, refused, TEXT } from "../http_client.ts";

const EOS = 2;
const SPECIALS = 4;
const [CAT, PURRS, GERMAN] = [SPECIALS, SPECIALS + 1, SPECIALS + 2];
const WORDS: readonly Entry[] = [
  ["▁cat", undefined, -2],
  ["▁purrs", undefined, -2],
  // As MADLAD-400 has languages.
  ["<2de>", TokenType.userDefined],
];

function t5(): TinyModelOptions {
  const rest = Array.from(
    { length: TINY_SHAPE.vocabSize - SPECIALS - WORDS.length },
    (_, i): Entry => [`▁w${i}`, undefined, -99],
  );
  const metadata = unigramMetadata([...WORDS, ...rest]);
  const own = [...metadata].filter(([key]) => key.startsWith("tokenizer."));
  return {
    ...{ architecture: "t5", seed: 4, contextLength: 32 },
    metadata: [
      ...own.map(([key, value]): MetadataEntry => [key, stored(value)]),
      ["tokenizer.ggml.add_bos_token", bool(false)],
      ["tokenizer.ggml.add_eos_token", bool(true)],
      ["tokenizer.ggml.add_space_prefix", bool(true)],
      ["tokenizer.chat_template", text("")],
    ],
  };
}

function stored(value: GgufValue): StoredValue {
  if (typeof value === "object") return list(value);
  return typeof value === "string" ? text(value) : u32(Number(value));
}

async function withApp(
  use: (app: ReturnType<typeof createApp>, model: LoadedModel) => Promise<void>,
): Promise<void> {
  await withTinyFile(
    t5(),
    (path) =>
      withModel(
        path,
        { threads: 1, gpu: "off" },
        (model) => use(createApp({ models: loadedModels([model]) }), model),
      ),
  );
}

const ASKED = { temperature: 0, max_tokens: 6 };

Deno.test("a prompt, and what a user said last, are the source that a T5 answers", () =>
  withApp(async (app, model) => {
    assertEquals(model.encodePrompt("cat purrs"), [CAT, PURRS, EOS]);
    const messages = [
      { role: "system" as const, content: "purrs" },
      { role: "user" as const, content: "purrs purrs" },
      { role: "assistant" as const, content: "cat" },
      { role: "user" as const, content: "cat purrs" },
    ];
    assertEquals(model.encodeChat(messages), [CAT, PURRS, EOS]);
    for (const content of ["<2de> cat", "cat</s> <2de>"]) {
      const ids = model.encodeChat([{ role: "user", content }]);
      assertEquals(ids, model.encodePrompt(content));
      assertEquals([ids.includes(GERMAN), ids.indexOf(EOS)], [true, ids.length - 1]);
    }
    const sampling = { temperature: 0 };
    const answer = model.generate({ ids: [CAT, PURRS, EOS], maxTokens: 6, sampling });
    const { text } = await answer.result;
    assertEquals(text, text.trim());
    const completed = await (await post(app, TEXT, { ...ASKED, prompt: "cat purrs" })).json();
    assertEquals(completed.choices[0].text, text);
    // Two words and their end.
    assertEquals(completed.usage.prompt_tokens, 3);
    const chatted = await (await post(app, CHAT, { ...ASKED, messages })).json();
    assertEquals(chatted.choices[0].message.content, text);
    const twice = await (await post(app, TEXT, { ...ASKED, prompt: ["cat", "cat purrs"] })).json();
    assertEquals(twice.choices[1].text, text);
    const native = await (await post(app, "/completion", {
      ...{ temperature: 0, n_predict: 6, prompt: "cat purrs" },
    })).json();
    assertEquals(native.content, text);
  }));

Deno.test("an empty source is answered, and answers are bound by grammars", () =>
  withApp(async (app) => {
    const empty = await (await post(app, TEXT, { ...ASKED, prompt: "" })).json();
    assertEquals(empty.usage.prompt_tokens, 1);
    const grammar = 'root ::= " "? "cat purrs cat"';
    const bound = await (await post(app, "/completion", { prompt: "purrs", grammar })).json();
    assertEquals(bound.content, "cat purrs cat");
  }));

Deno.test("a model that answers sources is given no functions, and no answer that has begun", () =>
  withApp(async (app, model) => {
    const user = { role: "user", content: "cat" };
    const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
    const told = await refused(app, CHAT, { messages: [user], tools });
    assertEquals([told.param, told.code], ["tools", "unsupported_parameter"]);
    const messages = [user, { role: "assistant", content: "purrs" }];
    const begun = await post(app, "/v1/messages", { messages, max_tokens: 4 });
    assertEquals(begun.status, 400);
    assertStringIncludes((await begun.json()).error.message, "goes on with no answer");
    assertThrows(() => model.generate({ ids: [] }), RequestError, "send at least one token");
    const echo = await refused(app, TEXT, {
      prompt: "cat",
      echo: true,
      logprobs: 1,
      max_tokens: 1,
    });
    assertStringIncludes(echo.message, "say how likely a prompt is");
    const vector = await refused(app, "/v1/embeddings", { input: "cat" });
    assertStringIncludes(vector.message, "make vectors of texts");
  }));
