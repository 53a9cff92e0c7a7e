/** How much of each adapter requests have that choose none themselves: `chooseAdapters()`. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { RequestError } from "../../src/base/errors.ts";
import type {
  GenerateRequest,
  LanguageModel,
  LoadedModel,
  LoadOptions,
} from "../../src/llm/mod.ts";
import { withModel } from "../support/loaded_model.ts";
import { tinyAdapter, type TinyAdapterOptions } from "../support/tiny_adapter.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 24);
const LONG = Array.from({ length: 100 }, (_, i) => 3 + (i * 37) % 480);
const POET = [{ id: 0, scale: 1 }];
const HALF = [{ id: 0, scale: 0.5 }, { id: 1, scale: -1 }];

/** A tiny model with the adapters "poet" and "clerk", for as long as `use` runs. */
async function withAdapters(
  options: LoadOptions,
  use: (model: LoadedModel, folder: string, again: LoadOptions) => Promise<void>,
  adapter: TinyAdapterOptions = {},
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const model = tinyModel({ seed: 36, contextLength: 500 });
    await Deno.writeFile(join(folder, "tiny.gguf"), model);
    const namedAdapters = ["poet", "clerk"].map((id) => {
      return { id, adapter: { path: join(folder, `${id}.gguf`) } };
    });
    for (const [index, { adapter: { path } }] of namedAdapters.entries()) {
      await Deno.writeFile(path, tinyAdapter(model, { seed: 5 + index, ...adapter }));
    }
    const load = { threads: 2, ...options, namedAdapters };
    await withModel(join(folder, "tiny.gguf"), load, (model) => use(model, folder, load));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function ask(model: LanguageModel, adapters?: GenerateRequest["adapters"], ids = IDS, tokens = 12) {
  const sampling = { temperature: 0 };
  return model.generate({ ids, maxTokens: tokens, sampling, ignoreEnd: true, adapters });
}

async function idsOf(...of: Parameters<typeof ask>): Promise<readonly number[]> {
  return (await ask(...of).result).ids;
}

async function cachedTokens(...[model, adapters]: Parameters<typeof ask>): Promise<number> {
  return (await ask(model, adapters, LONG, 1).result).timings.cachedTokens ?? -1;
}

Deno.test("chooseAdapters() counts for requests to come that choose none, and for no others", () =>
  withAdapters({ parallel: 1 }, async (model) => {
    const [poet, clerk] = model.adapted;
    const own = await idsOf(model);
    const half = await idsOf(model, HALF);
    const ofPoet = await idsOf(poet);
    assertEquals(new Set([own, half, ofPoet].map(String)).size, 3, "all differ");
    assertEquals(model.details.choosableAdapters?.[0].scale, 0);
    // One that runs and one that waits have what they came with.
    const [running, waiting] = [ask(model, undefined, IDS, 200), ask(model)];
    model.chooseAdapters(HALF);
    const later = ask(model);
    assertEquals((await running.result).ids.slice(0, own.length), own);
    assertEquals((await waiting.result).ids, own);
    assertEquals((await later.result).ids, half);
    assertEquals(model.details.choosableAdapters, [
      { name: "poet.gguf", scale: 0.5 },
      { name: "clerk.gguf", scale: -1 },
    ]);
    assertEquals([await idsOf(model, []), await idsOf(model, POET)], [own, ofPoet]);
    assertEquals([await idsOf(poet), await idsOf(clerk, HALF)], [ofPoet, half]);
    const [likely] = await model.promptLogprobs(IDS, 0, { adapters: HALF });
    assertEquals((await model.promptLogprobs(IDS, 0))[0], likely);
    assertNotEquals((await model.promptLogprobs(IDS, 0, { adapters: [] }))[0], likely);
    const [vector] = await model.embed([IDS]);
    assertEquals([vector], await poet.embed([IDS], { adapters: HALF }));
    model.chooseAdapters([]);
    assertEquals(await idsOf(model), own);
  }));

Deno.test("what is remembered of a prompt belongs to the adapters that are chosen for all", () =>
  withAdapters({}, async (model) => {
    const [poet] = model.adapted;
    assertEquals([await cachedTokens(model), await cachedTokens(model)], [0, 99]);
    model.chooseAdapters(HALF);
    assertEquals([await cachedTokens(model), await cachedTokens(model)], [0, 99]);
    assertEquals(await cachedTokens(poet, HALF), 99, "as another one asked");
    assertEquals(await cachedTokens(poet), 0);
    model.chooseAdapters(POET);
    assertEquals(await cachedTokens(model), 99, "as poet");
    model.chooseAdapters([]);
    assertEquals(await cachedTokens(model), 99, "as before");
  }));

Deno.test("files of conversations and prompts tell the adapters that were chosen for all", () =>
  withAdapters({}, async (model, folder, load) => {
    const [poet] = model.adapted;
    const file = (name: string) => ({ path: join(folder, name), bytesMax: 1e9 });
    await cachedTokens(model);
    model.chooseAdapters(POET);
    assertEquals(await model.conversations.save(LONG, file("none")), 0, "nothing of it is there");
    await cachedTokens(model);
    assertEquals(await model.conversations.save(LONG, file("poet")), 96);
    model.chooseAdapters(HALF);
    await cachedTokens(model);
    assertEquals(await model.conversations.save(LONG, file("half")), 96);
    await withModel(join(folder, "tiny.gguf"), load, async (other) => {
      const [ofName] = other.adapted;
      const { path } = file("half");
      for (const each of [other, ofName]) {
        await assertRejects(() => each.conversations.restore(path), RequestError, "other model");
      }
      assertEquals(await ofName.conversations.restore(file("poet").path), 96, "as much by a name");
      assertEquals(await cachedTokens(ofName), 96);
      other.chooseAdapters(HALF);
      assertEquals(await other.conversations.restore(path), 96);
      assertEquals(await cachedTokens(other), 96);
      assertEquals(await cachedTokens(other, []), 0);
    });
    assert(poet.details.choosableAdapters?.[0].scale === 1);
  }));

Deno.test("prompts that are kept beyond an end are those of the model as it is loaded", async () => {
  const kept = await Deno.makeTempDir();
  try {
    const counts: number[] = [];
    const chosen: (typeof POET)[] = [HALF, [], POET];
    for (const shares of chosen) {
      await withAdapters({ prefixCacheFolder: kept }, async (model) => {
        counts.push(await cachedTokens(model));
        model.chooseAdapters(shares);
        counts.push(await cachedTokens(model));
      });
    }
    // What was computed as poet has was kept, for poet.
    assertEquals(counts, [0, 0, 96, 99, 96, 0]);
    await withAdapters({ prefixCacheFolder: kept }, async (model) => {
      assertEquals(await cachedTokens(model.adapted[0]), 96);
      assertEquals(await cachedTokens(model, HALF), 0);
    });
  } finally {
    await Deno.remove(kept, { recursive: true });
  }
});

Deno.test("generate() says that adapters made logits that are not numbers, and goes on", () =>
  withAdapters({}, async (model) => {
    const own = await idsOf(model);
    model.chooseAdapters([{ id: 0, scale: 1000 }]);
    const error = await assertRejects(() => idsOf(model), RequestError);
    assertEquals([error.status, error.param], [400, "lora"]);
    assert(error.message.includes("with 1000 0 times the model's adapters"), error.message);
    assertEquals(await idsOf(model, []), own);
  }, { change: (tensor) => ({ ...tensor, values: tensor.values.map((value) => value * 1e18) }) }));

Deno.test("what is in the weights may be asked for as it is, and not taken out", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, poet] = ["tiny.gguf", "poet.gguf"].map((name) => join(folder, name));
    const bytes = tinyModel({ seed: 36, contextLength: 500 });
    await Deno.writeFile(path, bytes);
    await Deno.writeFile(poet, tinyAdapter(bytes));
    await withModel(path, { threads: 1, adapters: [{ path: poet }] }, async (model) => {
      assertEquals(await idsOf(model, POET), await idsOf(model));
      await assertRejects(() => idsOf(model, []), RequestError, "in its weights (--lora)");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
