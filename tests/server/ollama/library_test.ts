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

/** The same, but that something has come. */
const begun: ModelLibrary = {
  ...endless,
  pull: (reference, pull) => {
    pull.onProgress({ phase: "pulling", doneBytes: 1, totalBytes: 2 });
    return endless.pull(reference, pull);
  },
};

Deno.test("POST /api/pull ends when the server begins to leave, streamed or not", async () => {
  const cases = [[true, begun, 200], [true, endless, 503], [false, begun, 503]] as const;
  for (const [stream, library, expected] of cases) {
    const lifecycle = new Lifecycle();
    const { app, errors } = testApp({}, { library, lifecycle });
    const answer = Promise.resolve(post(app, "/api/pull", { model: "hf:user/repo", stream }))
      .then(async (response) => [response.status, await response.text()] as const);
    await new Promise((resolve) => setTimeout(resolve, 20));
    lifecycle.drain();
    const patience = setTimeout(() => lifecycle.stop(), 1_000);
    const [status, text] = await answer;
    clearTimeout(patience);
    assertEquals(lifecycle.stopSignal.aborted, false, "it ends before it must");
    assertEquals(status, expected);
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
