/** What a GPU has room for, by what is read of a model. */
import { assertEquals } from "@std/assert";
import { matrixBytes } from "../../gpu/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { fittingLayers } from "../../src/llm/gpu_memory.ts";
import type { DescribedModel } from "../../src/llm/plan_load.ts";
import { describeModel } from "../../src/model/mod.ts";
import type { LayerTensors } from "../../src/model/types.ts";
import { withTinyFile } from "../support/loaded_model.ts";

/** The least memory into which all layers fit. */
function leastBytes(of: DescribedModel): number {
  let [low, high] = [0, 2 ** 30];
  while (high - low > 1) {
    const gpuMemoryBytes = Math.floor((low + high) / 2);
    if (fittingLayers(of, { gpuMemoryBytes }) === Infinity) high = gpuMemoryBytes;
    else low = gpuMemoryBytes;
  }
  return high;
}

Deno.test("fittingLayers() counts what makes latents for experts, and of their sum", () =>
  withTinyFile({ architecture: "nemotron_h_moe-latent" }, (path) => {
    const file = openGguf(path), model = describeModel(file);
    const without = ({ feedForward, ...layer }: LayerTensors): LayerTensors => ({
      ...layer,
      feedForward: feedForward?.kind === "experts"
        ? { ...feedForward, latent: undefined }
        : feedForward,
    });
    const layers = model.tensors.layers.map(without);
    const bare = { file, model: { ...model, tensors: { ...model.tensors, layers } } };
    // All layers are as large as the largest one, which has experts: down and up of 48 numbers.
    const own = matrixBytes("F32", 48, 64) + matrixBytes("F32", 64, 48);
    assertEquals(leastBytes({ file, model }) - leastBytes(bare), layers.length * own);
    return Promise.resolve();
  }));
