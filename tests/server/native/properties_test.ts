import { assert, assertEquals } from "@std/assert";
import { Log } from "../../../src/base/log.ts";
import { loadedModels } from "../../../src/server/mod.ts";
import type { ModelSource } from "../../../src/server/model_source.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { post, refused, testApp } from "../http_client.ts";

/** Two answers at once, one of which is being written. */
class HalfBusyModel extends ScriptedModel {
  readonly runningMax = 2;

  override get load() {
    return { running: 1, waiting: 0 };
  }
}

const ADAPTERS = [{ name: "poet.gguf", scale: 0.5 }, { name: "clerk.gguf", scale: 1 }];

function twoModels() {
  const busy = new HalfBusyModel({
    ...{ id: "busy", contextLength: 4096 },
    details: {
      ...{ chatTemplate: "{{ messages }}", adapters: ADAPTERS },
      sampling: { temperature: 0.6, topK: 20, xtcProbability: 0.5 },
    },
  });
  const sees = { ids: [], given: [] };
  const other = new ScriptedModel({
    ...{ id: "other", see: () => sees },
    details: { controlVectors: [{ name: "calm.gguf", scale: -2 }] },
  });
  return testApp({}, { models: loadedModels([busy, other]) });
}

Deno.test("GET /props has what llama.cpp's clients look for, of the model that is asked for", async () => {
  const { app } = twoModels();
  const { build_info: build, ...props } = await (await app.request("/props")).json();
  assertEquals(props, {
    default_generation_settings: {
      n_ctx: 4096,
      params: {
        ...{ temperature: 0.6, top_k: 20, top_p: 0.95, min_p: 0.05, repeat_penalty: 1 },
        xtc_probability: 0.5,
      },
    },
    ...{ total_slots: 2, model_alias: "busy", model_path: "busy", is_sleeping: false },
    modalities: { vision: false, audio: false },
    chat_template: "{{ messages }}",
  });
  assert(/^ganglion-\d/.test(build), build);
  const other = await (await app.request("/props?model=other")).json();
  assertEquals([other.model_alias, other.modalities.vision, other.total_slots], ["other", true, 1]);
  assertEquals(other.control_vectors, [{ path: "calm.gguf", scale: -2 }]);
  assertEquals((await app.request("/props?model=none")).status, 404);
});

Deno.test("GET /slots says how many answers are written, and 503 where one more would wait", async () => {
  const { app } = twoModels();
  const slot = { n_ctx: 4096 };
  assertEquals(await (await app.request("/slots")).json(), [
    { id: 0, ...slot, is_processing: true },
    { id: 1, ...slot, is_processing: false },
  ]);
  assertEquals((await app.request("/slots?fail_on_no_slot=1")).status, 200);
  const one = { id: "one", state: "ready", leases: 0, waiting: 0, loadFailure: null };
  const full = { load: { running: 2, waiting: 1 }, runningMax: 2 };
  const models = { ...managed([{ ...one, model: full }]) };
  const { app: busy } = testApp({}, { models });
  const none = await busy.request("/slots?fail_on_no_slot=1");
  assertEquals([none.status, none.headers.get("retry-after")], [503, "1"]);
});

Deno.test("GET /lora-adapters shows what is in the weights; nothing changes it", async () => {
  const { app } = twoModels();
  const shown = [
    { id: 0, path: "poet.gguf", scale: 0.5 },
    { id: 1, path: "clerk.gguf", scale: 1 },
  ];
  assertEquals(await (await app.request("/lora-adapters")).json(), shown);
  assertEquals(await (await app.request("/lora-adapters?model=other")).json(), []);
  const { message } = await refused(app, "/lora-adapters", [{ id: 0, scale: 1 }]);
  assert(message.includes("in its weights (--lora)"), message);
  const { message: none } = await refused(app, "/lora-adapters?model=other", [{ id: 0, scale: 1 }]);
  assert(none.includes("--lora-model"), none);
  assertEquals((await post(app, "/lora-adapters?model=other", [])).status, 200);
  assertEquals(await (await app.request("/lora-adapters")).json(), shown);
});

