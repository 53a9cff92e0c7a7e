/**
 * What a plan says of its GPU, and which neurons are brought to it for long steps: of each layer
 * those that it does not have. Reads no weights.
 */
import { check } from "../../base/check.ts";
import { activationOf } from "./plan_activation.ts";
import { dense } from "./plan_neurons.ts";
import type { PlannerInput } from "./plan_options.ts";
import type { DensePlan } from "./plan_types.ts";
import { DevicePlacer } from "./device_placer.ts";
import type { GpuPlan } from "./gpu_plan_types.ts";

/** device: what was placed on the GPU; kvBytes: of what layers keep there. */
export function planGpu(
  input: PlannerInput,
  device: DevicePlacer,
  { kvBytes, isAlone }: Pick<GpuPlan, "kvBytes" | "isAlone">,
): GpuPlan {
  const { options, model: { config: { blockCount } } } = input;
  return {
    isAlone,
    firstLayer: isAlone ? 0 : blockCount - (options.gpu?.layers ?? blockCount),
    weightsBytes: device.weightsBytes,
    kvBytes,
    ...planBrought(input),
  };
}

/** The part of a GPU's plan that is about long steps. */
function planBrought(
  { options, model: { config, tensors }, layerShards, neuronOrders, layouts }: PlannerInput,
): Pick<GpuPlan, "brought" | "largestBroughtBytes" | "broughtBytes"> {
  const placer = new DevicePlacer((tensor) => layouts.typeOf(tensor));
  const brought: (DensePlan | null)[] = [];
  let largestBroughtBytes = 0;
  const { layers = 0 } = options.gpu?.longSteps ?? {};
  check(layers <= config.blockCount, "there are so many layers");
  for (let index = 0; index < layers; index++) {
    const { feedForward } = tensors.layers[index];
    check(feedForward?.kind === "dense", "experts are not brought");
    const { neurons: hot, steppedNeurons } = layerShards[index];
    // It computes all that it has in long steps, wherever threads have it in shorter ones.
    const start = steppedNeurons.at(-1)?.neurons.end ?? hot.end;
    const neurons = { start, end: config.feedForwardLength };
    const before = placer.weightsBytes;
    const { curve, limits } = config.layers[index];
    brought.push(
      neurons.start === neurons.end ? null : {
        ...dense(placer, feedForward, {
          ...{ neurons, neuronsOnGpu: 0, order: neuronOrders[index] },
          ...{ adds: false, isSilent: layouts.isSilent },
        }),
        ...activationOf(placer, { layer: index, expert: null, curve, limits }),
      },
    );
    largestBroughtBytes = Math.max(largestBroughtBytes, placer.weightsBytes - before);
  }
  return { brought, largestBroughtBytes, broughtBytes: placer.weightsBytes };
}
