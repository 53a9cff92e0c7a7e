/** Which models are loaded with their guessing block, what it takes, and what is said where not. */
import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { openModelFile } from "../../src/bundle/mod.ts";
import {
  describeForUse,
  loadModel,
  type LoadOptions,
  memoryUse,
  planUse,
} from "../../src/llm/mod.ts";
import { bytesInMemory } from "../../src/llm/plan_load.ts";
import { bytesPerToken } from "../../src/llm/memory_use.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import "../support/thread_pool.ts";

const FORM = { architecture: "qwen35", changes: { guesses: true } } as const;

/** What loading with these options takes, and how many layers it has with the one that guesses. */
async function loading(path: string, options: LoadOptions) {
  const { file, packed } = openModelFile(path);
  const of = { file, packed, model: describeForUse(file, options) };
  const module = await loadKernelModule();
  const { model, planned: { plans } } = planUse(of, module, { threads: 2, ...options });
  const perToken = bytesPerToken(plans, model.config);
  return {
    layers: plans[0].layers.length,
    use: memoryUse(plans),
    perToken,
    bytes: bytesInMemory(plans),
  };
}

Deno.test("a guessing block is loaded and counted unless nothing is to be guessed by it", () =>
  withTinyFile(FORM, async (path) => {
    const own = await loading(path, {});
    const off = await loading(path, { speculate: "off" });
    assertEquals([own.layers, off.layers], [5, 4]);
    assertEquals((await loading(path, { draftModelPath: path })).layers, 4);
    assertEquals((await loading(path, { observe: ["fired"] })).layers, 4);
    // A matrix of 64 rows of 128 floats, a layer with neurons, and its keys and values.
    assertGreater(own.use.weightsBytes, off.use.weightsBytes + 4 * (64 * 128 + 3 * 64 * 96));
    assertGreater(own.use.kvBytes, off.use.kvBytes);
    assertEquals(own.perToken - off.perToken < 4096, true, "a token does not read its matrices");
  }));

Deno.test("a guessing block that finds no room is left out, and it is said why", () =>
  withTinyFile(FORM, async (path) => {
    const own = (await loading(path, {})).bytes;
    const off = (await loading(path, { speculate: "off" })).bytes;
    const said: string[] = [];
    const onNotice: LoadOptions["onNotice"] = ({ text }) => said.push(text);
    assertEquals((await loading(path, { onNotice, memoryBytes: own })).layers, 5);
    assertEquals(said, []);
    assertEquals((await loading(path, { onNotice, memoryBytes: off })).layers, 4);
    assertEquals(said.length, 1);
    assertStringIncludes(said[0], "own guesses are not used");
  }));

Deno.test("a guessing block that is damaged is left alone, and it is said why", () =>
  withTinyFile(FORM, async (path) => {
    const bytes = await Deno.readFile(path);
    const name = new TextEncoder().encode("blk.4.attn_k.weight");
    const at = bytes.findIndex((_, i) => name.every((byte, j) => bytes[i + j] === byte));
    bytes[at + name.indexOf(0x6b, 5)] = 0x78;
    await Deno.writeFile(path, bytes);
    const said: string[] = [];
    const onNotice: LoadOptions["onNotice"] = ({ text }) => said.push(text);
    assertEquals((await loading(path, { onNotice })).layers, 4);
    assertEquals(said.length, 1);
    assertStringIncludes(said[0], 'Cannot find tensor "blk.4.attn_k.weight"');
  }));

Deno.test("loadModel() plans a model with a guessing block once", () =>
  withTinyFile(FORM, async (path) => {
    // A plan for as many requests as there is memory for looks at it.
    let looks = 0;
    const { systemMemoryInfo } = Deno;
    Deno.systemMemoryInfo = () => (looks++, systemMemoryInfo());
    try {
      const model = await loadModel(path, { threads: 1, gpu: "off", parallel: "auto" });
      await model.close();
    } finally {
      Deno.systemMemoryInfo = systemMemoryInfo;
    }
    assertEquals(looks, 1);
  }));
