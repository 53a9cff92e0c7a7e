/** What a server makes room for is what it loads, however much memory is free by then. */
import "../../support/thread_pool.ts";
import { assertEquals, assertGreater } from "@std/assert";
import { FileLoader } from "../../../src/cli/serve/model_loader.ts";
import type { FileCatalog } from "../../../src/models/mod.ts";
import { withTinyFile } from "../../support/loaded_model.ts";

const TINY = { type: "IQ1_S", embeddingLength: 256, feedForwardLength: 512 } as const;
const LOG = { isForPeople: false, log: { info: () => {}, warn: () => {} } };

Deno.test("rows are written out at loading if they were when room was made for the model", () =>
  withTinyFile(TINY, async (path) => {
    const catalog = { pathOf: () => path, baseOf: () => undefined } as unknown as FileCatalog;
    const options: { threads: number; contextLength: number; besideBytes?: number } = {
      ...{ threads: 1, contextLength: 64 },
    };
    const loader = new FileLoader(catalog, {
      ...{ options, named: [], apart: undefined },
      log: LOG as never,
    });
    const loadedBytes = async () => {
      const model = await loader.load("a", () => {});
      await model.close();
      return model.memory.totalBytes;
    };
    const written = await loader.bytesOf("a");
    // Less is free when room is made than when it is loaded, or more.
    options.besideBytes = 2 ** 50;
    assertEquals(await loadedBytes(), written);
    const looked = await loader.bytesOf("a");
    options.besideBytes = 0;
    assertEquals(await loadedBytes(), looked);
    assertGreater(written, looked);
  }));
