/** `/v1/batches` by OpenAI's client, and beside live requests. */
import { assert, assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import type OpenAI from "openai";
import { APIError, BadRequestError, NotFoundError } from "openai";
import { pause } from "../../../src/base/pause.ts";
import type { EmbedOptions } from "../../../src/llm/mod.ts";
import { ApiKeys } from "../../../src/server/mod.ts";
import { post, testApp, withServer } from "../http_client.ts";
import {
  CHAT,
  clientOf,
  linesOf,
  readLines,
  say,
  submit,
  untilStatus,
  upload,
  withBatches,
} from "./batch_server.ts";

Deno.test("OpenAI's client runs a batch from its file to its answers, in order", () =>
  withBatches(async ({ client, server }) => {
    const bodies = [...Array(12).keys()].map((n) => n === 5 ? { messages: [] } : say(`${n}`));
    const file = await upload(client, linesOf(bodies));
    const batch = await client.batches.create({
      ...{ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" },
      metadata: { purpose: "test" },
    });
    assertEquals([batch.object, batch.status], ["batch", "validating"]);
    assertEquals(batch.request_counts, { total: 0, completed: 0, failed: 0 });
    assertEquals(batch.expires_at! - batch.created_at, 86400);
    const done = await untilStatus(client, batch.id, "completed");
    assertEquals(done.request_counts, { total: 12, completed: 11, failed: 1 });
    assertEquals([done.metadata, done.errors], [{ purpose: "test" }, null as never]);
    assert(
      done.in_progress_at! <= done.finalizing_at! && done.finalizing_at! <= done.completed_at!,
    );
    const output = await readLines(client, done.output_file_id);
    const ids = bodies.map((_, n) => `job-${n}`);
    assertEquals(output.map((line) => line.custom_id), ids.toSpliced(5, 1));
    assertEquals(output[0].response.status_code, 200);
    assertEquals(output[0].response.body.choices[0].message.content, "Hello, world");
    assertEquals(new Set(output.map((line) => line.response.request_id)).size, 11);
    const [error] = await readLines(client, done.error_file_id);
    assertEquals([error.custom_id, error.response.status_code, error.error], ["job-5", 400, null]);
    assertEquals(error.response.body.error.param, "messages");
    const listed = await Array.fromAsync(client.batches.list());
    assertEquals(listed, [done]);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    const jobs = [...metrics.matchAll(/^ganglion_batch_jobs_total(.*)$/gm)].map(([, rest]) => rest);
    assertEquals(jobs.sort(), [`{outcome="completed"} 11`, `{outcome="failed"} 1`]);
  }));

Deno.test("jobs are answered as live requests are, on every endpoint", async () => {
  const asks = [
    ["/v1/chat/completions", { ...say("Hi"), temperature: 0, seed: 3, logprobs: true }],
    ["/v1/completions", { prompt: ["a", "b"], max_tokens: 3, priority: -5 }],
    ["/v1/embeddings", { input: "abc" }],
    ["/v1/responses", { input: "Hi" }],
    ["/v1/chat/completions", { ...say("Hi"), n: -1 }],
    ["/v1/completions", { prompt: "a", priority: "high" }],
    ["/v1/embeddings", { input: 7 }],
    ["/v1/responses", { input: "Hi", store: true }],
    ["/v1/completions", { prompt: "a", model: "unknown" }],
  ] as const;
  const { app } = testApp();
  await withBatches(async ({ client }) => {
    for (const [endpoint, body] of asks) {
      const live = await post(app, endpoint, body);
      const { id } = await submit(client, linesOf([body], endpoint), endpoint);
      const done = await untilStatus(client, id, "completed");
      const [line] = await readLines(client, done.output_file_id ?? done.error_file_id);
      assertEquals(line.response.status_code, live.status);
      assertEquals(steady(line.response.body), steady(await live.json()));
    }
  });
});

Deno.test("jobs are behind live requests, embeddings too", async () => {
  const seen: (number | undefined)[] = [];
  const embed = (ids: readonly number[], options?: EmbedOptions) => {
    seen.push(options?.priority);
    return new Float32Array([ids.length, 1]);
  };
  await withBatches(async ({ client, server, model }) => {
    for (
      const [endpoint, body] of [["/v1/embeddings", { input: ["a", "b"] }], ["/v1/completions", {
        prompt: "a",
        ...{ echo: true, logprobs: 1 },
      }]] as const
    ) {
      const { id } = await submit(client, linesOf([body], endpoint), endpoint);
      await untilStatus(client, id, "completed");
    }
    const ask = { method: "POST", body: JSON.stringify({ input: "a", priority: 3 }) };
    assertEquals((await (await fetch(`${server.url}/v1/embeddings`, ask)).json()).data.length, 1);
    assertEquals(seen, [-1_000_000, -1_000_000, -3]);
    const rest = [...model.requests, ...model.promptOptions];
    assertEquals(rest.map((each) => each?.priority), [-1_000_000, -1_000_000]);
  }, { script: { embed } });
});

/** An answer without what is different each time. */
function steady(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(
    answer,
    (key, value) => /^(id|created|created_at|completed_at|timings)$/.test(key) ? 0 : value,
  ));
}

Deno.test("a batch whose file is wrong says in which lines", () =>
  withBatches(async ({ client, model }) => {
    const lines = linesOf([say("a"), { ...say("b"), stream: true }]) + "no JSON\n";
    const { id } = await submit(client, lines);
    const { errors, request_counts } = await untilStatus(client, id, "failed");
    const found = errors!.data!.map(({ code, line, param }) => ({ code, line, param }));
    assertEquals(found, [
      { code: "stream_not_supported", line: 2, param: "body.stream" },
      { code: "invalid_json_line", line: 3, param: null },
    ]);
    assertEquals(request_counts!.total, 0);
    assertEquals(model.requests.length, 0);
  }));

Deno.test("a batch that asks for what cannot be is refused, and the field is named", () =>
  withBatches(async ({ client }) => {
    const { id } = await upload(client, linesOf([say("a")]));
    const good = { input_file_id: id, endpoint: "/v1/completions", completion_window: "24h" };
    const bad: [field: string, value: unknown][] = [
      ["input_file_id", 7],
      ["input_file_id", "../../etc/passwd"],
      ["endpoint", "/v1/files"],
      ["endpoint", "/v1/moderations"],
      ["completion_window", "1h"],
      ["metadata", { key: 7 }],
      ["metadata", Object.fromEntries([...Array(17).keys()].map((n) => [n, "x"]))],
      ["output_expires_after", { anchor: "created_at", seconds: 3600 }],
    ];
    for (const [field, value] of bad) {
      const body = { ...good, [field]: value } as OpenAI.BatchCreateParams;
      const error = await assertRejects(() => client.batches.create(body), BadRequestError);
      assertEquals(error.param?.split(".")[0], field);
    }
    const body = { ...good, input_file_id: "file-gone" } as OpenAI.BatchCreateParams;
    const error = await assertRejects(() => client.batches.create(body), NotFoundError);
    assertEquals([error.code, error.param], ["file_not_found", "input_file_id"]);
    for (const [name, value] of [["limit", "0"], ["limit", "x"], ["after", "a/b"]]) {
      const list = () => client.get("/batches", { query: { [name]: value } });
      assertEquals((await assertRejects(list, BadRequestError)).param, name);
    }
  }));

Deno.test("batches are listed in pages, newest first", () =>
  withBatches(async ({ client }) => {
    const ids: string[] = [];
    for (const n of [1, 2, 3]) {
      ids.unshift((await submit(client, linesOf([say(`${n}`)]))).id);
      await pause(2);
    }
    const page = await client.batches.list({ limit: 2 });
    assertEquals(page.data.map(({ id }) => id), ids.slice(0, 2));
    assertEquals(page.hasNextPage(), true);
    const all = await Array.fromAsync(client.batches.list({ limit: 1 }), ({ id }) => id);
    assertEquals(all, ids);
  }));

Deno.test("a cancelled batch keeps what is answered, and gives up what runs", () =>
  withBatches(async ({ client, model }) => {
    const { id } = await submit(client, linesOf([say("quick"), say("slow"), say("slow")]));
    await model.until(({ completed, started }) => completed === 1 && started === 2);
    const cancelling = await client.batches.cancel(id);
    assertEquals(cancelling.status, "cancelling");
    await client.batches.cancel(id);
    const batch = await untilStatus(client, id, "cancelled");
    assertEquals(batch.request_counts, { total: 3, completed: 1, failed: 2 });
    assert(batch.cancelling_at! <= batch.cancelled_at!);
    assertEquals((await readLines(client, batch.output_file_id)).length, 1);
    const errors = await readLines(client, batch.error_file_id);
    assertEquals(errors.map((line) => line.error.code), ["batch_cancelled", "batch_cancelled"]);
    const done = await submit(client, linesOf([say("quick")]));
    await untilStatus(client, done.id, "completed");
    const error = await assertRejects(() => client.batches.cancel(done.id), APIError);
    assertEquals([error.status, error.code], [409, "batch_not_cancellable"]);
  }, { script: { script: ({ ids }) => ids.length === 4 ? ["x", 3600_000] : ["x"] }, drainMs: 0 }));

Deno.test("files and batches of one key are not there for another", () =>
  withBatches(async ({ client: _, server }) => {
    const [one, two] = ["key-one", "key-two"].map((key) => clientOf(server, key));
    const batch = await submit(one, linesOf([say("a")]));
    const done = await untilStatus(one, batch.id, "completed");
    for (const id of [done.input_file_id, done.output_file_id!]) {
      await assertRejects(() => two.files.retrieve(id), NotFoundError);
      await assertRejects(() => two.files.content(id), NotFoundError);
      await assertRejects(() => two.files.delete(id), NotFoundError);
      assertEquals((await one.files.retrieve(id)).id, id);
    }
    await assertRejects(() => two.batches.retrieve(batch.id), NotFoundError);
    await assertRejects(() => two.batches.cancel(batch.id), NotFoundError);
    const stolen = {
      ...{ input_file_id: done.input_file_id, completion_window: "24h" as const },
      endpoint: "/v1/chat/completions" as const,
    };
    const refusal = await assertRejects(() => two.batches.create(stolen), NotFoundError);
    assertEquals(refusal.message.includes("key"), false);
    assertEquals((await two.batches.list()).data, []);
    assertEquals((await two.files.list()).data, []);
    assertEquals((await one.files.list()).data.length, 2);
    await assertRejects(() => clientOf(server, "no-key").files.list(), APIError, "401");
  }, { apiKeys: new ApiKeys(["key-one", "key-two"]) }));

Deno.test("live requests are not waited for: jobs give way, and come back", () =>
  withBatches(async ({ client, model }) => {
    const { id } = await submit(client, linesOf([...Array(4).keys()].map((n) => say(`job ${n}`))));
    await model.until(({ started }) => started >= 1);
    const startMs = performance.now();
    // The scripted model answers one after the other: without giving way this would take a minute.
    const live = await client.chat.completions.create({
      ...{ model: "scripted", messages: [{ role: "user", content: "live" }] },
    });
    assertEquals(live.choices[0].message.content, "x");
    assertLess(performance.now() - startMs, 5000);
    assert(model.counters.aborted >= 1);
    const priorities = model.requests.map(({ priority = 0 }) => priority);
    assertEquals(new Set(priorities), new Set([-1_000_000, 0]));
    assertEquals((await client.batches.retrieve(id)).request_counts!.failed, 0);
  }, {
    drainMs: 0,
    script: { script: ({ priority }) => priority === undefined ? ["x"] : [60_000, "x"] },
  }));

Deno.test("a server that drains gives its jobs back, and the next one goes on", () =>
  withBatches(async ({ client, server, model, store }) => {
    const { id } = await submit(client, linesOf([...Array(6).keys()].map((n) => say(`${n}`))));
    await model.until(({ completed, started }) => completed === 2 && started === 3);
    const startMs = performance.now();
    await server.shutdown();
    assertLess(performance.now() - startMs, 3000);
    assertEquals(server.cutCount, 0);
    assertEquals(await store.jobs.progress(id), { completed: 2, failed: 0 });
    const batches = { store, concurrency: 2, fileBytesMax: 1000 };
    await withServer({}, async ({ server: next, model: other }) => {
      const done = await untilStatus(clientOf(next), id, "completed");
      assertEquals(done.request_counts, { total: 6, completed: 6, failed: 0 });
      assertEquals(other.counters.started, 4);
      const output = await readLines(clientOf(next), done.output_file_id);
      assertEquals(output.map((line) => line.custom_id), [0, 1, 2, 3, 4, 5].map((n) => `job-${n}`));
    }, { batches });
  }, {
    concurrency: 1,
    script: { script: ({ ids }) => ids[0] >= 50 ? [3600_000] : ["x"] },
  }));

Deno.test("a job whose answer is the server's failure is tried three times", async () => {
  let tries = 0;
  const refuse = () => {
    tries++;
    return new Error("broken");
  };
  await withBatches(async ({ client }) => {
    const { id } = await submit(client, linesOf([say("a")]));
    const done = await untilStatus(client, id, "completed");
    assertEquals(done.request_counts, { total: 1, completed: 0, failed: 1 });
    const [line] = await readLines(client, done.error_file_id);
    assertEquals(line.response.status_code, 500);
    assertEquals(line.response.body.error.code, "internal_error");
    assertEquals(tries, 3);
  }, { script: { refuse } });
});

Deno.test("a key has no more open batches than it may, whoever asks at once", async () => {
  const gate = Promise.withResolvers<void>();
  const script = { script: [gate.promise, "x"] };
  await withBatches(async ({ server }) => {
    const [one, two] = ["key-one", "key-two"].map((key) => clientOf(server, key));
    const { id: input_file_id } = await upload(one, linesOf([say("a")]));
    const fields = { input_file_id, endpoint: CHAT, completion_window: "24h" } as const;
    const tries = await Promise.allSettled([1, 2, 3, 4, 5].map(() => one.batches.create(fields)));
    const made = tries.filter((each) => each.status === "fulfilled").map(({ value }) => value);
    assertEquals(made.length, 2);
    const { status, code, type, message, headers } = tries.find((each) =>
      each.status === "rejected"
    )!.reason as APIError;
    assertEquals([status, code, type], [429, "too_many_batches", "rate_limit_error"]);
    assertMatch(message, /a key may have 2 under way, and has 2: wait until one has ended/);
    // Nobody's client tries again by itself: a batch may take a day.
    assertEquals(headers?.get("x-should-retry"), "false");
    await submit(two, linesOf([say("b")]));
    await one.batches.cancel(made[0].id);
    await untilStatus(one, made[0].id, "cancelled");
    for (const endMs = Date.now() + 20_000; Date.now() < endMs;) {
      // It is open until its jobs are gone, too.
      const again = await one.batches.create(fields).catch((error: APIError) => error);
      if (!(again instanceof APIError)) break;
      assertEquals(again.code, "too_many_batches");
      await pause(20);
    }
    assertEquals((await one.batches.list()).data.length, 3);
    gate.resolve();
  }, { script, batchesPerKey: 2, apiKeys: new ApiKeys(["key-one", "key-two"]) });
});

Deno.test("a server without a folder for batches says how to give it one", async () => {
  await withServer({}, async ({ server }) => {
    const client = clientOf(server);
    for (const ask of [() => client.batches.list(), () => client.files.list()]) {
      const error = await assertRejects(ask, APIError, "--batch-folder");
      assertEquals([error.status, error.code], [501, "not_enabled"]);
    }
  });
});
