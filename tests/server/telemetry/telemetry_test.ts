import { assert, assertEquals, assertMatch } from "@std/assert";
import { Log } from "../../../src/base/log.ts";
import type { GenerateResult, Generation } from "../../../src/llm/types.ts";
import { ServerMetrics } from "../../../src/server/mod.ts";
import { watchGeneration } from "../../../src/server/telemetry/generations.ts";
import type { Span, Tracer } from "../../../src/server/telemetry/spans.ts";
import { CHAT, hello, post, testApp, withServer } from "../http_client.ts";

/** A log that keeps its lines, parsed. */
function keptLog(level: "debug" | "info" = "info") {
  const lines: Record<string, unknown>[] = [];
  const log = new Log({ level, write: (line) => lines.push(JSON.parse(line)) });
  const of = (event: string) => lines.filter((line) => line.event === event);
  return { log, lines, of };
}

/** The value of a series, by its line's beginning. */
function value(text: string, series: string): number {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? NaN : Number(line.slice(series.length + 1));
}

// fault 60: numbers are there while it works.
Deno.test("/metrics counts requests by route, tokens by model, and times them", async () => {
  const { app } = testApp({ id: "m", script: ["ab", "c"] });
  await (await post(app, CHAT, { messages: [{ role: "user", content: "four" }] })).text();
  await (await post(app, CHAT, { ...hello, stream: true })).text();
  await post(app, CHAT, "{");
  await app.request("/made/up");
  const response = await app.request("/metrics");
  assertEquals(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  const requests = (route: string, method: string, status: number) =>
    value(text, `ganglion_requests_total{route="${route}",method="${method}",status="${status}"}`);
  assertEquals(requests(CHAT, "POST", 200), 2);
  assertEquals(requests(CHAT, "POST", 400), 1);
  assertEquals(requests("unknown", "GET", 404), 1);
  assertEquals(value(text, `ganglion_prompt_tokens_total{model="m"}`), 6);
  assertEquals(value(text, `ganglion_cached_prompt_tokens_total{model="m"}`), 2);
  assertEquals(value(text, `ganglion_generated_tokens_total{model="m"}`), 6);
  assertEquals(value(text, `ganglion_first_token_seconds_count{model="m"}`), 2);
  // Of "ab" and "c": one piece came after the first, of one token.
  assertEquals(value(text, `ganglion_inter_token_seconds_count{model="m"}`), 2);
  assertEquals(value(text, `ganglion_generations_total{model="m",finish="stop"}`), 2);
  assertEquals(value(text, `ganglion_generations_running{model="m"}`), 0);
  assertEquals(value(text, `ganglion_model_loaded{model="m"}`), 1);
  assert(value(text, "ganglion_process_resident_bytes") > 1e6);
  assertEquals(text.includes("vllm:"), false);
});

Deno.test("/metrics speaks vLLM's names, too, where it is told to", async () => {
  const { app } = testApp({ id: "m" }, { metrics: new ServerMetrics({ compat: "vllm" }) });
  await (await post(app, CHAT, hello)).text();
  const text = await (await app.request("/metrics")).text();
  // What llm-d's endpoint picker needs: docs/model-server-protocol.md.
  assertEquals(value(text, `vllm:num_requests_waiting{model_name="m"}`), 0);
  assertEquals(value(text, `vllm:num_requests_running{model_name="m"}`), 0);
  assertMatch(text, /^# TYPE vllm:kv_cache_usage_perc gauge$/m);
  assertEquals(value(text, `vllm:time_to_first_token_seconds_count{model_name="m"}`), 1);
  assertEquals(value(text, `vllm:generation_tokens_total{model_name="m"}`), 12);
  const success = `vllm:request_success_total{model_name="m",finished_reason="stop"}`;
  assertEquals(value(text, success), 1);
});

Deno.test("/metrics counts guesses while an answer is made, each once", async () => {
  const metrics = new ServerMetrics();
  const counts = () =>
    ["drafted", "accepted"].map((each) =>
      value(metrics.text(), `ganglion_${each}_tokens_total{model="m"}`)
    );
  const timings = { promptTokens: 1, promptMs: 1, predictedTokens: 3, predictedMs: 1 };
  const result = Promise.withResolvers<GenerateResult>();
  const generation: Generation = {
    result: result.promise,
    async *[Symbol.asyncIterator]() {
      yield { text: "a", ids: [1], draftedTokens: 3, acceptedTokens: 1 };
      yield { text: "b", ids: [2], draftedTokens: 3, acceptedTokens: 2 };
    },
  };
  const settings = { metrics, log: keptLog().log, logPrompts: false, tracer: null };
  const model = { id: "m", decode: () => "" };
  const watched = watchGeneration(
    { settings, model, requestId: "1", ids: [1] },
    () => generation,
  );
  const seen: number[][] = [];
  for await (const _chunk of watched) seen.push(counts());
  assertEquals(seen, [[3, 1], [3, 2]]);
  const drafts = { draftedTokens: 5, acceptedTokens: 2 };
  result.resolve({
    ...{ text: "ab", ids: [1, 2], finishReason: "stop" },
    timings: { ...timings, ...drafts },
  });
  await result.promise;
  await Promise.resolve();
  assertEquals(counts(), [5, 2]);
});

Deno.test("ServerMetrics shows the gauges of a registry's models", () => {
  const metrics = new ServerMetrics({ compat: "vllm" });
  const status = { created: 0, failure: null, leases: 0, loadFailure: null };
  const model = {
    load: { running: 2, waiting: 1 },
    kv: { usedTokens: 30, capacityTokens: 120, blockTokens: 32 },
  };
  const models = [
    { ...status, id: "a", state: "ready", model, bytes: 50, waiting: 3 },
    { ...status, id: "b", state: "unloaded", model: null, bytes: 0, waiting: 0 },
  ];
  metrics.watch({ models: { list: () => models }, underWay: () => 7, isDraining: () => true });
  metrics.registryEvent({ kind: "loaded", id: "a", ms: 1500, bytes: 50 });
  metrics.registryEvent({ kind: "load_failed", id: "b", error: new Error("x") });
  metrics.registryEvent({ kind: "unloaded", id: "b", reason: "evicted" });
  const text = metrics.text();
  const of = (name: string, model: string) => value(text, `ganglion_${name}{model="${model}"}`);
  assertEquals(["a", "b"].map((id) => of("generations_running", id)), [2, 0]);
  assertEquals(["a", "b"].map((id) => of("generations_waiting", id)), [4, 0]);
  assertEquals(["a", "b"].map((id) => of("kv_usage_ratio", id)), [0.25, 0]);
  assertEquals(["a", "b"].map((id) => of("model_loaded", id)), [1, 0]);
  assertEquals(of("model_bytes", "a"), 50);
  const blocks = `block_size="32",num_gpu_blocks="3",num_cpu_blocks="0"`;
  assertEquals(value(text, `vllm:cache_config_info{model_name="a",${blocks}}`), 1);
  assertEquals(text.match(/^vllm:cache_config_info/gm)?.length, 1);
  assertEquals(value(text, "ganglion_requests_under_way"), 7);
  assertEquals(value(text, "ganglion_draining"), 1);
  assertEquals(value(text, `ganglion_model_load_seconds_sum{model="a"}`), 1.5);
  assertEquals(value(text, `ganglion_model_loads_total{model="b",outcome="failed"}`), 1);
  assertEquals(value(text, `ganglion_model_unloads_total{model="b",reason="evicted"}`), 1);
});

Deno.test("the log tells of each request and generation, without prompts and answers", async () => {
  const { log, lines, of } = keptLog();
  const { app } = testApp({ id: "m", script: ["answer"] }, { log });
  const headers = { "x-request-id": "mine", "x-api-key": "a-key" };
  const body = { messages: [{ role: "user", content: "prompt" }] };
  await (await post(app, `${CHAT}?q=query`, body, { headers })).text();
  await app.request("/health");
  const [request, ...others] = of("request");
  assertEquals(others, []);
  assertEquals([request.request_id, request.method, request.path, request.status], [
    ...["mine", "POST", CHAT, 200],
  ]);
  const [generation] = of("generation");
  const { request_id, model, finish, prompt_tokens, completion_tokens } = generation;
  assertEquals([request_id, model, finish, prompt_tokens, completion_tokens], [
    ...["mine", "m", "stop", 6, 6],
  ]);
  assert(typeof generation.first_token_ms === "number");
  const all = JSON.stringify(lines);
  for (const secret of ['prompt"', "answer", "query", "a-key"]) {
    assertEquals(all.includes(secret), false, secret);
  }
});

Deno.test("the log holds prompts and answers where it is told to", async () => {
  const { log, of } = keptLog();
  const { app } = testApp({ script: ["an answer"] }, { log, logPrompts: true });
  await (await post(app, CHAT, { messages: [{ role: "user", content: "a\nprompt" }] })).text();
  assertEquals([of("generation")[0].prompt, of("generation")[0].answer], [
    "a\nprompt",
    "an answer",
  ]);
});

// fault 48: log injection through names.
Deno.test("no client begins a line of the log: not by ids, paths or models", async () => {
  const lines: string[] = [];
  const log = new Log({ form: "text", write: (line) => lines.push(line) });
  const { app } = testApp({}, { log });
  const forged = "x\n2026-01-01T00:00:00.000Z error forged";
  await app.request(`/a%0a${encodeURIComponent(forged)}`, { headers: { "x-request-id": "a b" } });
  await post(app, CHAT, { ...hello, model: forged });
  assertEquals(lines.length, 2);
  for (const line of lines) {
    assertMatch(line, /^\d{4}-[^ ]+ info {2}request request_id=req_[\w-]+ /);
  }
});

Deno.test("the log says when a generation failed, and when a client left", async () => {
  const { log, of } = keptLog();
  const failing = testApp({ script: ["a", new Error("the engine broke")] }, { log });
  await (await post(failing.app, CHAT, { ...hello, stream: true })).text();
  assertEquals([of("generation")[0].finish, of("generation")[0].reason], [
    ...["failed", "the engine broke"],
  ]);
  const text = await (await failing.app.request("/metrics")).text();
  assertEquals(value(text, `ganglion_generations_total{model="scripted",finish="failed"}`), 1);

  const never = new Promise(() => {});
  await withServer({ script: ["a", never] }, async ({ server, model }) => {
    const client = new AbortController();
    const response = await fetch(server.url + CHAT, {
      method: "POST",
      body: JSON.stringify({ ...hello, stream: true }),
      signal: client.signal,
    });
    await response.body!.getReader().read();
    client.abort();
    await model.until((counters) => counters.aborted === 1);
  }, { log });
  assertEquals(of("request").at(-1)?.gone, true);
  assertEquals(of("generation").at(-1)?.finish, "cancelled");
});

/** A tracer that keeps what its spans are told. */
function keptSpans() {
  const spans: {
    name: string;
    attributes: Record<string, unknown>;
    code: number;
    ended: number;
  }[] = [];
  const tracer: Tracer = {
    startSpan(name, { attributes }) {
      const kept = {
        name,
        attributes: { ...attributes } as Record<string, unknown>,
        code: 0,
        ended: 0,
      };
      spans.push(kept);
      const span: Span = {
        setAttribute: (key, value) => kept.attributes[key] = value,
        setStatus: ({ code }) => kept.code = code,
        end: () => kept.ended++,
      };
      return span;
    },
  };
  return { spans, tracer };
}

Deno.test("a generation is a span, ended once, with its counts or its failure", async () => {
  const { spans, tracer } = keptSpans();
  const good = testApp({ id: "m", script: ["abc"] }, { tracer });
  await (await post(good.app, CHAT, hello)).text();
  const bad = testApp({ script: [new Error("broke")] }, { tracer });
  await post(bad.app, CHAT, hello);
  const full = testApp({ contextLength: 1 }, { tracer });
  await post(full.app, CHAT, hello);
  assertEquals(spans.map(({ name, code, ended }) => [name, code, ended]), [
    ["generate", 0, 1],
    ["generate", 2, 1],
    ["generate", 2, 1],
  ]);
  const { attributes } = spans[0];
  assertEquals(attributes["gen_ai.request.model"], "m");
  assertEquals(attributes["gen_ai.usage.input_tokens"], 2);
  assertEquals(attributes["gen_ai.usage.output_tokens"], 3);
  assertEquals(attributes["gen_ai.response.finish_reason"], "stop");
});

Deno.test("Deno's own exporter sends a generation's span within its request's", async () => {
  const bodies: string[] = [];
  await using collector = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (r) => {
      if (new URL(r.url).pathname === "/v1/traces") bodies.push(await r.text());
      else await r.body?.cancel();
      return Response.json({});
    },
  );
  const code = `
    import { serve, loadedModels } from ${
    JSON.stringify(new URL("../../../src/server/mod.ts", import.meta.url))
  };
    import { ScriptedModel } from ${
    JSON.stringify(new URL("../../support/scripted_model.ts", import.meta.url))
  };
    const server = serve({ models: loadedModels([new ScriptedModel()]), port: 0 });
    const body = ${JSON.stringify(JSON.stringify(hello))};
    await (await fetch(server.url + "/v1/chat/completions", { method: "POST", body })).text();
    await server.shutdown();`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    cwd: new URL("../../..", import.meta.url),
    env: {
      OTEL_DENO: "true",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
    },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  interface SentSpan {
    readonly name: string;
    readonly spanId: string;
    readonly parentSpanId: string;
  }
  const spans: SentSpan[] = bodies.flatMap((text) =>
    JSON.parse(text).resourceSpans.flatMap((
      { scopeSpans }: { scopeSpans: { spans: SentSpan[] }[] },
    ) => scopeSpans.flatMap((scope) => scope.spans))
  );
  const generate = spans.find(({ name }) => name === "generate");
  assert(generate !== undefined, bodies.join("\n"));
  assert(spans.some(({ spanId }) => spanId === generate.parentSpanId), "within the request's span");
});
