/** What an engine took of the system's memory is given back when it has closed. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MiB } from "../../src/base/units.ts";
import { text } from "../../src/gguf/mod.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { downsIn, FEW_SLOTS, READERS, withPacked } from "../support/packed_model.ts";

/** Keys and values of so many tokens are worth giving back. */
const CONTEXT = { contextLength: 1 << 17, threads: 2 } as const;

Deno.test("EngineHandle.close() lets go of all memory", () =>
  withTinyFile({}, (path) => assertGivenBack(() => useModel(path, CONTEXT))));

Deno.test("EngineHandle.close() lets go of all memory, a draft model's too", () =>
  withTinyFile({}, (path) => {
    const options = { ...CONTEXT, draftModelPath: path, speculate: 2 };
    return assertGivenBack(() => useModel(path, options), 4);
  }));

Deno.test("EngineHandle.close() lets go of all memory that threads read into", () =>
  withPacked({ architecture: "bamboo", typeOf: downsIn("Q8_0") }, (_, packed) => {
    const options = { ...CONTEXT, streaming: FEW_SLOTS, ...READERS };
    return assertGivenBack(() => useModel(packed, options));
  }));

Deno.test("EngineHandle.start() lets go of all memory when it fails", () =>
  withTinyFile(
    { metadata: [["tokenizer.ggml.model", text("hybriddna")]] },
    (path) =>
      assertGivenBack(async () => {
        await assertRejects(() => loadModel(path, CONTEXT));
      }),
  ));

/** A frame of its own: what it held is garbage when it returns. */
async function useModel(path: string, options: LoadOptions): Promise<void> {
  await withModel(path, options, async (model) => {
    assertEquals((await greedyIds(model, [1, 2, 3], 4)).length, 4);
  });
}

/** Fails where a memory of 64 MiB or more is left of what `use` made, or it made fewer. */
async function assertGivenBack(use: () => Promise<void>, least = 2): Promise<void> {
  const made: WeakRef<WebAssembly.Memory>[] = [];
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      if (this.buffer.byteLength >= MiB / 4) made.push(new WeakRef(this));
    }
  };
  try {
    await use();
  } finally {
    WebAssembly.Memory = Memory;
  }
  assert(made.length >= least, `${made.length} memories`);
  assertEquals(made.filter((each) => each.deref() !== undefined).length, 0);
}
