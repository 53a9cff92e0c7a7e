/** Adapters and control vectors that are too much: errors name them, not the model's weights. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { RequestError } from "../../src/base/errors.ts";
import { noLogits } from "../../src/engine/chooser.ts";
import type { GgufPart } from "../../src/gguf/types.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { greedyIds, withModel } from "../support/loaded_model.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyControlVector, type TinyDirection } from "../support/tiny_control_vector.ts";
import { TINY_PROMPT, tinyModel } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 8);
/** What two layers add of it is more than f32 holds. */
const SCALE = 3e38;

Deno.test("generate() names what was added where logits are not numbers", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, calm, poet] = ["tiny", "calm", "poet"].map((name) => join(folder, `${name}.gguf`));
    const bytes = tinyModel({ seed: 36, blockCount: 4 });
    await Deno.writeFile(path, bytes);
    const change = (tensor: TinyDirection) => ({ ...tensor, values: tensor.values.fill(1) });
    await Deno.writeFile(calm, tinyControlVector(bytes, { change }));
    await Deno.writeFile(poet, tinyAdapter(bytes));
    const cases: { name: string; of: (scale: number) => LoadOptions }[] = [
      { name: "calm", of: (scale) => ({ controlVectors: [{ path: calm, scale }] }) },
      { name: "poet", of: (scale) => ({ adapters: [{ path: poet, scale }] }) },
    ];
    for (const { name, of } of cases) {
      await withModel(path, { threads: 1, ...of(SCALE) }, async (model) => {
        const error = await assertRejects(() => greedyIds(model, IDS, 2), RequestError);
        assertEquals(error.status, 500);
        assertStringIncludes(error.message, `with "${name}.gguf": load the model with a smaller`);
        assert(!error.message.includes("download"), error.message);
      });
      await withModel(path, { threads: 1, ...of(1) }, async (model) => {
        assertEquals((await greedyIds(model, IDS, 2)).length, 2);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a model that fills in names its control vector where logits are not numbers", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, calm] = ["tiny", "calm"].map((name) => join(folder, `${name}.gguf`));
    const bytes = tinyModel({ architecture: "llada", blockCount: 4 });
    const change = (tensor: TinyDirection) => ({ ...tensor, values: tensor.values.fill(1) });
    await Deno.writeFile(path, bytes);
    await Deno.writeFile(calm, tinyControlVector(bytes, { change }));
    const controlVectors = [{ path: calm, scale: SCALE }];
    await withModel(path, { threads: 1, controlVectors }, async (model) => {
      const error = await assertRejects(() => greedyIds(model, IDS, 2), RequestError);
      assertStringIncludes(error.message, 'with "calm.gguf": load the model with a smaller');
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("noLogits() names what changes the model beside what a request chose", () => {
  const own = { path: "/models/own.gguf", sizeBytes: 1 };
  const calm = { path: "/models/calm.gguf", sizeBytes: 1, use: "control vector" };
  const of = (parts: GgufPart[]) => noLogits(3, "1000", { parts });
  assertEquals(of([own, calm]).param, "lora");
  assertStringIncludes(of([own, calm]).message, '"calm.gguf" changes too much, or weights');
  assert(of([own]).message.endsWith("does not help, weights of the model are damaged"));
});
