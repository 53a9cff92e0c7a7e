/**
 * Bad input over HTTP, numbered as in the list of faults that a server must survive: 39 bodies, 40
 * numbers, 41 biases, 42 stops, 43 schemas, 44 tools, 45 messages. Whatever comes is answered with
 * a 4xx that says why, or served; nothing is a failure of the server's own.
 */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { API_ROUTES } from "../../src/server/routes.ts";
import { CHAT, hello, post, refused, testApp, TEXT } from "./http_client.ts";

const details = { chatTemplate: "{{ tools }}<tool_call>" };
const POSTS = API_ROUTES.filter(({ body }) => body !== undefined);
/** Ways to say no, or yes. */
const EXPECTED = new Set([200, 400, 403, 404, 413, 501]);
const deep = "[".repeat(100_000) + "]".repeat(100_000);

Deno.test("bodies that are no JSON object are a 400 on every route (fault 39)", async () => {
  const { app, errors } = testApp({ details });
  const bodies = [
    "",
    "{",
    "nonsense",
    "[]",
    "null",
    `"text"`,
    "5",
    deep,
    `{"a":${deep}`,
    `{"messages":"\u0000"}`,
    "\ufeff{",
  ];
  for (const { path, method } of POSTS) {
    for (const body of bodies) {
      const response = await app.request(path, { method, body });
      assertEquals(response.status, 400, `${path} ${body.slice(0, 20)}`);
      assert((await response.text()).includes("JSON"));
    }
  }
  assertEquals(errors, []);
});

Deno.test("a body of 100 MB is refused before it is read (fault 39)", async () => {
  const { app } = testApp();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 1;
      if (pulled > 1600) controller.close();
      else controller.enqueue(new Uint8Array(65_536).fill(32));
    },
  });
  const response = await app.request(CHAT, { method: "POST", body });
  assertEquals([response.status, response.headers.get("connection")], [413, "close"]);
  assertLess(pulled, 200);
});

Deno.test("content types, duplicate keys, lone surrogates and NULs harm nobody (fault 39)", async () => {
  const { app, model } = testApp();
  const body = `{"messages":[],"messages":[{"role":"user","content":"\\ud800\\u0000\\udc00"}]}`;
  for (const type of ["text/plain", "multipart/form-data", "application/json; charset=latin1"]) {
    const response = await post(app, CHAT, body, { headers: { "content-type": type } });
    assertEquals(response.status, 200, await response.text());
  }
  assertEquals(model.chats[0], [{ role: "user", content: "\ufffd\u0000\ufffd" }]);
});

/** What is fine of bodies that do not ask for "input". */
const BODIES: Readonly<Record<string, object>> = {
  [CHAT]: hello,
  [TEXT]: { prompt: "x" },
  "/v1/messages": { ...hello, max_tokens: 5 },
  "/v1/rerank": { query: "x", documents: ["y"] },
};

Deno.test("numbers out of range are a 400 on every route that has them (fault 40)", async () => {
  const { app, model } = testApp({ details });
  const numbers = [-1e9, 1e9 + 0.5, 2 ** 53, 1e308, "5", "NaN", true, [], {}];
  const fields: Record<string, readonly string[]> = {
    [CHAT]: ["n", "max_tokens", "max_completion_tokens", "top_k", "seed", "top_logprobs"],
    [TEXT]: ["n", "best_of", "logprobs", "max_tokens", "repeat_last_n"],
    "/v1/responses": ["max_output_tokens", "top_logprobs", "temperature"],
    "/v1/messages": ["max_tokens", "top_k", "temperature", "thinking.budget_tokens"],
    "/v1/embeddings": ["dimensions"],
    "/v1/rerank": ["top_n"],
    "/api/chat": ["options.num_predict", "options.num_ctx", "options.top_k", "top_logprobs"],
    "/api/embed": ["dimensions"],
  };
  for (const [path, names] of Object.entries(fields)) {
    for (const name of names) {
      // Any whole number is a seed.
      for (const value of name === "seed" ? numbers.slice(3) : numbers) {
        const [outer, inner] = name.split(".");
        const rest = BODIES[path] ?? { input: "x" };
        const body = { ...rest, [outer]: inner === undefined ? value : { [inner]: value } };
        const response = await post(app, path, body);
        assertEquals(response.status, 400, `${path} ${name} ${value}`);
        assertStringIncludes(await response.text(), outer);
      }
    }
  }
  assertEquals(model.requests, []);
});

Deno.test("fields that no API has are nobody's business (fault 40)", async () => {
  const { app } = testApp();
  const internals = { n_discard: -5, n_keep: -1, id_slot: 1e9, __proto__: { stream: true } };
  assertEquals((await post(app, CHAT, { ...hello, ...internals })).status, 200);
});

