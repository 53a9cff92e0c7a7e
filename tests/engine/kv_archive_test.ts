/** What was computed of prompts outlives the model, in a file: believed where it is whole. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { join } from "node:path";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds, Rng } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

const IDS = randomIds(110, { from: 3, end: 203, seed: 4 });
/** Begins like the other one, and goes on otherwise. */
const OTHER = [...IDS.slice(0, 70), ...IDS.slice(0, 30)];

interface Answer {
  readonly ids: readonly number[];
  readonly cached: number;
}

/** Loads the model with a folder for what it remembers, and asks it. */
async function ask(
  path: string,
  options: LoadOptions,
  prompts: readonly (readonly number[])[],
): Promise<Answer[]> {
  return await withModel(path, { parallel: 2, ...options }, async (model) => {
    const answers: Answer[] = [];
    for (const ids of prompts) {
      const request = { ids, maxTokens: 12, sampling: { temperature: 0 }, ignoreEnd: true };
      const { ids: answer, timings } = await model.generate(request).result;
      answers.push({ ids: answer, cached: timings.cachedTokens ?? 0 });
    }
    return answers;
  });
}

/** A model's file and an empty folder, for as long as `use` runs. */
function withFolder(
  form: TinyModelOptions,
  use: (path: string, folder: string) => Promise<void>,
): Promise<void> {
  return withTinyFile({ ...form, contextLength: 200 }, async (path) => {
    const folder = await Deno.makeTempDir({ prefix: "ganglion-kv-" });
    try {
      await use(path, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function archiveIn(folder: string): Promise<string> {
  const names = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  assertEquals(names.length, 1, `${names}`);
  return join(folder, names[0]);
}

for (
  const [name, form, options] of [
    ["llama in Q4_0, two threads", { type: "Q4_0" }, { threads: 2 }],
    ["gemma4 in F32, f32 cache", { type: "F32", architecture: "gemma4" }, { kvType: "f32" }],
    ["lfm2 in Q8_0, two threads", { type: "Q8_0", architecture: "lfm2" }, { threads: 2 }],
    ["bamboo in Q4_0", { type: "Q4_0", architecture: "bamboo" }, { chunkTokens: 32 }],
    ["deepseek32-chosen in Q8_0", { type: "Q8_0", architecture: "deepseek32-chosen" }, {
      threads: 2,
    }],
    ["deepseek2-old in Q8_0", { type: "Q8_0", architecture: "deepseek2-old" }, { threads: 2 }],
  ] as const
) {
  Deno.test(`a model that is loaded again knows earlier prompts: ${name}`, () =>
    withFolder(form, async (path, folder) => {
      const kept = { ...options, prefixCacheFolder: folder };
      const [first, second] = await ask(path, kept, [IDS, OTHER]);
      assertEquals(first.cached, 0);
      const again = await ask(path, kept, [IDS, OTHER]);
      assertEquals(again.map(({ ids }) => ids), [first.ids, second.ids]);
      // Whole blocks of 32, but for the last id.
      assertEquals(again.map(({ cached }) => cached), [96, 96]);
      const without = await ask(path, options, [IDS]);
      assertEquals(without, [first]);
    }));
}

Deno.test("whatever became of the file, answers are right", () =>
  withFolder({ type: "Q8_0" }, async (path, folder) => {
    const kept = { threads: 2, prefixCacheFolder: folder };
    const [{ ids }] = await ask(path, kept, [IDS]);
    const archive = await archiveIn(folder);
    const bytes = await Deno.readFile(archive);
    const rng = new Rng(9);
    let found = 0;
    for (let trial = 0; trial < 12; trial++) {
      const damaged = bytes.slice(0, trial % 3 === 0 ? rng.int(bytes.length) : bytes.length);
      if (trial % 3 > 0) damaged[rng.int(damaged.length)] ^= 1 << rng.int(8);
      await Deno.writeFile(archive, damaged);
      const [answer] = await ask(path, kept, [IDS]);
      assertEquals(answer.ids, ids, `trial ${trial}`);
      if (answer.cached < 96) found++;
    }
    assertGreater(found, 6, "damage costs what it hit");
  }));

Deno.test("a file of another number of threads, or of another model, is as good as none", () =>
  withFolder({ type: "Q8_0" }, async (path, folder) => {
    const kept = { threads: 1, prefixCacheFolder: folder };
    const [first] = await ask(path, kept, [IDS]);
    const archive = await archiveIn(folder);
    assertEquals((await ask(path, { ...kept, threads: 2 }, [IDS]))[0].cached, 0);
    assertEquals((await ask(path, { ...kept, threads: 2 }, [IDS]))[0].cached, 96);
    await withTinyFile({ type: "Q8_0", seed: 77, contextLength: 200 }, async (other) => {
      await ask(other, kept, [IDS]);
      const names = [];
      for await (const { name } of Deno.readDir(folder)) names.push(name);
      assertEquals(names.length, 2, "each model has its own");
    });
    assert((await Deno.stat(archive)).isFile);
    assertEquals((await ask(path, kept, [IDS]))[0].ids, first.ids);
  }));

Deno.test("what does not fit into a smaller cache is left out, beginnings before ends", () =>
  withFolder({ type: "Q4_0" }, async (path, folder) => {
    const kept = { threads: 1, prefixCacheFolder: folder };
    const rest = IDS.toReversed();
    const all = await ask(path, { ...kept, parallel: 4 }, [IDS, rest, OTHER]);
    const fewer = await ask(path, { ...kept, parallel: 1, contextLength: 160 }, [IDS]);
    assertEquals(fewer[0].ids, all[0].ids);
    assertLess(0, fewer[0].cached);
  }));

Deno.test("a folder that cannot be written to costs a notice, not the model", () =>
  withTinyFile({ type: "Q8_0", contextLength: 200 }, async (path) => {
    const notices: string[] = [];
    const prefixCacheFolder = join(path, "no", "folder");
    const onNotice = ({ text }: { text: string }) => notices.push(text);
    await ask(path, { prefixCacheFolder, onNotice }, [IDS]);
    assert(notices.some((text) => /is not kept: .*Cannot write/.test(text)), `${notices}`);
  }));
