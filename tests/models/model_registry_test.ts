import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FILE_CHANGED_TEXT, readError, RequestError } from "../../src/base/errors.ts";
import { ModelRegistry, type RegistryEvent, type RegistryOptions } from "../../src/models/mod.ts";
import { ScriptedModel } from "../support/scripted_model.ts";

/** Loads scripted models of 10 bytes each, when a test lets it. */
class FakeLoader {
  /** Names in the order in which they were loaded. */
  readonly loads: string[] = [];
  readonly models: FakeModel[] = [];
  /** Settles what the load of a name waits for; left out: nothing. */
  readonly holds = new Map<string, Promise<unknown>>();
  failing: string | null = null;

  bytesOf(id: string): Promise<number> {
    if (id === "unreadable") return Promise.reject(new Error("no header"));
    return Promise.resolve(id === "huge" ? 1000 : 10);
  }

  async load(id: string): Promise<FakeModel> {
    this.loads.push(id);
    await this.holds.get(id);
    if (this.failing === id) throw new Error(`${id} is damaged`);
    const model = new FakeModel({ id });
    this.models.push(model);
    return model;
  }
}

class FakeModel extends ScriptedModel {
  failure: Error | null = null;
  isClosed = false;

  override close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

function setUp(ids: readonly string[], options: Partial<RegistryOptions> = {}) {
  const loader = new FakeLoader();
  const events: RegistryEvent[] = [];
  const registry = new ModelRegistry({
    catalog: { ids: () => ids },
    loader,
    memoryBytes: 20,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const states = () => Object.fromEntries(registry.list().map(({ id, state }) => [id, state]));
  const unloaded = () =>
    events.flatMap((event) => event.kind === "unloaded" ? [`${event.id} ${event.reason}`] : []);
  const acquire = async (id?: string, how = {}) => {
    const lease = await registry.acquire(id, how);
    assert(lease);
    return lease;
  };
  return { loader, registry, events, states, unloaded, acquire };
}

/** Lets everything happen that can happen by itself. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("ModelRegistry loads a model once for all who ask at once", async () => {
  const { loader, registry, acquire } = setUp(["a", "b"]);
  const leases = await Promise.all([acquire("a"), acquire(), acquire("a:latest")]);
  assertEquals(loader.loads, ["a"]);
  for (const { model } of leases) assertStrictEquals(model, loader.models[0]);
  assertEquals(registry.list()[0].leases, 3);
  for (const lease of [...leases, ...leases]) lease.release();
  assertEquals(registry.list()[0].leases, 0);
  assertEquals(await registry.acquire("c"), undefined);
  await registry.close();
  assert(loader.models[0].isClosed);
});

Deno.test("ModelRegistry tells what a file says once it was loaded, also when it has left", async () => {
  const { acquire, loader, registry } = setUp(["a"]);
  const said = () => registry.list()[0].details;
  assertEquals(said(), undefined);
  const lease = await acquire("a", { keepAliveMs: 0 });
  assertEquals(said(), loader.models[0].details);
  lease.release();
  await settle();
  assertEquals([registry.list()[0].state, said()], ["unloaded", loader.models[0].details]);
  await registry.close();
});

Deno.test("ModelRegistry answers any name where there is one model only", async () => {
  const { acquire, registry } = setUp(["only"]);
  assertEquals((await acquire("gpt-4o")).model.id, "only");
  await registry.close();
});

Deno.test("ModelRegistry evicts what was used longest ago, and nothing while there is room", async () => {
  const { acquire, registry, states, unloaded } = setUp(["a", "b", "c"]);
  for (const id of ["a", "b", "a"]) {
    (await acquire(id)).release();
    await new Promise((resolve) => setTimeout(resolve, 2)); // `lastUsedMs` tells them apart
  }
  assertEquals(states(), { a: "ready", b: "ready", c: "unloaded" });
  (await acquire("c")).release();
  assertEquals(unloaded(), ["b evicted"]);
  assertEquals(states(), { a: "ready", b: "unloaded", c: "ready" });
  await registry.close();
});

// fault 54: another model is wanted while one is busy.
Deno.test("ModelRegistry never evicts a leased model: who needs its room waits", async () => {
  const { acquire, loader, registry, states } = setUp(["a", "b"], { memoryBytes: 10 });
  const [one, two] = [await acquire("a"), await acquire("a")];
  const b = acquire("b");
  await settle();
  one.release();
  await settle();
  assertEquals([states(), loader.loads], [{ a: "ready", b: "loading" }, ["a"]]);
  two.release();
  (await b).release();
  assertEquals(states(), { a: "unloaded", b: "ready" });
  await registry.close();
});

Deno.test("ModelRegistry lets no stream of requests for a busy model keep another one out", async () => {
  const { acquire, loader, registry } = setUp(["a", "b"], { memoryBytes: 10 });
  const first = await acquire("a");
  const order: string[] = [];
  const b = acquire("b").then((lease) => (order.push("b"), lease.release()));
  await settle();
  const late = acquire("a").then((lease) => (order.push("a"), lease.release()));
  await settle();
  assertEquals(order, []);
  first.release();
  await Promise.all([b, late]);
  assertEquals([order, loader.loads], [["b", "a"], ["a", "b", "a"]]);
  await registry.close();
});

Deno.test("ModelRegistry keeps a model when who waited for its room has gone", async () => {
  const { acquire, loader, registry, states } = setUp(["a", "b"], { memoryBytes: 10 });
  const lease = await acquire("a");
  const client = new AbortController();
  const b = registry.acquire("b", { signal: client.signal });
  await settle();
  const next = acquire("a");
  client.abort(new Error("gone"));
  await assertRejects(() => b, Error, "gone");
  (await next).release();
  lease.release();
  await settle();
  assertEquals([states(), loader.loads], [{ a: "ready", b: "unloaded" }, ["a"]]);
  await registry.close();
});

Deno.test("ModelRegistry goes on loading for those who stay, and keeps what it loaded", async () => {
  const { acquire, loader, registry, states } = setUp(["a", "b"]);
  const { promise, resolve } = Promise.withResolvers<void>();
  loader.holds.set("a", promise);
  const client = new AbortController();
  const gone = registry.acquire("a", { signal: client.signal });
  const stays = acquire("b");
  await settle();
  client.abort();
  await assertRejects(() => gone);
  await assertRejects(() => registry.acquire("a", { signal: client.signal }));
  resolve();
  (await stays).release();
  assertEquals(states(), { a: "ready", b: "ready" });
  await registry.close();
});

Deno.test("ModelRegistry lets idle models go after their time, each request's own", async () => {
  const { acquire, registry, states, unloaded } = setUp(["a", "b", "c"], {
    memoryBytes: 100,
    keepAliveMs: 100,
  });
  (await acquire("a")).release();
  (await acquire("b", { keepAliveMs: Infinity })).release();
  assert(registry.list()[0].expiresAt !== undefined && registry.list()[1].expiresAt === undefined);
  const busy = await acquire("c", { keepAliveMs: 0 });
  await new Promise((resolve) => setTimeout(resolve, 150));
  assertEquals(states(), { a: "unloaded", b: "ready", c: "ready" });
  busy.release();
  await settle();
  assertEquals(unloaded(), ["a idle", "c stopped"]);
  await registry.close();
  assertEquals(unloaded().at(-1), "b closing");
});

Deno.test("ModelRegistry keeps a model for five minutes when nobody says", async () => {
  const { acquire, registry } = setUp(["a"], { keepAliveMs: undefined });
  (await acquire("a", { keepAliveMs: undefined })).release();
  const { expiresAt } = registry.list()[0];
  const minutes = (Number(expiresAt) - Date.now()) / 60_000;
  assert(minutes > 4.9 && minutes <= 5, `${minutes}`);
  await registry.close();
});

// fault 58: the clock jumps.
Deno.test("ModelRegistry does not mind a clock that jumps", async () => {
  const { acquire, registry, states } = setUp(["a", "b"], { memoryBytes: 10, keepAliveMs: 60_000 });
  const now = Date.now;
  try {
    (await acquire("a")).release();
    Date.now = () => now() + 10 ** 10;
    (await acquire("a")).release();
    Date.now = () => 0;
    (await acquire("b")).release();
    await settle();
    assertEquals(states(), { a: "unloaded", b: "ready" });
  } finally {
    Date.now = now;
  }
  await registry.close();
});

Deno.test("ModelRegistry.unload() waits for the requests that run", async () => {
  const { acquire, registry, states } = setUp(["a", "b"]);
  const lease = await acquire("a");
  assertEquals([registry.unload("a"), registry.unload("c")], [true, false]);
  await settle();
  assertEquals(states().a, "ready");
  lease.release();
  await settle();
  assertEquals(states().a, "unloaded");
  (await acquire("a")).release();
  registry.unload("a");
  await settle();
  assertEquals(states().a, "unloaded");
  await registry.close();
});

Deno.test("ModelRegistry.unload() of a busy model holds: who asks next gets it loaded anew", async () => {
  const { acquire, loader, registry, unloaded } = setUp(["a", "b"]);
  const lease = await acquire("a");
  registry.unload("a");
  const next = acquire("a");
  // Making room for another one does not forget it either.
  (await acquire("b")).release();
  lease.release();
  assertStrictEquals((await next).model, loader.models[2]);
  assertEquals([loader.loads, unloaded()], [["a", "b", "a"], ["a stopped"]]);
  await registry.close();
});

Deno.test("ModelRegistry.unload() of a model that is being loaded has it loaded anew, once", async () => {
  const { acquire, loader, registry, unloaded } = setUp(["a", "b"]);
  const hold = Promise.withResolvers<void>();
  loader.holds.set("a", hold.promise);
  const lease = acquire("a");
  await settle();
  registry.unload("a");
  hold.resolve();
  assertStrictEquals((await lease).model, loader.models[1]);
  assertEquals([loader.loads, unloaded()], [["a", "a"], ["a stopped"]]);
  await registry.close();
});

Deno.test("ModelRegistry tells who asks why a model cannot be loaded, and tries again later", async () => {
  const { acquire, events, loader, registry } = setUp(["a", "unreadable", "b"], { retryMs: 200 });
  loader.failing = "a";
  const failed = await Promise.allSettled([registry.acquire("a"), registry.acquire("a")]);
  for (const outcome of failed) {
    const { reason } = outcome as PromiseRejectedResult;
    assert(reason instanceof RequestError);
    assertEquals([reason.status, reason.code], [500, "model_load_failed"]);
    assertEquals(reason.message, 'Cannot load the model "a": a is damaged');
  }
  await assertRejects(() => registry.acquire("a"), RequestError, "a is damaged");
  assertEquals(loader.loads, ["a"]);
  assertEquals(registry.list()[0].loadFailure?.message, "a is damaged");
  (await acquire("b")).release(); // others are not concerned
  await assertRejects(() => registry.acquire("unreadable"), RequestError, "no header");
  await assertRejects(() => registry.preload("unreadable"), Error, "no header");
  await new Promise((resolve) => setTimeout(resolve, 210));
  loader.failing = null;
  (await acquire("a")).release();
  assertEquals(registry.list()[0].loadFailure, null);
  assertEquals(events.map(({ kind, id }) => `${id} ${kind}`), [
    "a load_failed",
    "b loaded",
    "unreadable load_failed",
    "a loaded",
  ]);
  await registry.close();
});

Deno.test("ModelRegistry replaces a model whose engine has failed for good", async () => {
  const { acquire, loader, registry, unloaded } = setUp(["a", "b"]);
  const lease = await acquire("a");
  loader.models[0].failure = new Error("dead");
  const next = acquire("a");
  await settle();
  assertEquals(loader.loads, ["a"]);
  lease.release();
  assertStrictEquals((await next).model, loader.models[1]);
  loader.models[1].failure = new Error("dead again");
  (await next).release();
  (await acquire("a")).release();
  assertEquals([loader.loads.length, unloaded()], [3, ["a failed", "a failed"]]);
  await registry.close();
});

// fault 23: changed while loaded.
Deno.test("ModelRegistry loads a model again whose file has changed, as often as it does", async () => {
  const { acquire, loader, registry, unloaded } = setUp(["a"]);
  for (let i = 0; i < 5; i++) {
    const lease = await acquire("a");
    loader.models[i].failure = readError(`Cannot read "a": ${FILE_CHANGED_TEXT}`);
    lease.release();
  }
  (await acquire("a")).release();
  assertEquals(registry.list()[0].failure, null);
  assertEquals(unloaded(), Array(5).fill("a changed"));
  await registry.close();
});

Deno.test("ModelRegistry gives up a model whose engine fails again and again", async () => {
  const { acquire, loader, registry } = setUp(["a", "b"]);
  for (let i = 0; i < 4; i++) {
    assertEquals(registry.list()[0].failure, null);
    const lease = await acquire("a");
    loader.models[i].failure = new Error("dead");
    lease.release();
  }
  const error = await assertRejects(() => registry.acquire("a"), RequestError, "failed 4 times");
  assertEquals([error.status, error.code], [503, "engine_failed"]);
  assertEquals(registry.list().map(({ failure }) => failure !== null), [true, false]);
  (await acquire("b")).release();
  await registry.close();
});

// fault 55: a model for which there is no room.
Deno.test("ModelRegistry gives all its memory to a model that needs more", async () => {
  const { acquire, registry, states } = setUp(["a", "b", "huge"]);
  for (const id of ["a", "b", "huge"]) (await acquire(id)).release();
  assertEquals(states(), { a: "unloaded", b: "unloaded", huge: "ready" });
  assertEquals(registry.list()[2].bytes, 20);
  await registry.close();
});

Deno.test("ModelRegistry bounds who waits", async () => {
  const { loader, registry } = setUp(["a", "b"], { waitingMax: 2 });
  const { promise, resolve } = Promise.withResolvers<void>();
  loader.holds.set("a", promise);
  const waiting = [registry.acquire("a"), registry.acquire("b")];
  const error = await assertRejects(() => registry.acquire("a"), RequestError);
  assertEquals([error.status, error.code], [503, "queue_full"]);
  resolve();
  for (const lease of await Promise.all(waiting)) lease?.release();
  await registry.close();
});

Deno.test("ModelRegistry.preload() is loading until the first model is there", async () => {
  const { registry } = setUp(["a", "b"]);
  assertEquals(registry.state, "ready");
  const loaded = registry.preload();
  assertEquals(registry.state, "loading");
  await loaded;
  assertEquals(registry.state, "ready");
  await registry.close();
});

Deno.test("ModelRegistry.close() of a process that ends waits for no load", async () => {
  const { acquire, loader, registry, states } = setUp(["a", "b"], { memoryBytes: 100 });
  const { promise, resolve } = Promise.withResolvers<void>();
  loader.holds.set("b", promise);
  (await acquire("a")).release();
  const b = assertRejects(() => registry.acquire("b"), RequestError, "shutting down");
  await settle();
  await registry.close({ abandonsLoads: true });
  await b;
  assertEquals(states(), { a: "unloaded", b: "loading" });
  assert(loader.models[0].isClosed);
  resolve();
  await registry.close();
  assertEquals(states(), { a: "unloaded", b: "unloaded" });
});

Deno.test("ModelRegistry.close() ends what is loaded and what is being loaded, and who waits", async () => {
  const { acquire, loader, registry, states } = setUp(["a", "b", "c"], { memoryBytes: 100 });
  const { promise, resolve } = Promise.withResolvers<void>();
  loader.holds.set("b", promise);
  const lease = await acquire("a");
  const b = assertRejects(() => registry.acquire("b"), RequestError, "shutting down");
  const c = assertRejects(() => registry.acquire("c"), RequestError, "shutting down");
  await settle();
  const closed = registry.close();
  await Promise.all([b, c]);
  resolve();
  await closed;
  lease.release();
  assertEquals(states(), { a: "unloaded", b: "unloaded", c: "unloaded" });
  assert(loader.models.every((model) => model.isClosed));
  await assertRejects(() => registry.acquire("a"), RequestError, "shutting down");
});