Deno.test("a bias on an id that is no token's is a 400 (fault 41)", async () => {
  const { app, model } = testApp();
  for (const id of ["65536", "999999999", "-1", "1.5", "x", "1e3", ""]) {
    for (const [path, body] of [[CHAT, hello], [TEXT, { prompt: "x" }]] as const) {
      const error = await refused(app, path, { ...body, logit_bias: { [id]: 1 } });
      assertEquals(error.param?.split(".")[0], "logit_bias");
    }
  }
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, id) => [id, 1]));
  assertEquals((await refused(app, CHAT, { ...hello, logit_bias: many })).param, "logit_bias");
  assertEquals(model.requests, []);
  assertEquals((await post(app, CHAT, { ...hello, logit_bias: { 65535: -100 } })).status, 200);
});

Deno.test("stops that are empty, endless or no text are a 400 (fault 42)", async () => {
  const { app } = testApp();
  for (const stop of ["", [""], Array(100_000).fill("x"), "x".repeat(5000), [1], [["a"]], {}]) {
    for (const [path, body] of [[CHAT, hello], [TEXT, { prompt: "x" }]] as const) {
      assertEquals((await refused(app, path, { ...body, stop })).param?.split("[")[0], "stop");
    }
    const options = { stop };
    assertEquals((await post(app, "/api/chat", { ...hello, options })).status, 400);
  }
});

