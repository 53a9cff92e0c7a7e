/** The engine's threads when something goes wrong: every call settles, and says why. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ModelFormatError,
  RequestError,
  UnsupportedModelError,
  WorkerError,
} from "../../src/base/errors.ts";
import { text } from "../../src/gguf/mod.ts";
import { loadModel } from "../../src/llm/mod.ts";
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

Deno.test("EngineHandle.start() ends all threads when what is done meanwhile fails", async () => {
  await withTinyFile({ metadata: [["tokenizer.ggml.model", text("t5")]] }, async (path) => {
    await assertRejects(() => loadModel(path, { threads: 3 }), UnsupportedModelError, '"t5"');
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
