/** A rank that has all of a small model on a GPU, and can compute several tokens a wait. */
import { assert } from "@std/assert";
import { describeGpu } from "../../gpu/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { type GpuPart, planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { controlWords } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { RankRunner } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { notDeep } from "./deep.ts";
import { missingGpu } from "./gpu.ts";
import { tunedAsReal } from "./tuning.ts";

/** @param path of a model. */
export async function openChainRunner(path: string): Promise<RankRunner> {
  const file = openGguf(path);
  const model = describeModel(file);
  const module = await loadKernelModule();
  const part: GpuPart = {
    share: { heads: 1, neurons: [1], hasOutput: true, layers: model.config.blockCount },
    ...{ isAlone: true, mayBeSoftware: true, isByFrequency: false, priority: "normal" },
  };
  const plans = planModel(
    { file, model },
    module,
    { threads: 1, parallel: 2, chunkTokens: 32 },
    part,
  );
  const { adapter } = await describeGpu();
  const runner = await RankRunner.openOnGpu({
    ...{ rankIndex: 0, plans, config: model.config, module },
    ...{ tensors: file.tensors, parts: file.parts, observation: null, streams: null },
    memories: [plans[0].arenas.map(createArenaMemory)],
    controlBuffer: new SharedArrayBuffer(4 * controlWords(controlSize(plans[0]))),
    gpu: {
      ...{ mayBeSoftware: true, priority: "normal", memoryBytes: null, lossAtStep: null },
      waitMs: 1,
      tuning: adapter ? tunedAsReal(adapter) : null,
    },
  }, () => {});
  assert(runner.chain !== null);
  return runner;
}

/**
 * A test of such ranks.
 * @param sliceMs what every slice takes, whatever else the machine does.
 */
export function chainTest(
  name: string,
  fn: () => Promise<void>,
  { sliceMs = 0.1, deep }: { sliceMs?: number; deep?: string } = {},
): void {
  const missing = missingGpu ?? notDeep(deep);
  // Devices go with the process: tests/support/gpu.ts says why.
  Deno.test({
    name: missing === null ? name : `${name} [skipped: ${missing}]`,
    ignore: missing !== null,
    ...{ sanitizeResources: false, sanitizeOps: false },
    fn: async () => {
      const { now } = performance;
      let ms = 0;
      performance.now = () => ms += sliceMs;
      await fn().finally(() => performance.now = now);
    },
  });
}