Deno.test("schemas that nest without end, or are none, are a 400 (fault 43)", async () => {
  const { app, model } = testApp({ details });
  const schema = `{"a":`.repeat(10_000) + "{}" + "}".repeat(10_000);
  const withSchema = (template: object) =>
    JSON.stringify({ ...hello, ...template }).replace(`"SCHEMA"`, schema);
  const places: [string, object, string][] = [
    [CHAT, { json_schema: "SCHEMA" }, "json_schema"],
    [CHAT, { response_format: { type: "json_object", schema: "SCHEMA" } }, "response_format"],
    [
      CHAT,
      { response_format: { type: "json_schema", json_schema: { schema: "SCHEMA" } } },
      "response_format",
    ],
    [
      CHAT,
      { tools: [{ type: "function", function: { name: "f", parameters: "SCHEMA" } }] },
      "tools",
    ],
    [CHAT, { chat_template_kwargs: "SCHEMA" }, "chat_template_kwargs"],
  ];
  for (const [path, template, param] of places) {
    const error = await refused(app, path, withSchema(template));
    assertEquals(error.param?.split(/[.[]/)[0], param);
    assertStringIncludes(error.message, "nests deeper");
  }
  const responses = withSchema({
    input: "x",
    text: { format: { type: "json_schema", schema: "SCHEMA" } },
  });
  assertEquals((await refused(app, "/v1/responses", responses)).param, "text.format.schema");
  const ollama = await post(app, "/api/chat", withSchema({ format: "SCHEMA" }));
  assertEquals(ollama.status, 400);
  assertEquals(model.requests, []);
});

Deno.test("schemas that refer to themselves are handed on in bounded time (fault 43)", async () => {
  const { app, model } = testApp({ details });
  const parameters = { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#" } } };
  const tools = [{ type: "function", function: { name: "f", parameters } }];
  const fields = { ...hello, tools, tool_choice: "required" };
  assertEquals((await post(app, CHAT, fields)).status, 200);
  assertStringIncludes(
    JSON.stringify(model.requests[0].grammar),
    JSON.stringify({
      function0: {
        $ref: "#/$defs/function0/$defs/a",
        $defs: { a: { $ref: "#/$defs/function0/$defs/b" }, b: { $ref: "#/$defs/function0" } },
      },
    }),
  );
});

const IMAGE_URL = "messages[0].content[0].image_url";
const AUDIO_DATA = "messages[0].content[0].input_audio.data";
const PIXEL = "data:image/png;base64,AAAA";
const imageAt = (url: string) => ({ type: "image_url", image_url: { url } });

Deno.test("messages that are none are a 400 that names the place (fault 45)", async () => {
  const { app, model } = testApp();
  const user = { role: "user", content: "x" };
  const bad: [unknown, string][] = [
    [[], "messages"],
    [{}, "messages"],
    [[{ role: "wizard", content: "x" }], "messages[0].role"],
    [[user, { role: "user", content: 5 }], "messages[1].content"],
    [[{ role: "user", content: [{ type: "image_url", image_url: {} }] }], IMAGE_URL],
    [[{ role: "user", content: [imageAt("https://example.com/a.png")] }], IMAGE_URL],
    [[{ role: "user", content: [imageAt("file:///etc/passwd")] }], IMAGE_URL],
    [[{ role: "user", content: [imageAt("data:image/png;base64,§")] }], IMAGE_URL],
    [[{ role: "user", content: [imageAt("data:image/png;base64,")] }], IMAGE_URL],
    [[{ role: "user", content: Array(65).fill(imageAt(PIXEL)) }], "messages[0].content"],
    [[{ role: "assistant", content: [imageAt(PIXEL)] }], "messages[0].content[0]"],
    [[{ role: "user", content: [{ type: "input_audio" }] }], AUDIO_DATA],
    [[{ role: "user", content: [{ type: "video" }] }], "messages[0].content[0]"],
    [[{ role: "user", content: `${deep}`, name: 5 }], "messages[0].name"],
  ];
  for (const [messages, param] of bad) {
    assertEquals((await refused(app, CHAT, { messages })).param, param);
  }
  assertEquals(model.requests, []);
});

Deno.test("a prompt of a million tokens is a 400 context_length_exceeded (fault 45)", async () => {
  const { app } = testApp({ contextLength: 4096 });
  const content = "x".repeat(1_000_000);
  const bodies: [string, object, string][] = [
    [CHAT, { messages: [{ role: "user", content }] }, "messages"],
    [CHAT, { messages: [{ role: "user", content }], stream: true }, "messages"],
    [TEXT, { prompt: content }, "prompt"],
    [TEXT, { prompt: Array(1_000_000).fill(1) }, "prompt"],
    ["/v1/responses", { input: content }, "input"],
  ];
  for (const [path, body, field] of bodies) {
    const { code, param } = await refused(app, path, body);
    assertEquals([code, param], ["context_length_exceeded", field]);
  }
  const ollama = await post(app, "/api/generate", { prompt: content });
  assertEquals([ollama.status, (await ollama.json()).code], [400, "context_length_exceeded"]);
});

Deno.test("a body of a million values is refused before they are looked at (fault 39)", async () => {
  const { app } = testApp();
  const many = (item: unknown) => Array(200_000).fill(item);
  const wide = Object.fromEntries(many(0).map((_, i) => [`k${i}`, 0]));
  const bodies: [string, object][] = [
    [CHAT, { messages: many({}) }],
    [CHAT, { messages: [{ role: "user", content: many(1) }] }],
    [CHAT, { ...hello, chat_template_kwargs: wide }],
    [TEXT, { prompt: "a", logit_bias: wide }],
  ];
  for (const [path, body] of bodies) {
    assertEquals((await refused(app, path, body)).code, "too_many_values");
  }
  // Ids are no values, where they may be.
  const ids = Array(1_000_000).fill(1);
  for (const prompt of [ids, [ids]]) {
    assertEquals((await refused(app, TEXT, { prompt })).code, "context_length_exceeded");
  }
  const { param } = await refused(app, CHAT, { messages: ids });
  assertEquals(param, "messages[0]");
});

Deno.test("a prompt without tokens is a 400 that names its field", async () => {
  const { app } = testApp();
  const { code, param, type } = await refused(app, TEXT, { prompt: "" });
  assertEquals([code, param, type], ["empty_prompt", "prompt", "invalid_request_error"]);
});

Deno.test("no JSON at all makes any route fail (39–45)", async () => {
  const { app, errors } = testApp({ details, script: ["x"] });
  const names = new Set(POSTS.flatMap(({ body }) => fieldsOf(body)));
  const values = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom<unknown>(
      hello.messages,
      [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: "{" } }] }],
      [{ role: "tool", content: "x", tool_call_id: "1" }],
      [{ type: "function", function: { name: "f", parameters: {} } }],
      [{ type: "function", name: "f" }],
      "required",
      "json",
      { type: "json_object" },
      { type: "json_schema", json_schema: {} },
      true,
      1,
      "x",
    ),
  );
  const body = fc.dictionary(fc.constantFrom(...names), values, { maxKeys: 6 });
  const routes = fc.constantFrom(...POSTS.map(({ path, method }) => ({ path, method })));
  await fc.assert(
    fc.asyncProperty(routes, body, fc.boolean(), async ({ path, method }, fields, isFilled) => {
      const rest = isFilled ? { ...hello, prompt: "x", input: "x", content: "x", tokens: [1] } : {};
      const text = JSON.stringify({ ...rest, ...fields });
      const response = await app.request(path, { method, body: text });
      const answer = await response.text();
      assert(EXPECTED.has(response.status), `${path} ${text}: ${answer}`);
    }),
    { numRuns: 1500, seed: 3 },
  );
  assertEquals(errors, []);
});

function fieldsOf(schema: (typeof POSTS)[number]["body"]): string[] {
  return schema !== undefined && "shape" in schema ? Object.keys(schema.shape as object) : [];
}
