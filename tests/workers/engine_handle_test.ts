/** The engine's threads when something goes wrong: every call settles, and says why. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dirname, join } from "node:path";
import {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  WorkerError,
} from "../../src/base/errors.ts";
import { text } from "../../src/gguf/mod.ts";
import { type LoadedModel, loadModel } from "../../src/llm/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";

Deno.test("EngineHandle.start() ends all threads when the file changes while it loads", async () => {
  await withTinyFile({ blockCount: 6 }, async (path) => {
    let isCut = false;
    const onProgress = () => {
      if (!isCut) Deno.truncateSync(path, 100_000);
      isCut = true;
    };
    // The reads that are left find the end of the file, or all were done before the cut.
    const outcome = await loadModel(path, { threads: 3, onProgress }).then(
      async (model) => await model.close(),
      (error) => error,
    );
    assert(isCut);
    assert(outcome === undefined || outcome instanceof ModelFormatError, `${outcome}`);
  });
});

Deno.test("EngineHandle.start() rejects with what onProgress throws", async () => {
  await withTinyFile({}, async (path) => {
    const onProgress = () => {
      throw new Error("the bar is broken");
    };
    await assertRejects(() => loadModel(path, { onProgress }), Error, "the bar is broken");
  });
});

Deno.test("EngineHandle.start() says how far it is, to the last byte", () =>
  withTinyFile({ blockCount: 6 }, async (path) => {
    const told: number[] = [];
    let totalBytes = 0;
    const onProgress = (done: { loadedBytes: number; totalBytes: number }) => {
      told.push(done.loadedBytes);
      totalBytes = done.totalBytes;
    };
    await withModel(path, { threads: 3, onProgress }, () => Promise.resolve());
    assertEquals(told, told.toSorted((a, b) => a - b));
    assert(told[0] < totalBytes, "one thread of three");
    assertEquals(told.at(-1), totalBytes);
  }));

Deno.test("EngineHandle.start() ends all threads when what is done meanwhile fails", async () => {
  await withTinyFile({ metadata: [["tokenizer.ggml.model", text("hybriddna")]] }, async (path) => {
    await assertRejects(
      () => loadModel(path, { threads: 3 }),
      UnsupportedModelError,
      '"hybriddna"',
    );
    // A process ends by itself when it has nothing to do and no thread is left.
    const door = new URL("../../src/llm/mod.ts", import.meta.url);
    const code = `import { loadModel } from ${JSON.stringify(door)};
      await loadModel(${JSON.stringify(path)}, { threads: 3 }).catch(() => {});`;
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", code],
      cwd: new URL("../..", import.meta.url),
      signal: AbortSignal.timeout(30_000),
    }).output();
    assert(success, "a thread was left");
  });
});

Deno.test("EngineHandle.logits() stops and rejects with what onRows throws", async () => {
  await withTinyFile({ contextLength: 4096 }, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const ids = Array.from({ length: 4000 }, (_, i) => 3 + i % 500);
      let calls = 0;
      const onRows = () => {
        calls++;
        throw new Error("the disk is full");
      };
      await assertRejects(() => model.logits(ids, onRows), Error, "the disk is full");
      assertEquals(calls, 1);
      assertEquals((await model.generate({ ids: [5], maxTokens: 2 }).result).ids.length <= 2, true);
    });
  });
});

Deno.test("EngineHandle.close() settles what runs and what waits", async () => {
  await withTinyFile({ contextLength: 8192 }, async (path) => {
    const model = await loadModel(path, { threads: 2 });
    const request = { ids: [5, 6], ignoreEnd: true };
    const generations = [1, 2, 3].map(() => model.generate(request));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await model.close();
    for (const generation of generations) {
      assertEquals((await generation.result).finishReason, "cancelled");
    }
  });
  await withTinyFile({ contextLength: 8192 }, async (path) => {
    const model = await loadModel(path, { threads: 2 });
    const ids = Array.from({ length: 8000 }, (_, i) => 3 + i % 500);
    const logits = model.logits(ids, () => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
    const [outcome] = await Promise.allSettled([logits, model.close()]);
    assertEquals(outcome.status, "rejected");
    assert((outcome as PromiseRejectedResult).reason instanceof WorkerError);
  });
});

Deno.test("a request that the engine cannot begin fails alone", async () => {
  await withTinyFile({}, async (path) => {
    await withModel(path, { threads: 2 }, async (model) => {
      const bad = { logitBias: 5 as unknown as ReadonlyMap<number, number> };
      await assertRejects(() => model.generate({ ids: [5], sampling: bad }).result, WorkerError);
      const after = await model.generate({ ids: [5], maxTokens: 3, ignoreEnd: true }).result;
      assertEquals(after.ids.length, 3);
      assertEquals(model.failure, null);
      await assertRejects(async () => {
        await model.generate({ ids: [5], maxTokens: 1.5 }).result;
      }, RequestError);
      const all = await model.generate({ ids: [5], maxTokens: Infinity, ignoreEnd: true }).result;
      assertEquals(all.ids.length, model.contextLength - 1);
    });
  });
});

/** A model that remembers a long prompt, its ids, and a folder; all go when `use` has ended. */
async function withPrompt(
  use: (model: LoadedModel, ids: readonly number[], path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-kv-" });
  try {
    // Keys and values of 12 KiB a token: tens of MiB, which take the engine several steps.
    const heads = { embeddingLength: 256, headCount: 8, headCountKv: 8, headDim: 32 };
    const shape = { contextLength: 4096, blockCount: 6, ...heads };
    await withTinyFile(shape, async (path) => {
      const ids = Array.from({ length: 3000 }, (_, i) => 3 + (i * i) % 500);
      await withModel(path, { threads: 2, parallel: 2, kvType: "f32" }, async (model) => {
        await model.generate({ ids, maxTokens: 0 }).result;
        await use(model, ids, join(folder, "talk.kv"));
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bytesMax = Infinity;

Deno.test("EngineHandle.saveKv() ends while an answer is being made, which goes on", () =>
  withPrompt(async (model, ids, path) => {
    const answer = model.generate({ ids: [5, 6], maxTokens: 3000, ignoreEnd: true });
    let isAnswered = false;
    answer.result.then(() => isAnswered = true);
    await answer[Symbol.asyncIterator]().next();
    const other = ids.slice(0, 64);
    const tokens = await Promise.all([
      model.conversations.save(ids, { path, bytesMax }),
      model.conversations.save(other, { path: `${path}.2`, bytesMax }),
    ]);
    assertEquals([tokens, isAnswered], [[2976, 64], false]);
    const sizes = [path, `${path}.2`].map((each) => Deno.statSync(each).size);
    assert(sizes[0] > 40 * sizes[1], "each has its own");
  }));

Deno.test("EngineHandle.close() fails conversations that wait to be brought back", () =>
  withPrompt(async (model, ids, path) => {
    await model.conversations.save(ids, { path, bytesMax });
    // Each takes more time than is given to it between two steps.
    const restoring = Array.from({ length: 20 }, () => model.conversations.restore(path));
    const outcomes = Promise.allSettled(restoring);
    await Promise.resolve(); // the engine is asked
    await model.close();
    const { status, reason } = (await outcomes).at(-1) as PromiseRejectedResult;
    assertEquals(status, "rejected");
    assert(reason instanceof WorkerError, `${reason}`);
    assertMatch(reason.message, /was closed/);
  }));

Deno.test("EngineHandle.close() fails a conversation that is being written, and leaves no half", () =>
  withPrompt(async (model, ids, path) => {
    await Deno.writeTextFile(path, "old");
    const saving = model.conversations.save(ids, { path, bytesMax });
    const outcome = saving.then(() => "saved", (error) => error);
    while (true) {
      // Until it has begun.
      const size = await Deno.stat(`${path}.part`).then(({ size }) => size, () => 0);
      if (size > 0) break;
    }
    await model.close();
    const error = await outcome;
    assert(error instanceof WorkerError, `${error}`);
    assertMatch(error.message, /closed/);
    const names = [...Deno.readDirSync(dirname(path))].map(({ name }) => name);
    assertEquals([names, await Deno.readTextFile(path)], [["talk.kv"], "old"]);
  }));
