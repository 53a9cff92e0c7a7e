import { assertThrows } from "@std/assert";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { loadWeights } from "../../src/rank/load_weights.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";

Deno.test("loadWeights() refuses rows and vectors that are larger than staging", async () => {
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
  // A row of 64 halves has 128 bytes, a norm of 64 floats 256, a row of 96 halves 192.
  assertThrows(() => load(127), UnsupportedModelError, '"token_embd.weight": one row has 128');
  assertThrows(() => load(255), UnsupportedModelError, '"blk.0.attn_norm.weight": one row has 256');
  load(256);
});
