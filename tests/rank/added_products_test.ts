/** What adapters add to products: which rows, where intermediates lie, and what is placed. */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { attachAdapters, openAdapter } from "../../src/adapter/mod.ts";
import { Leader } from "../../src/engine/leader.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { SEGMENT_ROWS, SEGMENT_SLOT, SEGMENT_WORDS } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { gpuObstacle } from "../../src/rank/gpu/obstacle.ts";
import { AdaptedRows } from "../../src/rank/step/adapted_rows.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { Liveness } from "../../src/shapes/mod.ts";
import { answerNow } from "../support/answer_now.ts";
import { graphOf, openRunner } from "../support/poisoned_rank.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const SOME = /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(up|gate|down))\.weight$/;
const FORMS: readonly TinyModelOptions[] = [
  { architecture: "llama", type: "Q8_0" },
  { architecture: "falcon", type: "F16" },
];

/** What products with adapters read, or add to. */
const BESIDE_PRODUCTS = [
  ...["normed", "query", "key", "value", "attention", "gate", "up", "hidden"],
  ...["partial.0", "partial.1"],
];

for (const form of FORMS) {
  const name = `${form.architecture} with adapters answers alike where dead intermediates are NaN`;
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const [path, lora] = [`${folder}/tiny.gguf`, `${folder}/lora.gguf`];
      const bytes = tinyModel({ seed: 3, ...form });
      await Deno.writeFile(path, bytes);
      await Deno.writeFile(lora, tinyAdapter(bytes, { targets: SOME, rank: 5 }));
      const plain = openGguf(path);
      const adapter = openAdapter(lora);
      const file = attachAdapters(plain, [{ id: "a", adapter }, { id: "b", adapter }]);
      const model = describeModel(plain);
      const answersOf = async (shares: boolean, adapters: readonly number[]) => {
        const options = { rankCount: 2, sharesWorkspace: shares };
        const { runner } = await openRunner({ file, model }, options, { poisons: shares });
        const leader = new Leader(runner);
        const request = { ids: TINY_PROMPT.slice(0, 30), maxTokens: 6, endIds: [], adapters };
        answerNow(leader, { ...request, sampling: { temperature: 0.7, topK: 20, seed: 5 } });
        const answer: unknown[] = [...runner.control.outputIds(0).slice(0, 6)];
        leader.texts.adapters = adapters;
        leader.texts.scoreAll(TINY_PROMPT.slice(0, 41), (rows) => {
          assert(rows.every(Number.isFinite));
          answer.push(rows.join(" "));
        });
        runner.control.publishExit();
        return answer;
      };
      const apart = await answersOf(false, [0.5, -1]);
      assertEquals(await answersOf(true, [0.5, -1]), apart);
      assertNotEquals(await answersOf(true, [0.5, 1]), apart);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("AdaptedRows finds the rows of sequences that have some of an adapter, and how much", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const added = { table: 0, scales: 256, between: 1024, product: 4096 };
  const plan = { workspaces: [{ added }], sequences: 3, chunkTokens: 16 } as unknown as RankPlan;
  const rows = new AdaptedRows(plan, { count: 2, stride: 16 }, [memory]);
  // Slot 0 has half of the first one, 1 has neither, 2 a quarter of the first and all of the other.
  new Float32Array(memory.buffer, 0, 6).set([0.5, 0, 0, 0, 0.25, 1]);
  const segments = new Int32Array(SEGMENT_WORDS * 5);
  [[1, 2], [0, 3], [2, 1], [1, 1], [2, 4]].forEach(([slot, count], index) => {
    segments[index * SEGMENT_WORDS + SEGMENT_SLOT] = slot;
    segments[index * SEGMENT_WORDS + SEGMENT_ROWS] = count;
  });
  const runs = () => rows.runs.map(({ bounds, count }) => [...bounds.subarray(0, 2 * count)]);
  rows.begin({ segments, segmentCount: 5 } as never);
  assertEquals(runs(), [[2, 6, 7, 11], [5, 6, 7, 11]]);
  const scales = new Float32Array(memory.buffer, 256, 32);
  assertEquals([...scales.subarray(2, 6)], [0.5, 0.5, 0.5, 0.25]);
  assertEquals([...scales.subarray(7, 11)], [0.25, 0.25, 0.25, 0.25]);
  assertEquals([...scales.subarray(16 + 5, 16 + 6)], [1]);
  rows.begin({ segments, segmentCount: 1 } as never);
  assertEquals(runs(), [[], []]);
});

Deno.test("planRanks() gives ranks the columns or rows of adapters that they have of matrices", async () => {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  const lora = await Deno.makeTempFile({ suffix: ".gguf" });
  try {
    const bytes = tinyModel();
    await Deno.writeFile(path, bytes);
    await Deno.writeFile(lora, tinyAdapter(bytes, { targets: /blk.0.(attn_q|ffn_down).weight/ }));
    const file = attachAdapters(openGguf(path), [{ id: "a", adapter: openAdapter(lora) }]);
    const model = describeModel(openGguf(path));
    assertEquals(gpuObstacle({ file: openGguf(path), model }, {}), null);
    assertEquals(
      gpuObstacle({ file, model }, {}),
      "adapters that requests choose are the threads'",
    );
    const { plans, runner } = await openRunner(
      { file, model },
      { rankCount: 2 },
      { poisons: false },
    );
    runner.control.publishExit();
    const graph = graphOf(model.config, plans[0]);
    const liveness = new Liveness(graph);
    const tensor = (name: string) => graph.tensors.find((each) => each.name === name)!;
    for (const scratch of ["added.between", "added.product"].map(tensor)) {
      for (const name of BESIDE_PRODUCTS) {
        assert(liveness.liveTogether(scratch, tensor(name)), `${scratch.name} beside ${name}`);
      }
    }
    for (const { layers: [first, second], adapters } of plans) {
      assertEquals(adapters, { count: 1, stride: 16 });
      const block = first.feedForward!;
      assert(block.kind === "dense");
      for (const matrix of [first.query!, block.down]) {
        const [{ first: a, second: b, factor }] = matrix.added!;
        assertEquals(factor, 2);
        assertEquals([lengthOf(a.rows), lengthOf(b.columns)], [4, 4]);
        assertEquals([a.columns, b.rows], [matrix.columns, matrix.rows]);
      }
      assertEquals([first.key!.added, second.query!.added], [undefined, undefined]);
    }
  } finally {
    await Promise.all([path, lora].map((each) => Deno.remove(each)));
  }
});
