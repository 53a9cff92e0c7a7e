import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { pathName } from "../../../src/server/parse_fields.ts";
import { CHAT, hello, post, refused, testApp, TEXT } from "../http_client.ts";

const NO_NUMBERS = ["1", "NaN", "Infinity", "", true, [], {}, [1]];
const COUNTS = [...NO_NUMBERS, 1.5, 2 ** 40, 1e300];

const tool = { type: "function", function: { name: "f" } };

/** For every field, values that must be refused. */
const BAD: Readonly<Record<string, readonly unknown[]>> = {
  model: [1, {}, "x".repeat(600)],
  stream: ["true", 1],
  stream_options: [true, { include_usage: "yes" }, { include_obfuscation: true }],
  max_tokens: [...COUNTS, -2, 0],
  max_completion_tokens: [...COUNTS, -2, 0],
  stop: [1, "", [""], [1], Array(17).fill("x"), "x".repeat(2000), Array(100_000).fill("x")],
  ignore_eos: [1],
  seed: [...NO_NUMBERS, 1.5, 1e300],
  temperature: [...NO_NUMBERS, -0.1, 5.1, 1e300],
  top_k: [...COUNTS, -2],
  top_p: [...NO_NUMBERS, -0.1, 1.1],
  min_p: [...NO_NUMBERS, -0.1, 1.1],
  typical_p: [...NO_NUMBERS, -0.1, 1.1],
  repeat_penalty: [...NO_NUMBERS, 0, -1, 11],
  repeat_last_n: [...COUNTS, -2],
  frequency_penalty: [...NO_NUMBERS, -2.1, 2.1],
  presence_penalty: [...NO_NUMBERS, -2.1, 2.1],
  logit_bias: [[], 1, { a: 1 }, { "-1": 1 }, { "1.5": 1 }, { "1": "x" }, { "1": 101 }, {
    "99999999999": 1,
  }],
  n: [0, 17, 1e9, -1, "1", 1.5],
  best_of: [2],
  logprobs: [5, 0, "true"],
  top_logprobs: [1, 21, -1, "1"],
  tools: [[{ type: "function" }], {}, [{ type: "custom", custom: {} }], "x", Array(129).fill(tool)],
  tool_choice: ["required", {}, "any", { type: "function", function: { name: "f" } }],
  parallel_tool_calls: ["yes"],
  functions: [[{}]],
  function_call: [{ name: "f" }],
  response_format: [{ type: "json_schema" }, "text", { type: "xml" }, {}],
  suffix: ["x"],
  audio: [{}],
  modalities: [["audio"], "text"],
  moderation: [{}],
  store: [true],
  service_tier: ["flex", "priority", 1],
  verbosity: ["low", 5],
  reasoning_effort: ["extreme", 1],
  web_search_options: [{}],
  grammar: [5, {}, "x".repeat(300_000)],
  json_schema: ["x", 5],
  chat_template_kwargs: ["x", []],
  mirostat: [...NO_NUMBERS, 3, -1],
  mirostat_tau: [...NO_NUMBERS, -1, 101],
  mirostat_eta: [...NO_NUMBERS, -0.1, 2],
  adaptive_target: [...NO_NUMBERS, 1.1],
  adaptive_decay: [...NO_NUMBERS, -0.1, 1.1],
  top_n_sigma: [...NO_NUMBERS, -2, 101],
  xtc_probability: [...NO_NUMBERS, -0.1, 1.1],
  xtc_threshold: [...NO_NUMBERS, -0.1, 1.1],
  dynatemp_range: [...NO_NUMBERS, -0.1, 6],
  dynatemp_exponent: [...NO_NUMBERS, -0.1],
  dry_multiplier: [...NO_NUMBERS, -1, 1e9],
  dry_base: [...NO_NUMBERS, -1, 1e9],
  dry_allowed_length: [...COUNTS, -1],
  dry_penalty_last_n: [...COUNTS, -2],
  dry_sequence_breakers: ["x", [1], Array(65).fill("x"), ["x".repeat(257)]],
  samplers: [1, ["top_k", "made_up"], ["__proto__"], "kz", Array(33).fill("top_k")],
};

