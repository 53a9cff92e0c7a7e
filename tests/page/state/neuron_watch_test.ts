import { assertEquals } from "@std/assert";
import type { Client } from "../../../src/page/server/client.ts";
import { createStore } from "../../../src/page/state/app_state.ts";
import { NeuronWatch } from "../../../src/page/state/neuron_watch.ts";

/** What the page has of a browser here; timers are counted and never ring. */
async function withBrowser(use: (timers: unknown[]) => Promise<void>): Promise<void> {
  const { setTimeout } = globalThis;
  const timers: unknown[] = [];
  const fakes = {
    document: { hidden: false },
    matchMedia: () => ({ matches: true }),
    setTimeout: (run: unknown) => timers.push(run),
  };
  Object.assign(globalThis, fakes);
  try {
    await use(timers);
  } finally {
    Object.assign(globalThis, { setTimeout });
    Reflect.deleteProperty(globalThis, "document");
    Reflect.deleteProperty(globalThis, "matchMedia");
  }
}

Deno.test("NeuronWatch looks once at a time, also when it is started again during a look", () => {
  const wait = globalThis.setTimeout;
  return withBrowser(async (timers) => {
    const looks: PromiseWithResolvers<Response>[] = [];
    const fetch = () => {
      const look = Promise.withResolvers<Response>();
      looks.push(look);
      return look.promise;
    };
    const store = createStore();
    const model = {
      id: "m",
      state: "loaded",
      progress: null,
      error: null,
      contextLength: null,
      seesImages: false,
      hearsSounds: false,
    };
    store.set({ models: [{ ...model, state: "loaded" }], modelId: "m" });
    const watch = new NeuronWatch(store, { fetch } as unknown as Client);
    watch.start();
    watch.stop();
    watch.start();
    assertEquals(looks.length, 2);
    const body = { model: "m", is_sparse: false, is_streamed: false, layers: [] };
    for (const { resolve } of looks) resolve(Response.json(body));
    await new Promise((resolve) => wait(resolve, 20));
    assertEquals([timers.length, store.state.neurons?.model], [1, "m"]);
    watch.stop();
  });
});
