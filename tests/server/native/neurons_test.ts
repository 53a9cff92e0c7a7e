import { assertEquals } from "@std/assert";
import { loadedModels } from "../../../src/server/mod.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { testApp } from "../http_client.ts";

const LAYER = { cacheHits: 7, cacheMisses: 3, diskReads: 2, diskBytes: 4096 };

class BusyModel extends ScriptedModel {
  readonly neurons = {
    isSparse: true,
    isStreamed: true,
    layers: [
      { neurons: 100, hot: 20, skipped: 70, ...LAYER },
      // More were found in the hot region than fired.
      { neurons: 100, hot: 40, skipped: 70, ...LAYER },
    ],
  };
}

Deno.test("GET /v1/neurons tells what each layer's neurons did", async () => {
  const models = loadedModels([new BusyModel({ id: "busy" }), new ScriptedModel({ id: "other" })]);
  const { app } = testApp({}, { models });
  const body = await (await app.request("/v1/neurons")).json();
  const cache = { cache_hits: 7, cache_misses: 3, disk_reads: 2, disk_bytes: 4096 };
  assertEquals(body, {
    ...{ object: "neurons", model: "busy", is_sparse: true, is_streamed: true },
    layers: [
      { neurons: 100, hot: 20, cold: 10, skipped: 70, ...cache },
      { neurons: 100, hot: 30, cold: 0, skipped: 70, ...cache },
    ],
  });
});

Deno.test("GET /v1/neurons has no layers of a model that does not count, and 404 for none", async () => {
  const models = loadedModels([new BusyModel({ id: "busy" }), new ScriptedModel({ id: "other" })]);
  const { app } = testApp({}, { models });
  const { layers, model } = await (await app.request("/v1/neurons?model=other")).json();
  assertEquals([model, layers], ["other", []]);
  assertEquals((await app.request("/v1/neurons?model=none")).status, 404);
});

Deno.test("GET /v1/neurons knows models by the names of Ollama's clients", async () => {
  const models = loadedModels([new BusyModel({ id: "busy" }), new ScriptedModel({ id: "other" })]);
  const { app } = testApp({}, { models });
  for (const asked of ["other", "other:latest"]) {
    const { model } = await (await app.request(`/v1/neurons?model=${asked}`)).json();
    assertEquals(model, "other", asked);
  }
  assertEquals((await app.request("/v1/neurons?model=other:7b")).status, 404);
});
