/** What layers on a GPU keep of tokens, and how long chains may be for it. */
import { assertEquals } from "@std/assert";
import {
  createConvolutionRows,
  createKvCache,
  createStatePlaces,
  type Gpu,
} from "../../gpu/mod.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { configOf } from "../../src/model/layer_config.ts";
import type { ModelConfig } from "../../src/model/types.ts";
import {
  chainTokensOf,
  convolutionShape,
  keptBytes,
  stateShape,
} from "../../src/rank/plan/kept_shapes.ts";
import { planShards } from "../../src/rank/plan/shard.ts";
import { ofLayer } from "../../src/rank/plan/shard.ts";
import { gpuTest } from "../support/gpu.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { tinyModel } from "../support/tiny_model.ts";

function configOfFamily(architecture: TinyFamilyName): ModelConfig {
  return describeModel(parseGguf(tinyModel({ architecture }))).config;
}

Deno.test("chainTokensOf() lets states of a chain's tokens take 256 MiB of all layers", () => {
  assertEquals(chainTokensOf(configOfFamily("llama")), 16);
  const silenced = (...silencedTokens: { start: number; end: number }[]) =>
    chainTokensOf({ ...configOfFamily("chameleon"), silencedTokens });
  assertEquals(silenced({ start: 4, end: 8196 }), 1);
  assertEquals([silenced({ start: 4, end: 68 }), silenced({ start: 4, end: 69 })], [16, 1]);
  assertEquals(silenced({ start: 4, end: 60 }, { start: 70, end: 79 }), 1);
  const config = configOfFamily("mamba2");
  assertEquals(chainTokensOf(config), 16);
  // Of two layers: 12 MiB each of states, and a little of their convolution.
  const stateSpace = { ...config.stateSpace!, innerLength: 3 * 4096, stateLength: 256 };
  assertEquals(chainTokensOf({ ...config, stateSpace }), 10);
  assertEquals(
    chainTokensOf({ ...config, stateSpace: { ...stateSpace, innerLength: 1 << 20 } }),
    1,
  );
});

Deno.test("convolutionShape() has rows for a chain where steps are shorter", () => {
  const shape = { width: 8, taps: 3, sequences: 2, kvBlocks: 5 };
  assertEquals(convolutionShape({ ...shape, chunkTokens: 4 }).tokens, 16);
  assertEquals(convolutionShape({ ...shape, chunkTokens: 64 }).tokens, 64);
});

gpuTest("keptBytes() counts what is made for a layer of each kind", async (gpu: Gpu) => {
  for (const architecture of ["llama", "lfm2", "qwen35", "falcon-h1"] as const) {
    const config = configOfFamily(architecture);
    const of = { contextLength: 100, chunkTokens: 32, sequences: 2 };
    const [whole] = planShards(config, {
      ...of,
      rankCount: 1,
      blocks: { attentionOutput: 1, down: 1 },
    });
    for (const [index, layer] of config.layers.entries()) {
      const own = configOf(config, index);
      const { kvHeads, stateHeads } = ofLayer(whole, layer);
      const counted = keptBytes({ kvHeads, stateHeads }, {
        ...{ ...of, config: own, layer, kvType: "f32", statePlaces: 5 },
      });
      const before = gpu.allocatedBytes;
      const buffers: GPUBuffer[] = [];
      const { convolutionTaps: taps } = layer;
      if (taps !== undefined) {
        const width = kvHeads.end * own.headDim;
        const shape = convolutionShape({ ...of, width, taps, kvBlocks: 2 * 4 });
        const { rings, ends } = await createConvolutionRows(gpu, "layer", shape);
        buffers.push(rings, ends);
      } else if (kvHeads.end > 0) {
        const { headDim } = own;
        const positions = 2 * 4 * 32;
        const shape = { positions, kvHeads: kvHeads.end, headDim, type: "f32" } as const;
        const { keys, values } = await createKvCache(gpu, "layer", shape);
        buffers.push(keys, values);
      }
      if (layer.hasStates) {
        const shape = stateShape(stateHeads, { config: config.stateSpace!, places: 5 });
        buffers.push((await createStatePlaces(gpu, "layer", shape)).buffer);
      }
      assertEquals(gpu.allocatedBytes - before, counted, `${architecture}, layer ${index}`);
      buffers.forEach((buffer) => gpu.destroyBuffer(buffer));
    }
  }
});
