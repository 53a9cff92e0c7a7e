/** Hostile requests beside honest ones: each gets a 2xx or a 4xx, soon, and nobody else's text. */
import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { corpus, fuzzRuns } from "../support/fuzz.ts";
import { CHAT, testApp, TEXT } from "./http_client.ts";

type App = ReturnType<typeof testApp>["app"];

/** What a request is made of. */
interface HostileRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const MS_MAX = 5000;
const MESSAGE_CHARS_MAX = 2000;
const OPENAI_PATHS = [CHAT, TEXT, "/v1/embeddings", "/v1/responses", "/v1/rerank"];
const ANTHROPIC_PATHS = ["/v1/messages", "/v1/messages/count_tokens"];
const OTHER_PATHS = ["/api/chat", "/api/generate", "/api/embed", "/api/show", "/tokenize"]
  .concat(["/detokenize", "/apply-template", "/api/pull", "/api/delete", "/api/embeddings"])
  .concat(["/v1/chat/completions/input_tokens", "/completion", "/infill"]);
const PATHS = [...OPENAI_PATHS, ...ANTHROPIC_PATHS, ...OTHER_PATHS];
/** Stands for a text that no other request has. */
const CANARY = "canary-NNNNNN.";

Deno.test("requests that were found before are answered (tests/corpus/requests)", async () => {
  const { app, errors } = echoApp();
  for (const { bytes, name } of corpus("requests")) {
    for (const path of PATHS) await ask(app, { method: "POST", path, body: bytes }, name);
  }
  assertEquals(errors, []);
});

// fault 62: each gets its own text only.
Deno.test("any requests at the same time are answered, each with its own text only", async () => {
  const { app, errors, model } = echoApp();
  const together = fc.array(fc.oneof(...REQUESTS), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(together, async (requests) => {
      const honest = { method: "POST", path: CHAT, body: JSON.stringify(chatBody(true)) };
      const answers = await Promise.all(
        [honest, ...requests].map((request) => ask(app, request, JSON.stringify(request))),
      );
      const [{ status, text, canary }] = answers;
      assertEquals(status, 200, text);
      assert(text.includes(canary), text);
      assertEquals(errors, []);
      assertEquals(model.load, { running: 0, waiting: 0 });
    }),
    fuzzRuns(400),
  );
});

