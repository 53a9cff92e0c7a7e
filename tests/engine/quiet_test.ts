/**
 * Leaving quiet neurons out: with a threshold of zero nothing changes, with another one exactly
 * what the reference gives when it leaves them out, in decoding and in prompts alike.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { fingerprint, openGguf } from "../../src/gguf/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";

const IDS = randomIds(21, { end: 256, seed: 8 });
/** A silu gate, a gelu gate, no gate at all, and a gate with biases. */
const FAMILIES = ["llama", "gemma", "gpt2", "llama-biased"] as const;

for (const [index, architecture] of FAMILIES.entries()) {
  for (const type of ["F32", "Q8_0", "Q4_0"] as const) {
    Deno.test(`a threshold of 0 changes nothing of ${architecture} in ${type}`, () =>
      withTinyFile({ architecture, type, seed: 5 }, async (path) => {
        for (const threads of [1, 3]) {
          const dense = await ask(path, { threads });
          const sparse = await ask(path, { threads, quiet: quiet(path, 0) });
          // Down lies by columns, which prompts multiply to the same bits; floats by neurons.
          if (type !== "F32") assertEquals(sparse.chunked, dense.chunked);
          assertLess(nmse(sparse.chunked, dense.chunked), 1e-9);
          assertLess(nmse(sparse.single, dense.single), type === "F32" ? 1e-9 : 1e-5);
          assertEquals(sparse.greedy, dense.greedy);
        }
      }));
  }

  Deno.test(`a threshold leaves those neurons of ${architecture} out that the reference does`, () =>
    withTinyFile({ architecture, seed: 5 }, async (path) => {
      const [full, expected] = [[0, 0], [0.05, 0.15]].map((thresholds) =>
        new ReferenceModel(openGguf(path), { thresholds }).forward(IDS)
      );
      assertGreater(nmse(expected, full), 1e-5);
      for (const threads of [1, 2 + index % 2]) {
        const sparse = await ask(path, { threads, quiet: quiet(path, 0.05, 0.15) });
        assertLess(nmse(sparse.single, expected), 1e-9);
        assertLess(nmse(sparse.chunked, expected), 1e-9);
        assert(sparse.skippedNeurons > 0 && sparse.skippedBytes > 0);
      }
    }));
}

Deno.test("a threshold beyond all activations leaves every neuron out", () =>
  withTinyFile(
    { seed: 5 },
    (path) =>
      withModel(path, { threads: 2, quiet: quiet(path, 1e30) }, async (model) => {
        const { timings } = await model.generate({ ids: IDS, maxTokens: 5, ignoreEnd: true })
          .result;
        assertEquals(timings.skippedNeurons, 4 * 2 * 96);
      }),
  ));

// fault 26: statistics of another model.
Deno.test("loadModel() refuses thresholds that do not fit the model", async () => {
  const refused = async (
    model: Parameters<typeof withTinyFile>[0],
    options: (path: string) => LoadOptions,
    says: string,
  ) => {
    await withTinyFile(model, async (path) => {
      await assertRejects(() => loadModel(path, options(path)), RangeError, says);
    });
  };
  await refused({}, (path) => ({ quiet: quiet(path, 0.1), sparse: false }), "choose one");
  await refused({}, (path) => ({ quiet: quiet(path, 0.1), observe: ["gate"] }), "observed");
  await refused({}, (path) => ({ quiet: quiet(path, NaN) }), "at least 0");
  await refused({}, (path) => ({
    quiet: { ...quiet(path, 0), thresholds: [0] },
  }), "each of 2 layers");
  const other = { thresholds: [0, 0], modelFingerprint: "00" };
  await refused({}, () => ({ quiet: other }), "another model");
  await refused({ architecture: "bamboo" }, (path) => ({ quiet: quiet(path, 0) }), "silent");
  await refused({ architecture: "qwen2moe" }, (path) => ({ quiet: quiet(path, 0) }), "experts");
});

function quiet(path: string, first: number, second = first): NonNullable<LoadOptions["quiet"]> {
  const modelFingerprint = fingerprint(openGguf(path).parts);
  return { thresholds: [first, second], modelFingerprint };
}

async function ask(path: string, options: LoadOptions) {
  return await withModel(path, options, async (model) => {
    const single = await allLogits(model, IDS, 1);
    const chunked = await allLogits(model, IDS);
    const greedy = await greedyIds(model, IDS.slice(0, 9), 12);
    const { timings } = await model.generate({ ids: IDS, maxTokens: 5, ignoreEnd: true }).result;
    const { skippedNeurons = 0, skippedBytes = 0 } = timings;
    return { single, chunked, greedy, skippedNeurons, skippedBytes };
  });
}