Deno.test("POST /lora-adapters sets how much of each counts, of the model that is asked for", async () => {
  const choosableAdapters = ADAPTERS.map((each) => ({ ...each, scale: 0 }));
  const [first, second] = ["first", "second"].map((id) =>
    new ScriptedModel({ id, details: { choosableAdapters } })
  );
  const lines: string[] = [];
  const log = new Log({ level: "info", write: (line) => lines.push(line) });
  const { app } = testApp({}, { models: loadedModels([first, second]), log });
  const scales = async (query = "") => {
    const shown = await (await app.request(`/lora-adapters${query}`)).json();
    return shown.map(({ scale }: { scale: number }) => scale);
  };
  const answer = await post(app, "/lora-adapters", [{ id: 1, scale: 0.5, path: "clerk.gguf" }]);
  assertEquals([answer.status, await answer.json()], [200, { success: true }]);
  assertEquals([await scales(), await scales("?model=second")], [[0, 0.5], [0, 0]]);
  assertEquals((await post(app, "/lora-adapters?model=second", [{ id: 0, scale: 2 }])).status, 200);
  assertEquals([await scales(), await scales("?model=second")], [[0, 0.5], [2, 0]]);
  for (
    const [body, says] of [
      [{ id: 0, scale: 1 }, "expected a JSON array"],
      [[{ id: 2, scale: 1 }], "the model has 2 adapters"],
      [[{ id: 0, scale: 1 }, { id: 1 }], "[1].scale"],
      [[{ id: -1, scale: 1 }], "[0].id"],
      [[{ id: 0, scale: 1001 }], "[0].scale"],
      [[{ id: 0, scale: "1" }], "[0].scale"],
      [Array.from({ length: 65 }, () => ({ id: 0, scale: 1 })), "Invalid body: Too big"],
      ["[", "as JSON"],
    ] as const
  ) {
    const { message } = await refused(app, "/lora-adapters", body);
    assert(message.includes(says), message);
  }
  assertEquals(await scales(), [0, 0.5]);
  await refused(app, "/lora-adapters?model=none", [], 404);
  // Without the field, and of the adapters that are left out.
  assertEquals((await post(app, "/lora-adapters", [{ id: 0, scale: 1 }])).status, 200);
  assertEquals(await scales(), [1, 0]);
  const said = lines.map((line) => JSON.parse(line)).filter(({ event }) =>
    event === "adapter scales"
  );
  assertEquals(said.map(({ model, scales }) => [model, scales]), [
    ["first", "0 0.5"],
    ["second", "2 0"],
    ["first", "1 0"],
  ]);
});

Deno.test("POST /lora-adapters refuses a body that is too long, or has too many values", async () => {
  const { app } = testApp({}, { bodyBytesMax: 640 });
  const shares = (count: number) => Array.from({ length: count }, () => ({ id: 0, scale: 1 }));
  const { message: many } = await refused(app, "/lora-adapters", shares(5));
  assert(many.includes("values"), many);
  const { message: long } = await refused(app, "/lora-adapters", `["${"a".repeat(700)}"]`, 413);
  assert(long.includes("640"), long);
});

Deno.test("POST /lora-adapters lets the model go that it has asked for, whatever it says", async () => {
  let held = 0;
  const choosableAdapters = ADAPTERS.map((each) => ({ ...each, scale: 0 }));
  const models = loadedModels([new ScriptedModel({ details: { choosableAdapters } })]);
  const acquire = async (id?: string) => {
    const lease = await models.acquire(id);
    held++;
    return lease && { ...lease, release: () => held-- };
  };
  const { app } = testApp({}, { models: { ...models, acquire } });
  for (const [id, status] of [[1, 200], [2, 400]]) {
    assertEquals((await post(app, "/lora-adapters", [{ id, scale: 1 }])).status, status);
    assertEquals(held, 0);
  }
});

Deno.test("GET /props, /slots and /lora-adapters load no model, and wait for none", async () => {
  let asked = 0;
  const card = { id: "far", model: null, state: "unloaded", leases: 0, waiting: 0 };
  const models = managed([{ ...card, loadFailure: null }], () => asked++);
  const { app } = testApp({}, { models });
  const props = await (await app.request("/props")).json();
  assertEquals([props.is_sleeping, props.default_generation_settings.n_ctx], [true, 0]);
  for (const path of ["/slots", "/lora-adapters"]) {
    assertEquals(await (await app.request(path)).json(), [], path);
  }
  assertEquals(asked, 0);
  const { app: early } = testApp({}, { models: { ...models, state: "loading" } });
  assertEquals((await early.request("/props")).status, 503);
  assertEquals((await post(early, "/props", {})).status, 405);
});

/** A registry of which nothing but its list is wanted. */
function managed(cards: readonly object[], onAcquire = () => {}): ModelSource {
  const source = {
    state: "ready" as const,
    list: () => cards as never,
    acquire: () => {
      onAcquire();
      return Promise.resolve(undefined);
    },
    unload: () => true,
  };
  return source;
}
