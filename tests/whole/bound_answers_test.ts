/**
 * Answers that are bound, over HTTP, by the built-in model: calls, schemas, log probabilities.
 */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Ollama } from "ollama/browser";
import OpenAI, { BadRequestError } from "openai";
import { BUILT_IN_MODEL_PATH } from "../../src/llm/built_in_model.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withModel } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

async function withClients(
  use: (clients: { openai: OpenAI; ollama: Ollama; model: string }) => Promise<void>,
): Promise<void> {
  await withModel(BUILT_IN_MODEL_PATH, { threads: 2 }, async (model) => {
    const server = serve({ port: 0, models: loadedModels([model]) });
    const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
    try {
      await use({ openai, ollama: new Ollama({ host: server.url }), model: model.id });
    } finally {
      await server.shutdown();
    }
  });
}

const messages = [{ role: "user" as const, content: "What is the weather in Ulm?" }];
const schema = {
  type: "object",
  properties: {
    city: { enum: ["Ulm", "Bonn"] },
    days: { type: "integer", minimum: 1, maximum: 9 },
  },
  required: ["city", "days"],
  additionalProperties: false,
};
const tools: OpenAI.ChatCompletionFunctionTool[] = [
  { type: "function", function: { name: "weather", parameters: schema } },
  {
    type: "function",
    function: { name: "time", parameters: { $ref: "#/$defs/T", $defs: { T: schema } } },
  },
];

Deno.test("a call that must be made is made, and its arguments follow the schema", () =>
  withClients(async ({ openai, model }) => {
    for (const seed of Array(10).keys()) {
      const stream = openai.chat.completions.stream({
        model,
        messages,
        tools,
        tool_choice: seed % 2 === 0 ? "required" : { type: "function", function: { name: "time" } },
        seed,
        temperature: 1.5,
        max_tokens: 200,
      });
      const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
      assertEquals(finish_reason, "tool_calls", JSON.stringify(message));
      const [call] = message.tool_calls ?? [];
      assert(call.type === "function");
      if (seed % 2 === 1) assertEquals(call.function.name, "time");
      const { city, days, ...rest } = JSON.parse(call.function.arguments);
      assert(["Ulm", "Bonn"].includes(city) && days >= 1 && days <= 9, call.function.arguments);
      assertEquals(rest, {});
    }
  }));

Deno.test("answers follow a schema in every API, with functions beside it, too", () =>
  withClients(async ({ openai, ollama, model }) => {
    const response_format = {
      type: "json_schema" as const,
      json_schema: { name: "n", schema, strict: true },
    };
    const settings = { model, temperature: 1, seed: 3 };
    const check = (text: string | null) => {
      const { city, days } = JSON.parse(text ?? "");
      assert(["Ulm", "Bonn"].includes(city) && days >= 1 && days <= 9, text ?? "");
    };
    const chat = await openai.chat.completions.create({ ...settings, messages, response_format });
    check(chat.choices[0].message.content);
    const both = await openai.chat.completions.create({
      ...settings,
      messages,
      response_format,
      tools,
      max_tokens: 200,
    });
    const [{ message }] = both.choices;
    check(
      message.content ??
        (message.tool_calls as { function: { arguments: string } }[])[0].function.arguments,
    );
    const response = await openai.responses.create({
      ...settings,
      input: "Hi",
      text: { format: { type: "json_schema", name: "n", schema } },
    } as OpenAI.Responses.ResponseCreateParamsNonStreaming);
    check(response.output_text);
    const options = { temperature: 1, seed: 3 };
    check((await ollama.chat({ model, messages, format: schema, options })).message.content);
    const any = await ollama.generate({
      model,
      prompt: "Hi",
      format: "json",
      options: { ...options, num_predict: 300 },
    });
    if (any.done_reason === "stop") assertEquals(typeof JSON.parse(any.response ?? ""), "object");
  }));

Deno.test("functions that a model may call leave an answer without a call as it is", () =>
  withClients(async ({ openai, model }) => {
    const ask = (fields: object): Promise<OpenAI.ChatCompletion> =>
      openai.chat.completions.create(
        { model, messages, tools, max_tokens: 40, temperature: 0, ...fields } as never,
      );
    const [bound, free] = [await ask({}), await ask({ parallel_tool_calls: false })];
    const { message, finish_reason } = bound.choices[0];
    assert((message.content ?? "").length > 0);
    assertEquals([message.tool_calls, finish_reason], [undefined, "stop"]);
    assertEquals(free.choices[0].message.content, message.content);
  }));

Deno.test("log probabilities are those of a distribution, and best_of takes the best", () =>
  withClients(async ({ openai, model }) => {
    const chat = await openai.chat.completions.create({
      model,
      messages,
      temperature: 0,
      logprobs: true,
      top_logprobs: 20,
      max_tokens: 5,
    });
    const tokens = chat.choices[0].logprobs?.content ?? [];
    assertEquals(tokens.length, 5);
    for (const { token, logprob, top_logprobs } of tokens) {
      assertEquals([top_logprobs[0].token, top_logprobs[0].logprob], [token, logprob]);
      const sum = top_logprobs.reduce((all, each) => all + Math.exp(each.logprob), 0);
      assert(sum > 0 && sum <= 1.0001);
    }
    const text = tokens.map(({ token }) => token).join("");
    assertEquals(text, chat.choices[0].message.content);
    const ask = { model, prompt: "Once", max_tokens: 8, seed: 1, temperature: 1.2, logprobs: 0 };
    const all = await openai.completions.create({ ...ask, n: 4 });
    const best = await openai.completions.create({ ...ask, n: 1, best_of: 4 });
    const score = (choice: OpenAI.CompletionChoice) => {
      const chances = choice.logprobs?.token_logprobs ?? [];
      return chances.reduce((sum, each) => sum + each, 0) / chances.length;
    };
    const ranked = [...all.choices].sort((a, b) => score(b) - score(a));
    assertEquals(best.choices[0].text, ranked[0].text);
    assertAlmostEquals(score(best.choices[0]), score(ranked[0]), 1e-4);
  }));

Deno.test("grammars and schemas that are none are refused by the name of their field", () =>
  withClients(async ({ openai, model }) => {
    const ask = (fields: object) =>
      openai.chat.completions.create({ model, messages, ...fields } as never);
    const bad: [object, string][] = [
      [{ grammar: "root ::= (" }, "grammar"],
      [{ json_schema: { type: "odd" } }, "json_schema"],
      [{ response_format: { type: "json_object", schema: { $ref: "#" } } }, "response_format"],
      [{
        tools: [{
          type: "function",
          function: { name: "f", strict: true, parameters: { type: "odd" } },
        }],
        tool_choice: "required",
      }, "tools[0]"],
    ];
    for (const [fields, param] of bad) {
      const error = await assertRejects(() => ask(fields), BadRequestError);
      assertEquals(error.param, param, error.message);
    }
  }));
