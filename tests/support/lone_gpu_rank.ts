/** A GPU's rank without an engine around it: what it does in a step can be counted and timed. */
import type { Gpu } from "../../gpu/mod.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { type GpuPart, planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { Control } from "../../src/memory/control.ts";
import { controlWords, STEP_KIND_FORWARD } from "../../src/memory/control_layout.ts";
import { describeModel, ropeFrequencies } from "../../src/model/mod.ts";
import { forward } from "../../src/rank/forward.ts";
import { controlSize } from "../../src/rank/open_rank.ts";
import { GpuRank } from "../../src/rank/gpu/gpu_rank.ts";
import { loadWeights } from "../../src/rank/load_weights.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";

/** Decodes the token at `position`. */
export type DecodeToken = (position: number) => void;

/**
 * @param isAlone else it has half of the neurons, and the joins find everybody there: the other
 * rank never computes.
 */
export async function openLoneRank(
  path: string,
  gpu: Gpu,
  isAlone: boolean,
): Promise<{ layers: number; decode: DecodeToken }> {
  const file = openGguf(path);
  const model = describeModel(file);
  const { config } = model;
  const layers = config.blockCount;
  const module = await loadKernelModule();
  const part: GpuPart = {
    share: { heads: 1, neurons: [isAlone ? 1 : 0.5], hasOutput: true, layers },
    ...{ isAlone, mayBeSoftware: true, isByFrequency: false, priority: "normal" },
  };
  const plans = planModel({ file, model }, module, { threads: 1 }, part);
  const rankIndex = plans.length - 1;
  const plan = plans[rankIndex];
  const memories = plans.map((each) => each.arenas.map(createArenaMemory));
  const size = controlSize(plan);
  const control = new Control(new SharedArrayBuffer(4 * controlWords(size)), {
    ...{ ...size, rankCount: 1, leads: true },
  });
  const step = control.newStep();
  using reader = TensorReader.open({ parts: file.parts });
  const kernels = memories[rankIndex].map((memory) => instantiateKernels(module, memory));
  const { tensors } = file;
  const own = memories[rankIndex];
  const onProgress = () => {};
  loadWeights({ plan, tensors, reader, kernels, memories: own, onProgress });
  const rank = await GpuRank.open({
    ...{ gpu, control, tensors, reader, plans, rankIndex, kernels, memories, config, onProgress },
    ropeFrequencies: config.ropes.map((rope) => ropeFrequencies(rope, null)),
  });
  return {
    layers,
    decode: (position) => {
      control.stepIds()[0] = 5 + position;
      step.segments.set([0, position, 1, 1]);
      rank.begin({ ...step, kind: STEP_KIND_FORWARD, tokenCount: 1, segmentCount: 1 });
      forward(rank);
    },
  };
}
