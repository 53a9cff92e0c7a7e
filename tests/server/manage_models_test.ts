import { assertEquals, assertMatch } from "@std/assert";
import { ModelRegistry } from "../../src/models/mod.ts";
import { createApp, loadedModels } from "../../src/server/mod.ts";
import { ScriptedModel } from "../support/scripted_model.ts";
import { CHAT, hello, post, readEvents } from "./http_client.ts";

/** An app over a registry of scripted models, all of which fit at once. */
function setUp(ids: readonly string[], options: { memoryBytes?: number; failing?: string } = {}) {
  const registry = new ModelRegistry({
    catalog: { ids: () => ids },
    memoryBytes: options.memoryBytes ?? 100,
    loader: {
      bytesOf: () => Promise.resolve(10),
      load: (id) =>
        id === options.failing
          ? Promise.reject(new Error("it is damaged"))
          : Promise.resolve(new ScriptedModel({ id, script: [`I am ${id}`] })),
    },
  });
  return { registry, app: createApp({ models: registry, onError: () => {} }) };
}

Deno.test("several models answer under their names, loaded when they are asked for", async () => {
  const { app, registry } = setUp(["a", "b", "c"]);
  const ask = async (model?: string) => {
    const answer = await (await post(app, CHAT, { ...hello, model })).json();
    return [answer.model, answer.choices[0].message.content];
  };
  assertEquals(await ask("b"), ["b", "I am b"]);
  assertEquals(await ask(), ["a", "I am a"]);
  const stream = await readEvents(await post(app, CHAT, { ...hello, model: "c", stream: true }));
  assertEquals([stream[0].model, stream.at(-1)], ["c", "[DONE]"]);
  assertEquals(registry.list().map(({ leases }) => leases), [0, 0, 0]);
  const missing = await post(app, CHAT, { ...hello, model: "d" });
  assertEquals(missing.status, 404);
  const { error } = await missing.json();
  assertEquals(error.code, "model_not_found");
  assertMatch(error.message, /choose one of \["a","b","c"\]/);
  await registry.close();
});

Deno.test("a model that cannot be loaded costs its request an error, and nobody else", async () => {
  const { app, registry } = setUp(["a", "bad"], { failing: "bad" });
  for (const stream of [true, false]) {
    const response = await post(app, CHAT, { ...hello, model: "bad", stream });
    assertEquals([response.status, response.headers.get("retry-after")], [500, "5"]);
    const { error } = await response.json();
    assertEquals([error.code, error.message], [
      ...["model_load_failed", 'Cannot load the model "bad": it is damaged'],
    ]);
  }
  assertEquals((await post(app, CHAT, { ...hello, model: "a" })).status, 200);
  assertEquals((await app.request("/health")).status, 200);
  await registry.close();
});

Deno.test("/models shows states, /models/load and /models/unload change them", async () => {
  const { app, registry } = setUp(["a", "b"]);
  const states = async () => {
    const { data } = await (await app.request("/models")).json();
    return data.map(({ status }: { status: { value: string } }) => status.value);
  };
  assertEquals(await states(), ["unloaded", "unloaded"]);
  assertEquals((await post(app, "/models/load", { model: "b" })).status, 200);
  assertEquals(await states(), ["unloaded", "loaded"]);
  const { data } = await (await app.request("/models")).json();
  assertEquals([data[1].bytes, data[1].requests, data[1].context_length], [10, 0, 1_000_000]);
  // What a model takes is known when it has been loaded once.
  assertEquals(data.map(({ architecture }: { architecture?: unknown }) => architecture), [
    undefined,
    { input_modalities: ["text"], output_modalities: ["text"] },
  ]);
  assertMatch(data[1].expires_at, /^\d{4}-/);
  assertEquals(await (await post(app, "/models/unload", { model: "b" })).json(), {
    success: true,
    model: "b",
  });
  await registry.list();
  assertEquals(await states(), ["unloaded", "unloaded"]);
  assertEquals((await post(app, "/models/unload", { model: "x" })).status, 404);
  assertEquals((await post(app, "/models/unload", { model: 5 })).status, 400);
  assertEquals((await app.request("/models/unload")).status, 405);
  await registry.close();
});

Deno.test("/models/unload refuses where models are not managed", async () => {
  const app = createApp({ models: loadedModels([new ScriptedModel({ id: "a" })]) });
  const response = await post(app, "/models/unload", { model: "a" });
  assertEquals([response.status, (await response.json()).error.code], [400, "not_supported"]);
  const { data } = await (await app.request("/models")).json();
  const architecture = { input_modalities: ["text"], output_modalities: ["text"] };
  assertEquals(data, [{ id: "a", object: "model", status: { value: "loaded" }, architecture }]);
});
