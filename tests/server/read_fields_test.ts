import { assertEquals, assertMatch } from "@std/assert";
import { Log } from "../../src/base/log.ts";
import { CHAT, hello, post, refused, testApp, TEXT } from "./http_client.ts";

const GENERATE = "/api/generate";

/** What the answer's header says. */
async function ignored(path: string, body: Record<string, unknown>, status = 200) {
  const { app } = testApp({ script: ["x"] });
  const response = await post(app, path, body);
  const text = await response.text();
  assertEquals(response.status, status, text);
  return response.headers.get("x-ignored-fields");
}

/** What other servers' clients send along. */
const HINTS = {
  user: "u",
  metadata: { a: "b" },
  safety_identifier: "s",
  store: false,
  service_tier: "auto",
  verbosity: "medium",
  parallel_tool_calls: true,
  stream_options: { include_usage: true },
  prompt_cache_key: "k",
  prompt_cache_retention: "24h",
  cache_prompt: true,
  id_slot: -1,
  mirostat: 0,
  mirostat_tau: 5,
  dry_multiplier: 0,
  dry_base: 1.75,
  made_up: null,
};

Deno.test("x-ignored-fields names fields that are not known, in every API, streamed or not", async () => {
  assertEquals(
    await ignored(CHAT, { ...hello, max_token: 5, temprature: 1 }),
    [
      "max_token",
      "temprature",
    ].join(", "),
  );
  assertEquals(await ignored(CHAT, { ...hello, stream: true, max_token: 5 }), "max_token");
  assertEquals(await ignored(TEXT, { prompt: "a", n_predict: 5 }), "n_predict");
  const stream_options = { include_use: true };
  assertEquals(await ignored(CHAT, { ...hello, stream_options }), "stream_options.include_use");
  assertEquals(await ignored("/v1/responses", { input: "a", max_tokens: 5 }), "max_tokens");
  const anthropic = {
    ...hello,
    max_tokens: 5,
    stop: "x",
    thinking: { type: "enabled", tokens: 1 },
  };
  assertEquals(await ignored("/v1/messages", anthropic), "stop, thinking.tokens");
  const options = { temprature: 1, num_gpu: 1, num_ctx: 20, mirostat_tau: 5, use_mmap: true };
  assertEquals(
    await ignored(GENERATE, { prompt: "a", stream: false, temperature: 1, options }),
    "temperature, options.temprature",
  );
  assertEquals(await ignored("/tokenize", { content: "a", add_specials: true }), "add_specials");
});

Deno.test("x-ignored-fields is not there for what every client sends", async () => {
  assertEquals(await ignored(CHAT, { ...hello, ...HINTS }), null);
  assertEquals(await ignored(TEXT, { prompt: "a", cache_prompt: false, user: "u" }), null);
  assertEquals(await ignored("/apply-template", { ...hello, ...HINTS, temperature: 1 }), null);
  const reasoning = { effort: "low", summary: "auto" };
  assertEquals(await ignored("/v1/responses", { input: "a", user: "u", reasoning }), null);
});

Deno.test("x-ignored-fields comes with errors, too, and can hold whatever names clients make up", async () => {
  assertEquals(await ignored(CHAT, { ...hello, max_token: 5, top_k: -2 }, 400), "max_token");
  const names = ["a\r\nx-evil: 1", "ä, b", "__proto__", "x".repeat(10_000), ""];
  const fields = names.map((name) => `${JSON.stringify(name)}: 1`).join();
  const { app } = testApp({ script: ["x"] });
  const response = await post(app, CHAT, JSON.stringify(hello).replace("{", `{${fields},`));
  assertEquals(response.status, 200, await response.text());
  assertEquals(response.headers.has("x-evil"), false);
  assertEquals(response.headers.get("x-ignored-fields")?.split(", "), [
    "a??x-evil??1",
    "???b",
    "__proto__",
    "x".repeat(64),
    "?",
  ]);
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 1]));
  const header = await ignored(CHAT, { ...hello, ...many });
  assertEquals(header?.split(", ").slice(14), ["f14", "f15", "..."]);
});

Deno.test("readFields() names ignored fields in the debug log, once a request, without values", async () => {
  const lines: string[] = [];
  const log = new Log({ level: "debug", write: (line) => lines.push(line) });
  const { app } = testApp({ script: ["x"] }, { log });
  await (await post(app, CHAT, { ...hello, max_token: 77, zz: "secret" })).text();
  const told = lines.filter((line) => line.includes("ignored fields"));
  assertEquals(told.length, 1);
  const { fields, path, level } = JSON.parse(told[0]);
  assertEquals([fields, path, level], ["max_token, zz", CHAT, "debug"]);
  assertEquals(lines.join().includes("secret"), false);
});

Deno.test("strictRequests refuses fields that are not known, and proposes what was meant", async () => {
  const { app, model } = testApp({ script: ["x"] }, { strictRequests: true });
  const error = await refused(app, CHAT, { ...hello, max_token: 5 });
  assertEquals(error, {
    message: `Unknown field "max_token": did you mean "max_tokens"?`,
    type: "invalid_request_error",
    param: "max_token",
    code: "unknown_parameter",
  });
  const made = await refused(app, TEXT, { prompt: "a", ["y\n".repeat(500)]: 5 });
  assertMatch(made.message, /^Unknown field "(y\\n){32}": leave it out$/);
  const ollama = await post(app, GENERATE, { prompt: "a", temperature: 1 });
  assertEquals([ollama.status, await ollama.json()], [400, {
    error: `Unknown field "temperature": did you mean "options.temperature"?`,
    code: "unknown_parameter",
  }]);
  const load = await refused(app, "/models/load", { model: "m", modle: "x" });
  assertEquals(load.param, "modle");
  assertEquals(model.requests, []);
  const fine = await post(app, CHAT, { ...hello, ...HINTS });
  assertEquals(fine.status, 200, await fine.text());
});
