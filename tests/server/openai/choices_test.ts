import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RequestError } from "../../../src/base/errors.ts";
import { CHAT, hello, post, readEvents, refused, testApp, TEXT } from "../http_client.ts";

Deno.test("n answers are made together, each with a seed of its own, and counted once", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { app, model } = testApp({ script: (request) => [promise, `${request.sampling?.seed}`] });
  const answer = post(app, CHAT, { ...hello, n: 3, seed: 5 });
  await model.until((counters) => counters.accepted === 3);
  resolve();
  const { choices, usage } = await (await answer).json();
  assertEquals(
    choices.map((
      { index, message }: { index: number; message: { content: string } },
    ) => [index, message.content]),
    [[0, "5"], [1, "6"], [2, "7"]],
  );
  assertEquals([usage.prompt_tokens, usage.completion_tokens], [2, 3]);
});

Deno.test("n streamed answers come under their own index, with one usage at the end", async () => {
  let count = 0;
  const { app } = testApp({ script: () => [`a${count++}`] });
  const events = await readEvents(
    await post(app, CHAT, {
      ...hello,
      n: 2,
      stream: true,
      stream_options: { include_usage: true },
    }),
  );
  const texts = ["", ""];
  const reasons: unknown[] = [];
  for (const { choices: [choice] } of events.slice(0, -2)) {
    texts[choice.index] += choice.delta.content ?? "";
    if (choice.finish_reason !== null) reasons[choice.index] = choice.finish_reason;
  }
  assertEquals([texts, reasons], [["a0", "a1"], ["stop", "stop"]]);
  assertEquals(events.at(-2).usage.completion_tokens, 4);
});

Deno.test("more choices than the queue has room for wait for one another", async () => {
  const { app, model } = testApp({ waitingMax: 1, script: ["x"] });
  const body = await (await post(app, TEXT, { prompt: "p", n: 9 })).json();
  assertEquals(body.choices.length, 9);
  assertEquals(model.counters.completed, 9);
});

Deno.test("one failing choice ends all of a request", async () => {
  let count = 0;
  const never = new Promise(() => {});
  const { app, model } = testApp({
    script: () => count++ === 0 ? [new Error("boom")] : [never],
  });
  assertEquals((await refused(app, CHAT, { ...hello, n: 3 }, 500)).code, "internal_error");
  await model.until(({ aborted }) => aborted === 2);
  assertEquals(model.load, { running: 0, waiting: 0 });
});

Deno.test("best_of shows the most probable answers", async () => {
  let count = 0;
  const { app, model } = testApp({ script: () => [`${count++}`] });
  const fields = { prompt: "p", best_of: 3, n: 2, seed: 1 };
  const body = await (await post(app, TEXT, fields)).json();
  // All are as probable: the first two.
  assertEquals(body.choices.map(({ text }: { text: string }) => text), ["0", "1"]);
  assertEquals(body.choices[0].logprobs, null);
  assertEquals(body.usage.completion_tokens, 3);
  assertEquals(model.requests.map(({ logprobs }) => logprobs), [0, 0, 0]);
  const shown = await (await post(app, TEXT, { ...fields, logprobs: 0 })).json();
  assertEquals(shown.choices[1].logprobs.token_logprobs, [-0.5]);
  assertEquals((await refused(app, TEXT, { ...fields, best_of: 1 })).param, "best_of");
  assertEquals((await refused(app, TEXT, { ...fields, stream: true })).param, "best_of");
  assertEquals((await refused(app, TEXT, { prompt: Array(64).fill("x"), n: 3 })).param, "n");
});

Deno.test("chats tell log probabilities of every token, whole and streamed", async () => {
  const { app } = testApp({ script: ["a", "é"] });
  const fields = { ...hello, logprobs: true, top_logprobs: 1 };
  const token = (text: string) => ({
    token: text,
    logprob: -0.5,
    bytes: [...new TextEncoder().encode(text)],
  });
  const entry = (text: string) => ({ ...token(text), top_logprobs: [token(text)] });
  const whole = await (await post(app, CHAT, fields)).json();
  assertEquals(whole.choices[0].logprobs, { content: [entry("a"), entry("é")], refusal: null });
  const events = await readEvents(await post(app, CHAT, { ...fields, stream: true }));
  const pieces = events.slice(0, -1).flatMap(({ choices }) => choices[0].logprobs?.content ?? []);
  assertEquals(pieces, [entry("a"), entry("é")]);
});

Deno.test("completions tell log probabilities in their older form", async () => {
  const { app } = testApp({ script: ["ab", "c"] });
  const expected = {
    tokens: ["a", "b", "c"],
    token_logprobs: [-0.5, -0.5, -0.5],
    top_logprobs: [{ a: -0.5, b: -1.5 }, { b: -0.5, c: -1.5 }, { c: -0.5, d: -1.5 }],
    text_offset: [0, 1, 2],
  };
  const whole = await (await post(app, TEXT, { prompt: "p", logprobs: 2 })).json();
  assertEquals(whole.choices[0].logprobs, expected);
  const fields = { prompt: "p", logprobs: 2, stream: true };
  const events = await readEvents(await post(app, TEXT, fields));
  const offsets = events.slice(0, -1)
    .flatMap(({ choices }) => choices[0].logprobs?.text_offset ?? []);
  assertEquals(offsets, [0, 1, 2]);
});

