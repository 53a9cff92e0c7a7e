import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ModelRegistry, type RegistryEvent } from "../../src/models/mod.ts";
import { ScriptedModel } from "../support/scripted_model.ts";

Deno.test("ModelRegistry has models with adapters in the engine of the one that they change", async () => {
  const [base, poet] = ["base", "poet"].map((id) => new ScriptedModel({ id }));
  Object.assign(base, { adapted: [poet] });
  const [loads, events]: [string[], RegistryEvent[]] = [[], []];
  await using registry = new ModelRegistry({
    catalog: {
      ids: () => ["base", "poet", "other"],
      baseOf: (id) => id === "poet" ? "base" : undefined,
    },
    loader: {
      bytesOf: () => Promise.resolve(10),
      load: (id) => (loads.push(id), Promise.resolve(base)),
    },
    memoryBytes: 20,
    onEvent: (event) => events.push(event),
  });
  const states = () => Object.fromEntries(registry.list().map(({ id, state }) => [id, state]));
  const leases = await Promise.all(["poet", "base", undefined].map((id) => registry.acquire(id)));
  assertEquals(loads, ["base"]);
  assertEquals(leases.map((lease) => lease?.model.id), ["poet", "base", "base"]);
  assertStrictEquals((await registry.acquire("poet"))?.model, poet);
  const [ofBase, ofPoet] = registry.list();
  assertEquals([ofBase.leases, ofBase.bytes, ofBase.base], [4, 10, undefined]);
  assertEquals([ofPoet.leases, ofPoet.bytes, ofPoet.base], [0, 0, "base"]);
  assertEquals([ofPoet.id, ofPoet.model, ofPoet.isLoaded], ["poet", poet, true]);
  assertEquals(states(), { base: "ready", poet: "ready", other: "unloaded" });
  assertEquals(await registry.acquire("nobody"), undefined);
  assert(registry.unload("poet"));
  assertEquals(events.map(({ kind }) => kind), ["loaded"], "who uses it keeps it");
});

Deno.test("ModelRegistry lists models of one look into a folder that gets more of them", () => {
  const all = ["base", "second", "third"];
  let looks = 0;
  const registry = new ModelRegistry({
    catalog: { ids: () => all.slice(0, ++looks) },
    loader: { bytesOf: () => Promise.resolve(1), load: () => Promise.reject(new Error("no")) },
    memoryBytes: 1,
  });
  assertEquals(registry.list().map(({ id }) => id), ["base"]);
  assertEquals(registry.list().map(({ id }) => id), ["base", "second"]);
});

Deno.test("ModelRegistry has a model's adapters count as they did when it is loaded again", async () => {
  const adapters = ["poet", "clerk"].map((name) => ({ name: `${name}.gguf`, scale: 0 }));
  await using registry = new ModelRegistry({
    catalog: { ids: () => ["base"] },
    loader: {
      bytesOf: () => Promise.resolve(10),
      load: (id) =>
        Promise.resolve(new ScriptedModel({ id, details: { choosableAdapters: adapters } })),
    },
    memoryBytes: 20,
  });
  const scales = () => {
    const [{ details }] = registry.list();
    return details?.choosableAdapters?.map(({ scale }) => scale);
  };
  const first = await registry.acquire();
  assertEquals(scales(), [0, 0]);
  first!.model.chooseAdapters!([{ id: 1, scale: 0.5 }]);
  assertEquals(scales(), [0, 0.5]);
  first!.release();
  assert(registry.unload("base"));
  assertEquals(scales(), [0, 0.5], "it is not in memory");
  await new Promise((resolve) => setTimeout(resolve));
  const again = await registry.acquire();
  assert(again!.model !== first!.model, "it was loaded again");
  assertEquals(again!.model.details?.choosableAdapters?.[1].scale, 0.5);
  again!.release();
});
