/**
 * A server whose engine hangs, traps or dies: the request on it is told, the listener lives, and
 * the next request is answered by a new engine. The model is the built-in one's little sister.
 */
import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../src/llm/mod.ts";
import { ModelRegistry } from "../../src/models/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";

const leaderScript = new URL("../support/faulty_engine_worker.ts", import.meta.url).href;

/** Serves a model whose first engine has faults, and whose second has none. */
async function withFaultyServer(use: (url: string, loads: () => number) => Promise<void>) {
  await withTinyFile({}, async (path) => {
    let loads = 0;
    await using models = new ModelRegistry({
      catalog: { ids: () => ["tiny"] },
      memoryBytes: 2 ** 30,
      loader: {
        bytesOf: () => Promise.resolve(2 ** 20),
        load: () =>
          loadModel(path, {
            id: "tiny",
            threads: 2,
            stuckMs: 300,
            ...loads++ === 0 && { leaderScript },
          }),
      },
    });
    const server = serve({ models, port: 0, onError: () => {} });
    try {
      await use(server.url, () => loads);
    } finally {
      await server.shutdown();
    }
  });
}

/** Completes a prompt of ids. */
function complete(url: string, prompt: readonly number[], stream = false): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    body: JSON.stringify({ prompt, stream, max_tokens: 4, ignore_eos: true }),
  });
}

/** Hangs, traps, dies: see the worker. */
const FAULTS: readonly (readonly [name: string, id: number])[] = [
  ["hangs", 101],
  ["traps", 102],
  ["dies", 103],
];

for (const [name, id] of FAULTS) {
  // fault 57: threads that hang, trap or die; the listener lives.
  Deno.test(`an engine that ${name} costs its own request an error, and no other`, async () => {
    await withFaultyServer(async (url, loads) => {
      assertEquals((await complete(url, [5, 6])).status, 200);
      const broken = complete(url, [5, id]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      // Whoever watches is answered all the while.
      for (const path of ["/metrics", "/livez", "/models", "/v1/models"]) {
        const response = await fetch(url + path);
        await response.body?.cancel();
        assertEquals(response.status, 200, path);
      }
      const response = await broken;
      assertEquals([response.status, (await response.json()).error.type], [500, "server_error"]);
      const next = await complete(url, [5, 6]);
      assertEquals([next.status, (await next.json()).usage.completion_tokens], [200, 4]);
      assertEquals(loads(), 2);
    });
  });
}

Deno.test("a stream on an engine that hangs ends with an error event", async () => {
  await withFaultyServer(async (url) => {
    const text = await (await complete(url, [5, 101], true)).text();
    const events = text.trim().split("\n\n");
    assertEquals(JSON.parse(events.at(-1)!.slice(6)).error.type, "server_error", text);
    assertEquals((await complete(url, [5, 6])).status, 200);
  });
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // the thread is still at it
});

// fault 65: the cache is empty after.
Deno.test("/metrics tell how full the cache of keys and values is, and that it is empty after", async () => {
  await withTinyFile({ contextLength: 4096 }, async (path) => {
    const model = await loadModel(path, { threads: 1 });
    const server = serve({ models: loadedModels([model]), port: 0 });
    const usage = async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^ganglion_kv_usage_ratio\{[^}]*\} (.*)$/m.exec(text)?.[1]);
    };
    try {
      const client = new AbortController();
      const body = JSON.stringify({
        prompt: [5],
        stream: true,
        max_tokens: 4000,
        ignore_eos: true,
      });
      const init = { method: "POST", body, signal: client.signal };
      const response = await fetch(`${server.url}/v1/completions`, init);
      await response.body!.getReader().read();
      let most = 0;
      for (let i = 0; i < 100 && most === 0; i++) most = await usage();
      assert(most > 0 && most <= 1, `${most}`);
      client.abort();
      let left = 1;
      for (let i = 0; i < 100 && left > 0; i++) left = await usage();
      assertEquals(left, 0);
    } finally {
      await server.shutdown();
      await model.close();
    }
  });
});
