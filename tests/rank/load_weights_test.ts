import { assertEquals, assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { loadWeights } from "../../src/rank/load/load_weights.ts";
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
