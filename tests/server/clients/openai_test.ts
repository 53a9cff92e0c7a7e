/** OpenAI's own client against the server: what it accepts, others will. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { z } from "zod";
import { zodResponseFormat } from "openai/helpers/zod";
import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError } from "openai";
import type { GenerateRequest } from "../../../src/llm/types.ts";
import { type NativeModel, nativeModel } from "../../support/native_calls.ts";
import type { ScriptedModelOptions } from "../../support/scripted_model.ts";
import { withServer } from "../http_client.ts";

const messages: { role: "user"; content: string }[] = [{ role: "user", content: "Hi" }];
const model = "scripted";

async function withClient(
  script: ScriptedModelOptions,
  use: (client: OpenAI, server: Parameters<Parameters<typeof withServer>[1]>[0]) => Promise<void>,
): Promise<void> {
  await withServer(script, async (context) => {
    const baseURL = `${context.server.url}/v1`;
    await use(new OpenAI({ apiKey: "none", baseURL, maxRetries: 0 }), context);
  }, { strictRequests: true }); // what this client sends is known
}

Deno.test("OpenAI's client reads whole answers and lists of models", async () => {
  await withClient({}, async (client) => {
    const chat = await client.chat.completions.create({ model, messages });
    assertEquals(chat.choices[0].message.content, "Hello, world");
    assertEquals(chat.usage?.total_tokens, 14);
    const text = await client.completions.create({ model, prompt: ["a", "b"], max_tokens: 5 });
    assertEquals(text.choices.map((choice) => choice.text), ["Hello", "Hello"]);
    const models = await client.models.list();
    assertEquals(models.data.map(({ id }) => id), [model]);
    assertEquals((await client.models.retrieve(model)).object, "model");
  });
});

Deno.test("OpenAI's client reads streams, their usage included", async () => {
  await withClient({ script: ["Hé", "llo 🙂", "\n\n"] }, async (client) => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let total: number | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      total = chunk.usage?.total_tokens ?? total;
    }
    assertEquals([text, total], ["Héllo 🙂\n\n", 12]);
    const helper = client.chat.completions.stream({ model, messages });
    assertEquals(await helper.finalContent(), "Héllo 🙂\n\n");
    const plain = await client.completions.create({ model, prompt: "x", stream: true });
    let continued = "";
    for await (const chunk of plain) continued += chunk.choices[0].text;
    assertEquals(continued, "Héllo 🙂\n\n");
  });
});

Deno.test("OpenAI's client raises the right class for each refusal", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withClient({ waitingMax: 0, script: [promise] }, async (client, { model: scripted }) => {
    const ask = (fields: object) =>
      client.chat.completions.create({ model, messages, ...fields } as never) as Promise<unknown>;
    const bad = await assertRejects(() => ask({ temperature: -1 }), BadRequestError);
    assertEquals([bad.status, bad.param, bad.type], [400, "temperature", "invalid_request_error"]);
    const unknown = await assertRejects(() => ask({ model: "other" }), NotFoundError);
    assertEquals(unknown.code, "model_not_found");
    const running = ask({});
    await scripted.until((counters) => counters.started === 1);
    const full = await assertRejects(() => ask({}), InternalServerError);
    assertEquals([full.status, full.code], [503, "queue_full"]);
    resolve();
    await running;
  });
});

Deno.test("OpenAI's client raises an error when a stream fails half-way", async () => {
  await withClient({ script: ["half", new Error("boom")] }, async (client) => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    let text = "";
    const error = await assertRejects(async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    });
    assertInstanceOf(error, APIError);
    assertEquals([text, error.code], ["half", "internal_error"]);
  });
});

Deno.test("OpenAI's client retries a full queue until there is room", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const script = () => (count++ === 0 ? [promise] : ["late"]);
  await withClient({ waitingMax: 0, script }, async (client, { model: scripted }) => {
    const first = client.chat.completions.create({ model, messages });
    await scripted.until((counters) => counters.started === 1);
    const second = client.chat.completions.create({ model, messages }, { maxRetries: 1 });
    setTimeout(resolve, 10);
    assertEquals((await second).choices[0].message.content, "late");
    await first;
  });
});

Deno.test("leaving a stream of OpenAI's client aborts its generation", async () => {
  const never = new Promise<void>(() => {});
  await withClient({ script: ["one", never] }, async (client, { model: scripted }) => {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) if (chunk.choices[0].delta.content === "one") break;
    await scripted.until((counters) => counters.aborted === 1);
    assert(scripted.requests[0].signal?.aborted);
  });
});

const details = { chatTemplate: "{% if tools %}<tool_call>{% endif %}" };
const f: OpenAI.ChatCompletionFunctionTool = {
  type: "function",
  function: { name: "f", parameters: { type: "object" } },
};

Deno.test("OpenAI's client runs functions until there is an answer", async () => {
  const script = (request: GenerateRequest) =>
    decode(request.ids).includes("rain")
      ? ["Take an umbrella."]
      : [`<tool_call>{"name":"f","arguments":{"city":`, `"Ulm"}}</tool_call>`];
  await withClient({ details, script }, async (client, { model: scripted }) => {
    const asked: unknown[] = [];
    const runner = client.chat.completions.runTools({
      model,
      messages,
      stream: true,
      tools: [{
        type: "function",
        function: {
          name: "f",
          description: "weather",
          parameters: { type: "object", properties: { city: { type: "string" } } },
          parse: JSON.parse,
          function: (args: unknown) => {
            asked.push(args);
            return "rain";
          },
        },
      }],
    });
    assertEquals(await runner.finalContent(), "Take an umbrella.");
    assertEquals(asked, [{ city: "Ulm" }]);
    assertEquals(scripted.chats[1].map(({ role }) => role), ["user", "assistant", "tool"]);
  });
});

Deno.test("OpenAI's client puts calls in forms of models' own together from a stream", async () => {
  const written = {
    functionary: 'all\nI look.>>>f\n{"a": "é\\n"}>>>g\n{}',
    apertus: 'I look.<|tools_prefix|>[{"f": {"a": "é\\n"}}, {"g": {}}]<|tools_suffix|>',
    dsml:
      'I look.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name="f">\n<｜DSML｜parameter name="a" ' +
      'string="true">é\n</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="g">\n' +
      "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
  } as const;
  const tools = ["f", "g"].map((name) => ({ type: "function" as const, function: { name } }));
  for (const [name, text] of Object.entries(written)) {
    await withClient(nativeModel(name as NativeModel, text), async (client) => {
      const stream = client.chat.completions.stream({ model, messages, tools });
      const { content, tool_calls: calls = [] } = await stream.finalMessage();
      assertEquals([content, (await stream.finalChatCompletion()).choices[0].finish_reason], [
        ...["I look.", "tool_calls"],
      ]);
      const read = calls.flatMap((call) =>
        call.type === "function" ? [[call.function.name, JSON.parse(call.function.arguments)]] : []
      );
      assertEquals(read, [["f", { a: "é\n" }], ["g", {}]], name);
      assertEquals(new Set(calls.map(({ id }) => id)).size, 2);
      // What came goes back.
      const results = calls.map(({ id }) => ({
        role: "tool" as const,
        tool_call_id: id,
        content: "r",
      }));
      const next = [
        ...messages,
        { role: "assistant" as const, content, tool_calls: calls },
        ...results,
      ];
      const again = client.chat.completions.stream({ model, messages: next, tools });
      assertEquals((await again.finalMessage()).tool_calls?.length, 2);
    });
  }
});

Deno.test("OpenAI's client gets a tool call that must be made", async () => {
  await withClient({ details, script: [`{"name":"f","arguments":{"a":1}}`] }, async (client) => {
    const chat = await client.chat.completions.create({
      model,
      messages,
      tools: [f],
      tool_choice: "required",
    });
    const [call] = chat.choices[0].message.tool_calls ?? [];
    assert(call.type === "function");
    assertEquals([call.function.name, call.function.arguments], ["f", `{"a":1}`]);
  });
});

Deno.test("OpenAI's client parses answers that follow a schema", async () => {
  const schema = z.object({ answer: z.number() });
  await withClient({ script: [`{"answer": 42}`] }, async (client, { model: scripted }) => {
    const chat = await client.chat.completions.parse({
      model,
      messages,
      response_format: zodResponseFormat(schema, "answer"),
    });
    assertEquals(chat.choices[0].message.parsed, { answer: 42 });
    assertEquals(scripted.requests[0].grammar?.kind, "jsonSchema");
  });
});

Deno.test("OpenAI's client reads log probabilities and several choices", async () => {
  await withClient({ script: ["ab"] }, async (client) => {
    const chat = await client.chat.completions.create({
      model,
      messages,
      n: 2,
      logprobs: true,
      top_logprobs: 2,
    });
    assertEquals(chat.choices.length, 2);
    const tokens = chat.choices[1].logprobs?.content ?? [];
    assertEquals(tokens.map(({ token }) => token), ["a", "b"]);
    assertEquals(tokens[0].top_logprobs.length, 2);
  });
});

Deno.test("OpenAI's client decodes embeddings, which it asks for in base64", async () => {
  const embed = () => new Float32Array([3, 4]);
  await withClient({ embed }, async (client) => {
    const { data } = await client.embeddings.create({ model, input: ["a", "b"] });
    assertEquals(data.map(({ embedding }) => embedding.map((x) => x.toFixed(2))), [
      ["0.60", "0.80"],
      ["0.60", "0.80"],
    ]);
  });
});

Deno.test("OpenAI's client reads responses, whole and streamed", async () => {
  const script = ["Well. ", `<tool_call>{"name":"f","arguments":{}}</tool_call>`];
  await withClient({ details, script }, async (client) => {
    const tools: OpenAI.Responses.FunctionTool[] = [
      { type: "function", name: "f", parameters: null, strict: false },
    ];
    const whole = await client.responses.create({ model, input: "Hi", tools });
    assertEquals(whole.output_text, "Well.");
    assertEquals(whole.output[1].type, "function_call");
    const stream = client.responses.stream({ model, input: "Hi", tools });
    let text = "";
    stream.on("response.output_text.delta", ({ delta }) => text += delta);
    const final = await stream.finalResponse();
    assertEquals([text, final.status, final.output.length], ["Well.", "completed", 2]);
  });
});

Deno.test("OpenAI's client raises the error of a response that fails half-way", async () => {
  await withClient({ script: ["half", new Error("boom")] }, async (client) => {
    const stream = await client.responses.create({ model, input: "Hi", stream: true });
    await assertRejects(async () => {
      for await (const _event of stream);
    }, APIError);
    await assertRejects(
      () => client.responses.create({ model, input: "Hi", previous_response_id: "r" }),
      BadRequestError,
      "previous_response_id",
    );
  });
});

function decode(ids: readonly number[]): string {
  return String.fromCharCode(...ids);
}
