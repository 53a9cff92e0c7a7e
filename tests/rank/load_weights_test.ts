import { assert, assertEquals, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ArenaLoader, loadWeights } from "../../src/rank/load/load_weights.ts";
import type { MatrixPlan } from "../../src/rank/plan/plan_types.ts";
import { lengthOf } from "../../src/rank/plan/shard.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";

Deno.test("loadWeights() refuses rows that are larger than staging, and brings vectors in pieces", async () => {
  const module = await loadKernelModule();
  const bytes = tinyModel({ type: "F16" });
  const file = parseGguf(bytes);
  const [plan] = planModel({ file, model: describeModel(file) }, module, { threads: 1 });
  const memories = plan.arenas.map(createArenaMemory);
  const load = (stagingBytes: number) =>
    loadWeights({
      plan: { ...plan, stagingBytes },
      tensors: file.tensors,
      reader: TensorReader.ofBytes(bytes),
      kernels: memories.map((memory) => instantiateKernels(module, memory)),
      memories,
      onProgress: () => {},
    });
  // A row of 64 halves has 128 bytes, one of 96 has 192, a norm of 64 floats 256.
  assertThrows(() => load(127), UnsupportedModelError, '"token_embd.weight": one row has 128');
  assertThrows(() => load(191), UnsupportedModelError, 'ffn_down.weight": one row has 192');
  const { arena, attentionNorm } = plan.layers[1];
  const { offsetBytes, tensor } = attentionNorm!.weight!;
  const own = new Float32Array(memories[arena].buffer, offsetBytes, 64).fill(NaN);
  load(192);
  const stored = TensorReader.ofBytes(bytes).readAll(file.tensors.get(tensor)!);
  assertEquals(own, new Float32Array(stored.slice().buffer));
});

Deno.test("loadWeights() brings rows that are picked one by one, however they lie", async () => {
  const module = await loadKernelModule();
  const bytes = tinyModel({
    ...{ architecture: "bamboo", type: "Q4_0", feedForwardLength: 2048, predictor: { rank: 32 } },
    typeOf: (name) => name.includes("fc2") ? "Q4_0" : undefined,
  });
  const file = parseGguf(bytes);
  const [plan] = planModel({ file, model: describeModel(file) }, module, { threads: 1 });
  const [{ feedForward }] = plan.layers;
  assert(feedForward?.kind === "dense");
  const { up, predictor } = feedForward;
  assertEquals([up.layout, predictor!.second.layout], ["rows", "columns"]);
  const neurons = lengthOf(up.rows);
  /** All rows as they would lie, in an order that is the file's, in ranges of a few. */
  const load = (matrix: MatrixPlan, ranges: MatrixPlan["picked"], stagingBytes: number) => {
    const memory = createArenaMemory(plan.arenas[0]);
    new ArenaLoader({
      ...{ tensors: file.tensors, reader: TensorReader.ofBytes(bytes), stagingBytes },
      kernels: instantiateKernels(module, memory),
      buffer: memory.buffer,
      stagingOffset: plan.workspaces[0].staging,
      scratchOffset: plan.workspaces[0].normedQ8,
      onProgress: () => {},
    }).matrix({ ...matrix, picked: ranges });
    return new Uint8Array(memory.buffer, matrix.offsetBytes, neurons * matrix.rowStrideBytes);
  };
  const ranges = Array.from({ length: neurons / 4 }, (_, i) => ({ start: 4 * i, end: 4 * i + 4 }));
  for (const matrix of [up, predictor!.second]) {
    const expected = load(matrix, null, plan.stagingBytes);
    for (const stagingBytes of [plan.stagingBytes, 64 * 36]) {
      const found = load(matrix, { axis: "rows", ranges }, stagingBytes);
      assertEquals(found, expected, `${matrix.tensor} by ${stagingBytes}`);
    }
  }
});

Deno.test("loadWeights() reads what lies near in a vector at once, and keeps what was picked", async () => {
  const module = await loadKernelModule();
  const bytes = tinyModel({ type: "F16", feedForwardLength: 2048, architecture: "llama-biased" });
  const file = parseGguf(bytes);
  const [plan] = planModel({ file, model: describeModel(file) }, module, { threads: 1 });
  const tensor = "blk.1.ffn_up.bias";
  const stored = TensorReader.ofBytes(bytes).readAll(file.tensors.get(tensor)!);
  const values = new Float32Array(stored.slice().buffer);
  // Odd ones, some further on, and one that lies before them.
  const picked = [...Array(300).keys()].map((i) => 2 * i + 1 + (i < 200 ? 0 : 800))
    .map((start) => ({ start, end: start + 1 + start % 3 % 2 }));
  picked.push({ start: 4, end: 9 });
  const load = (stagingBytes: number) => {
    let [reads, told] = [0, 0];
    const memory = createArenaMemory(plan.arenas[0]);
    const whole = TensorReader.ofBytes(bytes);
    const read: TensorReader["read"] = (...by) => {
      reads++;
      whole.read(...by);
    };
    const count = picked.reduce((sum, range) => sum + lengthOf(range), 0);
    const { offsetBytes } = plan.layers[0].attentionNorm!.weight!;
    new ArenaLoader({
      ...{ tensors: file.tensors, reader: { read } as TensorReader, stagingBytes },
      kernels: instantiateKernels(module, memory),
      buffer: memory.buffer,
      stagingOffset: plan.workspaces[0].staging,
      scratchOffset: plan.workspaces[0].normedQ8,
      onProgress: (bytes) => told += bytes,
    }).vector({ tensor, range: { start: 0, end: count }, picked, offsetBytes });
    assertEquals(told, 4 * count);
    const expected = picked.flatMap(({ start, end }) => [...values.subarray(start, end)]);
    assertEquals([...new Float32Array(memory.buffer, offsetBytes, count)], expected);
    return reads;
  };
  assertEquals(load(plan.stagingBytes), 3);
  assert(load(512) > 5);
});
