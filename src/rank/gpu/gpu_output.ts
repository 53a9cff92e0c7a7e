/** The end of the model on the GPU: logits of the step's last tokens. */
import {
  canMultiplyOne,
  type HalfNorm,
  multiplyOne,
  type Program,
  type ProgramBuilder,
  scaleRows,
} from "../../../gpu/mod.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { addNorm, multiply, type NormReaders } from "./layer_operations.ts";
import type { LayerLeft } from "./gpu_layer.ts";
import type { GpuSpace } from "./gpu_space.ts";
import type { GpuLoader, Stacked } from "./gpu_weights.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";

/** What computes logits, on the GPU. */
export interface GpuOutput {
  readonly norm: GpuNorm;
  readonly matrix: Stacked;
}

/** What of it reads the stream behind the last layer, if half of a norm does for it. */
export function outputReaders({ norm, matrix: { matrix } }: GpuOutput): NormReaders {
  return { norm, matrices: [matrix] };
}

/** Of what the last layer leaves what `addOutput` can take. */
export function halfOf({ apart }: LayerLeft): HalfNorm | null {
  return apart !== null && "rows" in apart ? apart : null;
}

/** What it takes to load and use it. */
export interface OutputPlace {
  readonly plan: RankPlan;
  readonly config: ModelConfig;
  readonly space: GpuSpace;
  readonly loader: GpuLoader;
  readonly makeBuilder: () => ProgramBuilder;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function loadOutput(of: OutputPlace): Promise<GpuOutput> {
  const { plan, loader } = of;
  const norm = await loadNorm(of, plan.outputNorm!);
  return { norm, matrix: await loader.stack([plan.output]) };
}

/** What `addOutput` adds, by itself. */
export async function buildOutput(
  of: OutputPlace,
  output: GpuOutput,
  left: HalfNorm | null,
): Promise<Program> {
  const builder = of.makeBuilder();
  addOutput(builder, of, output, left);
  return await builder.build();
}

/** partial [n, d] = norm(residual), of all tokens of a step: what vectors of texts are made of. */
export async function buildRows(of: OutputPlace, norm: GpuNorm): Promise<Program> {
  const { config, space: { residual, partial } } = of;
  const builder = of.makeBuilder();
  addNorm(builder, config, norm, { from: residual, to: partial });
  return await builder.build();
}

/**
 * logits [m, own rows] = Wout · norm(residual) of the last m tokens.
 * @param left by the last layer, in steps of tokens of a sequence each; null: the stream alone.
 */
export function addOutput(
  builder: ProgramBuilder,
  { plan, config, space }: OutputPlace,
  { norm, matrix }: GpuOutput,
  left: HalfNorm | null,
): void {
  const count = "scored";
  const width = lengthOf(plan.output.rows);
  const takesHalf = left !== null && canMultiplyOne(builder, matrix.matrix);
  if (takesHalf) {
    builder.during({ isApart: true }, () => {
      multiplyOne(builder, { ...matrix, x: left, to: space.logits, count });
    });
  }
  builder.during(takesHalf ? { isApart: false } : {}, () => {
    addNorm(builder, config, norm, { from: space.residual, to: space.normed, count });
    multiply(builder, matrix, { x: space.normed, to: space.logits, count });
  });
  const { logitScale: scale, logitSoftCap: cap } = config;
  if (scale !== 1 || cap > 0) scaleRows(builder, { x: space.logits, width, scale, cap, count });
}