Deno.test("POST /v1/completions shows how likely a prompt was with echo, of its first token not", async () => {
  const { app } = testApp({ script: ["b", "c"] });
  const body = { prompt: "pq", logprobs: 1, echo: true };
  const expected = {
    tokens: ["p", "q", "b", "c"],
    token_logprobs: [null, -0.5, -0.5, -0.5],
    top_logprobs: [null, { q: -0.5 }, { b: -0.5 }, { c: -0.5 }],
    text_offset: [0, 1, 2, 3],
  };
  const [choice] = (await (await post(app, TEXT, body)).json()).choices;
  assertEquals([choice.text, choice.logprobs], ["pqbc", expected]);
  const events = await readEvents(await post(app, TEXT, { ...body, stream: true }));
  const parts = events.slice(0, -1).map(({ choices }) => choices[0]);
  assertEquals(parts.map(({ text }) => text).join(""), "pqbc");
  const logprobs = parts.flatMap((part) => part.logprobs?.token_logprobs ?? []);
  assertEquals(logprobs, expected.token_logprobs);
  const several = await (await post(app, TEXT, { ...body, prompt: ["xy", "z"], n: 2 })).json();
  const firsts = several.choices.map((each: { logprobs: { tokens: string[] } }) =>
    each.logprobs.tokens.join("")
  );
  assertEquals(firsts, ["xybc", "xybc", "zbc", "zbc"]);
  const refusal = await refused(app, TEXT, { ...body, suffix: "s" });
  assertEquals(refusal.param, "echo");
  const { app: mute } = testApp({ hasNoLogprobs: true });
  for (const stream of [false, true]) {
    const response = await post(mute, TEXT, { ...body, stream });
    assert((await response.text()).includes("no log probabilities of prompts"));
  }
});

Deno.test("log probabilities of a model that has none are refused, not left out", async () => {
  const { app } = testApp({ hasNoLogprobs: true });
  const error = await refused(app, CHAT, { ...hello, logprobs: true });
  assertEquals([error.param, error.code], ["logprobs", "unsupported_parameter"]);
});

Deno.test("suffix fills a gap where the vocabulary has marks for one", async () => {
  const gapMarks = { prefix: 1, suffix: 2, middle: 3, repository: null, file: null };
  const { app, model } = testApp({ details: { gapMarks } });
  await post(app, TEXT, { prompt: "a", suffix: "b" });
  assertEquals(model.requests[0].ids, [1, 97, 2, 98, 3]);
  const without = testApp();
  const error = await refused(without.app, TEXT, { prompt: "a", suffix: "b" });
  assertEquals([error.param, error.code], ["suffix", "unsupported_parameter"]);
});

Deno.test("formats reach the model as grammars, and no two at once", async () => {
  const { app, model } = testApp();
  const schema = { type: "object", properties: { a: { type: "integer" } } };
  const forms: [object, unknown][] = [
    [{ response_format: { type: "text" } }, undefined],
    [{ response_format: { type: "json_object" } }, { kind: "json" }],
    [{ response_format: { type: "json_object", schema } }, { kind: "jsonSchema", schema }],
    [
      { response_format: { type: "json_schema", json_schema: { name: "n", schema } } },
      { kind: "jsonSchema", schema },
    ],
    [{ json_schema: schema }, { kind: "jsonSchema", schema }],
    [{ grammar: "root ::= [ab]" }, { kind: "gbnf", text: "root ::= [ab]" }],
  ];
  for (const [fields, grammar] of forms) {
    for (const [path, body] of [[CHAT, hello], [TEXT, { prompt: "p" }]] as const) {
      assertEquals((await post(app, path, { ...body, ...fields })).status, 200);
      assertEquals(model.requests.at(-1)?.grammar, grammar);
    }
  }
  const both = await refused(app, CHAT, { ...hello, ...forms[1][0], ...forms[5][0] });
  assertEquals(both.param, "grammar");
  assertStringIncludes(both.message, "leave out all but one");
});

Deno.test("a grammar that the model refuses is the fault of the field that it came from", async () => {
  const grammarError = new RequestError("no such thing", { status: 400, code: "invalid_grammar" });
  const { app, model } = testApp({ refuse: ({ grammar }) => grammar && grammarError });
  const schema = { type: "odd" };
  const json_schema = { name: "n", schema };
  const bad: [string, object, string][] = [
    [CHAT, { ...hello, grammar: "root ::=" }, "grammar"],
    [CHAT, { ...hello, json_schema: schema }, "json_schema"],
    [CHAT, { ...hello, response_format: { type: "json_schema", json_schema } }, "response_format"],
    [TEXT, { prompt: "p", response_format: { type: "json_object" } }, "response_format"],
    [
      "/v1/responses",
      { input: "p", text: { format: { type: "json_schema", schema } } },
      "text.format.schema",
    ],
  ];
  for (const [path, body, param] of bad) {
    for (const stream of [false, true]) {
      const error = await refused(app, path, { ...body, stream });
      assertEquals([error.param, error.code], [param, "invalid_grammar"]);
    }
  }
  assertEquals(model.requests, []);
});

Deno.test("a function's schema that cannot be followed binds strict functions only", async () => {
  const odd = { type: "object", properties: { a: { type: "odd" } } };
  const { app, model } = testApp({
    script: [`{"name":"f","arguments":{}}`],
    refuse: ({ grammar }) =>
      JSON.stringify(grammar).includes("odd")
        ? new RequestError("odd", { status: 400, code: "invalid_grammar" })
        : undefined,
  });
  const ask = (strict: boolean) => ({
    ...hello,
    tools: [{ type: "function", function: { name: "f", parameters: odd, strict } }],
    tool_choice: "required",
  });
  assertEquals((await refused(app, CHAT, ask(true))).param, "tools");
  const body = await (await post(app, CHAT, ask(false))).json();
  assertEquals(body.choices[0].message.tool_calls[0].function.name, "f");
  assertEquals(model.requests.length, 1);
});
