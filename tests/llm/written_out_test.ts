/**
 * Rows of codebooks' types that are written out: small models made from a seed, which answer with
 * the bits that they answer with looked up; and when rows are.
 */
import "../support/thread_pool.ts";
import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { loadModel, type LoadOptions, planModel, planWhole } from "../../src/llm/mod.ts";
import { bytesInMemory } from "../../src/llm/plan_load.ts";
import { describeModel } from "../../src/model/mod.ts";
import { CODEBOOK_TYPES } from "../../src/model/quants/codebooks.ts";
import { DEFAULT_PROFILE } from "../../src/planner/mod.ts";
import { MatrixLayouts } from "../../src/rank/plan/matrix_layouts.ts";
import type { MatrixPlan } from "../../src/rank/plan/matrix_types.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import type { SynthType } from "../../src/synth/synth_types.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { randomIds } from "../support/rng.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const MODULE = await loadKernelModule();
/** Steps of one, a few and many rows. */
const CHUNKS = [1, 3, 64];
const IDS = randomIds(37, { end: 256, seed: 31 });

function tinyOf(type: string, more: TinyModelOptions = {}): TinyModelOptions {
  return { type: type as SynthType, embeddingLength: 256, feedForwardLength: 512, ...more };
}

function plansOf(path: string, options: LoadOptions): RankPlan[] {
  const file = openGguf(path);
  return planModel({ file, model: describeModel(file) }, MODULE, options);
}

/** Types that matrices are kept in, of all layers and tables. */
function keptTypes(plans: readonly RankPlan[]): string[] {
  const types = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
    if ("rowStrideBytes" in value) types.add((value as MatrixPlan).type);
    for (const each of Object.values(value)) visit(each);
  };
  for (const { layers, ...others } of plans) visit([layers, others]);
  return [...types].sort();
}

async function answersOf(path: string, options: LoadOptions) {
  const answers: (Float32Array | number[])[] = [];
  for (const chunkTokens of CHUNKS) {
    await withModel(path, { ...options, chunkTokens }, async (model) => {
      answers.push(await allLogits(model, IDS), await greedyIds(model, IDS, 8));
    });
  }
  return answers;
}

for (const [index, type] of [...CODEBOOK_TYPES, "TQ1_0"].entries()) {
  const threads = 1 + index % 3;
  Deno.test(`a model in ${type} has the same logits written out, ${threads} threads`, () =>
    withTinyFile(tinyOf(type), async (path) => {
      assertEquals(keptTypes(plansOf(path, { threads, writeOut: "on" })), [`${type}_W`]);
      assertEquals(keptTypes(plansOf(path, { threads, writeOut: "off" })), [type]);
      assertEquals(
        await answersOf(path, { threads, writeOut: "on" }),
        await answersOf(path, { threads, writeOut: "off" }),
      );
    }));
}

Deno.test("experts that are written out have the same logits, beside other types", () => {
  const typeOf = (name: string) => /_(gate|up)_exps/.test(name) ? "IQ2_XS" as const : undefined;
  const tiny = tinyOf("Q4_0", { architecture: "qwen3moe", typeOf });
  return withTinyFile(tiny, async (path) => {
    const kept = keptTypes(plansOf(path, { threads: 2, writeOut: "on" }));
    assertEquals([kept.includes("IQ2_XS_W"), kept.includes("IQ2_XS")], [true, false]);
    assertEquals(
      await answersOf(path, { threads: 2, writeOut: "on" }),
      await answersOf(path, { threads: 2, writeOut: "off" }),
    );
  });
});

Deno.test("rows are written out where the memory that is given has room for them", () =>
  withTinyFile(tinyOf("IQ1_S"), async (path) => {
    const bytesOf = (options: LoadOptions) => bytesInMemory(plansOf(path, options));
    const [small, large] = (["off", "on"] as const)
      .map((writeOut) => bytesOf({ threads: 2, writeOut }));
    assertGreater(large, small);
    const within = (memoryBytes: number) =>
      keptTypes(plansOf(path, { threads: 2, memoryBytes })).join();
    assertEquals(within(large), "IQ1_S_W");
    assertEquals(within(large - 1), "IQ1_S");
    assertEquals(within(small), "IQ1_S");
    // So does who only asks.
    const file = openGguf(path);
    const whole = (budgetBytes: number, more: LoadOptions = {}) =>
      planWhole({ file, packed: null, model: describeModel(file) }, MODULE, {
        ...{ threads: 2, budgetBytes, profile: DEFAULT_PROFILE, stats: null },
        ...more,
      }).totalBytes;
    assertEquals([whole(large), whole(large - 1)], [large, small]);
    assertEquals(whole(large, { writeOut: "off" }), small);
    assertEquals(whole(small, { writeOut: "on" }), large);
    const beside = { threads: 2, memoryBytes: large, besideBytes: 1 };
    assertEquals(keptTypes(plansOf(path, beside)).join(), "IQ1_S");
    // Who wants it all the same is told what that takes.
    await assertRejects(
      () => loadModel(path, { threads: 2, memoryBytes: small, writeOut: "on" }),
      UnsupportedModelError,
      "Cannot run this model in",
    );
  }));

Deno.test({
  name: "rows are not written out where nobody may ask how much memory is free",
  permissions: { sys: false, read: true, write: true, env: true },
  fn: () =>
    withTinyFile(tinyOf("IQ2_S"), (path) => {
      assertEquals(keptTypes(plansOf(path, { threads: 1 })), ["IQ2_S"]);
      return Promise.resolve();
    }),
});

Deno.test("rows of other types are kept as they are, whatever is asked", () =>
  withTinyFile(tinyOf("Q4_K"), (path) => {
    assertEquals(keptTypes(plansOf(path, { threads: 2, writeOut: "on" })), ["Q4_K"]);
    return Promise.resolve();
  }));

Deno.test("matrices that lie by columns, or transposed, keep the file's blocks", () =>
  withTinyFile(tinyOf("IQ3_S"), (path) => {
    const file = openGguf(path);
    const layouts = new MatrixLayouts(describeModel(file), file.tensors, {
      ...{ skips: true, hushes: false, writesOut: true },
    });
    const kept = (["rows", "columns", "neurons"] as const)
      .map((layout) => layouts.keptType("blk.0.ffn_up.weight", {}, layout));
    assertEquals(kept, ["IQ3_S_W", "IQ3_S", "IQ3_S"]);
    return Promise.resolve();
  }));
