/** The end of the model on the GPU: logits of the step's last tokens. */
import { type Program, type ProgramBuilder, scaleRows } from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../plan_types.ts";
import { lengthOf } from "../shard.ts";
import { addNorm, multiply } from "./gpu_layer.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { GpuLoader } from "./gpu_weights.ts";
import { loadNorm } from "./layer_weights.ts";

/** logits [m, own rows] = Wout · norm(residual) of the last m tokens. */
export async function buildOutput(of: {
  readonly plan: RankPlan;
  readonly config: ModelConfig;
  readonly space: GpuSpace;
  readonly loader: GpuLoader;
  readonly makeBuilder: () => ProgramBuilder;
}): Promise<Program> {
  const { plan, config, space, loader } = of;
  const count = "scored";
  const outputNorm = await loadNorm(loader, plan.outputNorm);
  const output = await loader.stack([plan.output]);
  const builder = of.makeBuilder();
  const width = lengthOf(plan.output.rows);
  addNorm(builder, config, outputNorm, { from: space.residual, to: space.normed, count });
  multiply(builder, output, { x: space.normed, to: space.logits, count });
  const { logitScale: scale, logitSoftCap: cap } = config;
  if (scale !== 1 || cap > 0) scaleRows(builder, { x: space.logits, width, scale, cap, count });
  return await builder.build();
}