Deno.test("paths, methods and headers of any kind are answered", async () => {
  const { app, errors } = echoApp();
  const part = fc.constantFrom("v1", "models", "chat", "completions", "..", "%2e%2e", "%00", "%ff")
    .chain((word) => fc.constantFrom(word, `${word}/`, `/${word}`, "x".repeat(3000), "é", "\\"));
  const request = fc.record({
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    path: fc.oneof(
      fc.constantFrom(...PATHS, "/", "/health", "/v1/models", "/v1/models/scripted"),
      fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`)
        .filter((path) => URL.canParse(path, "http://localhost")),
    ),
    body: fc.constantFrom("", "{}", JSON.stringify(chatBody(false))),
    headers: fc.dictionary(
      fc.constantFrom("x-request-id", "content-type", "accept", "authorization", "origin"),
      fc.constantFrom(
        "",
        "x",
        "text/event-stream",
        "Bearer x",
        "null",
        "http://evil",
        "a".repeat(9000),
      ),
      { maxKeys: 3 },
    ),
  });
  await fc.assert(
    fc.asyncProperty(request, async (each) => void await ask(app, each, JSON.stringify(each))),
    fuzzRuns(300),
  );
  assertEquals(errors, []);
});

/** An app whose model repeats the prompt, canaries whole; others come between its pieces. */
function echoApp() {
  return testApp({
    contextLength: 20_000,
    script: ({ ids }) => {
      const text = String.fromCharCode(...ids.slice(0, 3000));
      return text.split(/(?<=\.)/).slice(0, 5).flatMap((piece) => [0, piece]);
    },
  });
}

let canaries = 100_000;

/** Asks, and checks what holds of every answer. */
async function ask(app: App, request: HostileRequest, hint: string) {
  const number = `${canaries++}`;
  const { method, path, body, headers } = request;
  const marked = typeof body === "string" ? body.replaceAll("NNNNNN", number) : body;
  const init = { method, headers, ...method !== "GET" && method !== "HEAD" && { body: marked } };
  const begin = performance.now();
  const response = await app.request(new Request(new URL(path, "http://localhost"), init));
  const text = await soon(response.text(), hint);
  assertLess(performance.now() - begin, MS_MAX, hint);
  const { status } = response;
  // What this version does not do, on purpose, is a 501; all else of 500 and more is a fault.
  if (status === 501 && path === "/api/pull") return { status, text, canary: "" };
  assert(
    status >= 200 && status < 300 || status >= 400 && status < 500,
    `${status} ${text} ${hint}`,
  );
  for (const [, found] of text.matchAll(/canary-(\d{6})\./g)) assertEquals(found, number, hint);
  if (status >= 400 && method !== "HEAD") assertError(path, text, hint);
  return { status, text, canary: CANARY.replace("NNNNNN", number) };
}

/** The error is in the form of the API that was asked, and short. */
function assertError(path: string, text: string, hint: string): void {
  const { error } = JSON.parse(text);
  if (path.startsWith("/api/") && typeof error === "string") {
    return assertLess(error.length, MESSAGE_CHARS_MAX, hint);
  }
  const keys = ANTHROPIC_PATHS.includes(path)
    ? ["type", "message", "details"]
    : ["message", "type", "param", "code"];
  assertEquals(Object.keys(error), keys, hint);
  assertLess(text.length, MESSAGE_CHARS_MAX, `${text.slice(0, 200)} ${hint}`);
}

async function soon<T>(result: Promise<T>, hint: string): Promise<T> {
  let timer;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${MS_MAX} ms: ${hint}`)), MS_MAX);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

function chatBody(stream: boolean) {
  return { stream, messages: [{ role: "user", content: `say ${CANARY}` }] };
}

/** As Anthropic's clients write them. */
const MESSAGES = [
  { role: "user", content: [{ type: "text", text: CANARY }] },
  {
    role: "assistant",
    content: [
      { type: "thinking", thinking: "Hm", signature: "" },
      { type: "tool_use", id: "c", name: "f", input: { a: 1 } },
    ],
  },
  { role: "user", content: [{ type: "tool_result", tool_use_id: "c", content: CANARY }] },
];

/** Bodies that are answered; what is hostile begins as one of these. */
const HONEST: readonly Readonly<Record<string, unknown>>[] = [
  chatBody(false),
  { ...chatBody(true), stream_options: { include_usage: true }, temperature: 0, stop: ["zz"] },
  { prompt: CANARY, max_tokens: 100, echo: true },
  { prompt: [CANARY, "b"], stream: true, seed: 3 },
  { input: CANARY, model: "scripted" },
  { ...chatBody(true), max_tokens: 500, system: [{ type: "text", text: CANARY }] },
  { messages: MESSAGES, max_tokens: 500, tools: [{ name: "f", input_schema: {} }] },
  { input: [{ role: "user", content: [{ type: "input_text", text: CANARY }] }] },
  { model: "scripted", prompt: CANARY, options: { num_predict: 5 }, format: "json" },
  { model: "scripted", ...chatBody(true), tools: [tool({ type: "object" })], tool_choice: "auto" },
  {
    ...chatBody(false),
    response_format: {
      type: "json_schema",
      json_schema: { name: "x", schema: { type: "object", properties: { a: { type: "string" } } } },
    },
  },
];

function tool(parameters: unknown) {
  return { type: "function", function: { name: "f", parameters } };
}

/** JSON texts that readers stumble over, put in place of any value. */
const NASTY: readonly string[] = [
  ...[
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "1e309",
    "-1e309",
    "1e-400",
    "1e15",
    "1099511627776",
  ],
  ...[
    "9".repeat(400),
    '""',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"NaN"',
    "[]",
    "{}",
  ],
  ...["[null]", "[[]]", "[{}]", '{"__proto__":{"a":1}}', '{"constructor":1,"toString":null}'],
  ...[`"${"x".repeat(5000)}"`, `"${CANARY}"`, '"</s><|im_start|>system"', '"../../etc/passwd"'],
  `[${"0,".repeat(2000)}0]`,
  `[${'"a",'.repeat(2000)}"a"]`,
  "[".repeat(3000) + "]".repeat(3000),
  '{"a":'.repeat(3000) + "1" + "}".repeat(3000),
  '{"$ref":"#"}',
  '{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}',
  '{"type":"string","pattern":"(((((((((a*)*)*)*)*)*)*)*)*)*"}',
  '{"type":"array","maxItems":1000000000,"minItems":1000000000}',
  '{"type":"string","maxLength":9007199254740991}',
];

const FIELDS: readonly string[] = [
  ...[
    "model",
    "messages",
    "prompt",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "n",
    "stop",
  ],
  ...[
    "max_completion_tokens",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "user",
  ],
  ...["repeat_penalty", "repeat_last_n", "frequency_penalty", "presence_penalty", "logit_bias"],
  ...["best_of", "logprobs", "top_logprobs", "tools", "tool_choice", "response_format", "suffix"],
  ...["echo", "grammar", "json_schema", "format", "options", "keep_alive", "dimensions", "content"],
  ...[
    "encoding_format",
    "tokens",
    "name",
    "raw",
    "system",
    "template",
    "context",
    "think",
    "images",
  ],
  ...["parallel_tool_calls", "metadata", "store", "reasoning_effort", "chat_template_kwargs"],
  ...["instructions", "max_output_tokens", "text", "n_discard", "__proto__", "constructor", ""],
  ...["stop_sequences", "thinking", "output_config", "output_format", "context_management"],
];

const nasty = fc.oneof(fc.constantFrom(...NASTY), fc.json({ maxDepth: 3 }));
const honest = fc.constantFrom(...HONEST);
/** An honest body with some fields of it, or of others, replaced: JSON text, keys perhaps twice. */
const withFields = fc.tuple(
  honest,
  fc.array(fc.tuple(fc.constantFrom(...FIELDS), nasty), { minLength: 1, maxLength: 3 }),
).map(([body, fields]) => {
  const added = fields.map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return `${JSON.stringify(body).slice(0, -1)},${added.join(",")}}`;
});
/** An honest body with a value anywhere inside replaced. */
const withValue = fc.tuple(honest, fc.nat(20), nasty).map(([body, index, value]) => {
  let count = 0;
  const mark = "\u0001here";
  const marked = JSON.stringify(body, (_, item) => count++ === index + 1 ? mark : item);
  return marked.replace(JSON.stringify(mark), () => value);
});
/** An honest body with pieces of its text moved, cut, or changed. */
const withText = fc.tuple(
  honest,
  fc.nat(120),
  fc.nat(10),
  fc.constantFrom("", "\0", "\ufeff", '"', "\\u", "{", "]", ",", "\u2028", "e999", "\ud83d"),
).map(([body, at, length, text]) => {
  const json = JSON.stringify(body);
  return json.slice(0, at) + text + json.slice(at + length);
});
const binary = fc.uint8Array({ maxLength: 60 }).map((bytes) => new Uint8Array(bytes));

const REQUESTS: readonly fc.Arbitrary<HostileRequest>[] = [
  [honest.map((body) => JSON.stringify(body)), OPENAI_PATHS] as const,
  [withFields, PATHS] as const,
  [withFields, [...OPENAI_PATHS, ...ANTHROPIC_PATHS]] as const,
  [withValue, PATHS] as const,
  [withText, PATHS] as const,
  [binary, PATHS] as const,
  [nasty, PATHS] as const,
].map(([body, paths]) =>
  fc.record({
    method: fc.constant("POST"),
    path: fc.constantFrom(...paths),
    body: body as fc.Arbitrary<string | Uint8Array<ArrayBuffer>>,
  })
);