Deno.test("parseFields() refuses every bad value with a 400 that names its field", async () => {
  const { app, model } = testApp();
  for (const [name, values] of Object.entries(BAD)) {
    for (const value of values) {
      const error = await refused(app, CHAT, { ...hello, [name]: value });
      assertEquals(error.param?.split(/[.[]/)[0], name, JSON.stringify(value)?.slice(0, 80));
      assertStringIncludes(error.message, name);
      assertEquals(error.type, "invalid_request_error");
    }
  }
  // Overflow happens in the text of the JSON only.
  const error = await refused(app, CHAT, `{"messages":[],"temperature":1e309}`);
  assertEquals(error.param, "temperature");
  assertEquals(model.requests, []);
});

Deno.test("parseFields() accepts null, and values that ask for nothing", async () => {
  const { app, model } = testApp();
  const harmless = {
    n: 1,
    best_of: 1,
    logprobs: false,
    top_logprobs: 0,
    tools: [],
    tool_choice: "auto",
    functions: [],
    function_call: "none",
    response_format: { type: "text" },
    modalities: ["text"],
    suffix: "",
    grammar: "",
    user: "u",
    metadata: { a: "b" },
    store: false,
    parallel_tool_calls: true,
    service_tier: "auto",
    safety_identifier: "s",
    prompt_cache_key: "k",
    prompt_cache_retention: "24h",
    prediction: { type: "content", content: "x" },
    verbosity: "medium",
    stream_options: { include_obfuscation: false },
    seed: -1,
  };
  const nothing = Object.fromEntries(Object.keys(BAD).map((name) => [name, null]));
  for (const fields of [harmless, nothing]) {
    const response = await post(app, CHAT, { ...fields, ...hello });
    assertEquals(response.status, 200, await response.text());
  }
  assertEquals(Object.keys(model.requests[0].sampling ?? { none: 0 }), []);
  assertEquals(model.requests[0].maxTokens, undefined);
});

Deno.test("llama.cpp's samplers are asked for by its names", async () => {
  const { app, model } = testApp();
  await post(app, CHAT, {
    ...hello,
    ...{ top_n_sigma: 1.5, xtc_probability: 0.5, xtc_threshold: 0.2 },
    ...{ dynatemp_range: 0.3, dynatemp_exponent: 1.2 },
    ...{ dry_multiplier: 0.8, dry_base: 1.7, dry_allowed_length: 3, dry_penalty_last_n: 99 },
    ...{ mirostat: 2, mirostat_tau: 4, mirostat_eta: 0.15 },
    ...{ adaptive_target: 0.45, adaptive_decay: 0.85 },
    samplers: ["min_p", "temperature", "adaptive_p"],
  });
  assertEquals(model.requests[0].sampling, {
    ...{ topNSigma: 1.5, xtcProbability: 0.5, xtcThreshold: 0.2 },
    ...{ temperatureRange: 0.3, temperatureExponent: 1.2 },
    ...{ dryMultiplier: 0.8, dryBase: 1.7, dryAllowedLength: 3, dryLastN: 99 },
    ...{ mirostat: 2, mirostatTau: 4, mirostatEta: 0.15 },
    ...{ adaptiveTarget: 0.45, adaptiveDecay: 0.85 },
    steps: ["minP", "temperature"],
  });
});

Deno.test("no JSON value anywhere makes the server fail", async () => {
  const { app } = testApp({ script: ["x"] });
  const names = [...Object.keys(BAD), "messages", "prompt", "echo", "__proto__", "constructor"];
  const body = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), {
    maxKeys: 4,
  });
  await fc.assert(
    fc.asyncProperty(
      body,
      fc.constantFrom(CHAT, TEXT),
      fc.boolean(),
      async (fields, path, fill) => {
        const rest = fill ? { ...hello, prompt: "x" } : {};
        const response = await post(app, path, JSON.stringify({ ...rest, ...fields }));
        const text = await response.text();
        // An unknown model is a 404.
        if (![200, 404].includes(response.status)) assertEquals(response.status, 400, text);
      },
    ),
    { numRuns: 400, seed: 20 },
  );
});

Deno.test("pathName() writes paths as OpenAI does", () => {
  assertEquals(pathName(["messages", 0, "content", 2, "text"]), "messages[0].content[2].text");
  assertEquals(pathName([]), "");
});

Deno.test("-1 is no bound where other servers have it so: of tokens, and of top_k", async () => {
  const { app, model } = testApp();
  await post(app, CHAT, { ...hello, max_tokens: -1, top_k: -1 });
  await post(app, CHAT, { ...hello, max_completion_tokens: -1 });
  // Without it there would be OpenAI's 16.
  await post(app, TEXT, { prompt: "x", max_tokens: -1 });
  assertEquals(model.requests.map(({ maxTokens }) => maxTokens), [Infinity, Infinity, Infinity]);
  assertEquals(model.requests[0].sampling?.topK, 0);
});
