/**
 * Neurons that a GPU has no room for and computes all the same when a step is long: their weights
 * come layer by layer, while the layer before is computed and while threads attend. Knows where
 * weights come from and when; what is computed is in gpu_layer.ts, uploads are gpu's.
 */
import {
  createWeightStream,
  type Gpu,
  type Program,
  type ProgramBuilder,
  type WeightStream,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { DensePlan, RankPlan } from "../plan/plan_types.ts";
import type { GpuLayer } from "./gpu_layer.ts";
import { type GpuLoader, stackShape } from "./gpu_weights.ts";
import { loadNeurons, stacksOfBlock } from "./layer_weights.ts";

/** A layer's neurons among those that are brought. */
export interface Brought {
  readonly program: Program;
  /** Number in the stream. */
  readonly index: number;
}

export interface BroughtNeurons {
  readonly stream: WeightStream;
  /** Of each layer; null: nothing is brought for it. */
  readonly layers: readonly (Brought | null)[];
}

/**
 * Encodes them into the memory of the process, and makes room for two layers on the GPU.
 * @throws {GpuOutOfMemoryError} when it has none.
 */
export async function openBrought(of: {
  readonly gpu: Gpu;
  readonly plan: RankPlan;
  readonly config: ModelConfig;
  readonly loader: GpuLoader;
  readonly layers: readonly GpuLayer[];
  readonly makeBuilder: () => ProgramBuilder;
}): Promise<BroughtNeurons | null> {
  const { gpu, plan, config, loader } = of;
  const blocks = plan.gpu!.brought;
  const wanted = blocks.filter((block) => block !== null);
  if (wanted.length === 0) return null;
  const stream = await createWeightStream(gpu, wanted.map(shapesOf));
  const layers: (Brought | null)[] = [];
  let index = 0;
  for (const [at, layer] of of.layers.entries()) {
    const block = blocks[at] ?? null;
    if (block === null) {
      layers.push(null);
      continue;
    }
    const home = stream.homeOf(index);
    const parts = [{ block, fromTokens: 1 }];
    const weights = await loadNeurons({ plan: layer.plan, loader, config }, parts, home);
    const builder = of.makeBuilder();
    layer.addBrought(builder, weights!);
    layers.push({ program: await builder.build([longStep(plan)]), index });
    index++;
  }
  return { stream, layers };
}

function shapesOf(block: DensePlan) {
  return stacksOfBlock(block).map(stackShape);
}

/** What is compiled at once: the longest one. */
function longStep({ chunkTokens: n }: RankPlan) {
  return { n, position: 0, m: 1 };
}
