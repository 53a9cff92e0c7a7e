import { assertEquals } from "@std/assert";
import { Lifecycle, type ModelLibrary } from "../../../src/server/mod.ts";
import { post, testApp } from "../http_client.ts";

/** Pulls that end when their signal says so, and not before. */
const endless: ModelLibrary = {
  pull: (_, { signal }) =>
    new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    }),
  remove: () => false,
};

Deno.test("POST /api/pull ends when the server begins to leave, streamed or not", async () => {
  for (const stream of [true, false]) {
    const lifecycle = new Lifecycle();
    const { app, errors } = testApp({}, { library: endless, lifecycle });
    const answer = Promise.resolve(post(app, "/api/pull", { model: "hf:user/repo", stream }))
      .then(async (response) => [response.status, await response.text()] as const);
    await new Promise((resolve) => setTimeout(resolve, 20));
    lifecycle.drain();
    const patience = setTimeout(() => lifecycle.stop(), 1_000);
    const [status, text] = await answer;
    clearTimeout(patience);
    assertEquals(lifecycle.stopSignal.aborted, false, "it ends before it must");
    assertEquals(status, stream ? 200 : 503);
    assertEquals(JSON.parse(text.trim().split("\n").at(-1)!).code, "shutting_down");
    assertEquals(errors, []);
  }
});

Deno.test("POST /api/pull whose client has gone is no failure of the server", async () => {
  const { app, errors } = testApp({}, { library: endless });
  const client = new AbortController();
  const body = { model: "hf:user/repo", stream: false };
  const answer = post(app, "/api/pull", body, { signal: client.signal });
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.abort();
  await (await answer).body?.cancel();
  assertEquals(errors, []);
});
