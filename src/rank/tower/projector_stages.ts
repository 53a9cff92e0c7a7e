/** What a projector does to merged rows before its last matrices, whole on every rank. */
import type { StageConfig } from "../../model/vision_types.ts";
import { floats } from "../bound/arena_views.ts";
import { bindNorm, type Norm, normalizeRows } from "../bound/bound_norm.ts";
import {
  type Activations,
  type Matrix,
  matrixOf,
  project,
  quantize,
  readsQ8,
} from "../bound/matrix.ts";
import { aloneKernel } from "../neurons/neurons.ts";
import type { ProjectorPlan } from "../plan/plan_projector.ts";
import type { StepState } from "../step/step_state.ts";

interface Stage extends StageConfig {
  readonly matrix: Matrix;
  readonly norm: Norm | null;
}

export class ProjectorStages {
  readonly #state: StepState;
  readonly #stages: readonly Stage[];
  readonly #stride: number;
  /** [logitsRows, mergedStride]; what products read behind rows has to be 0. */
  readonly #buffers: readonly Float32Array[];

  /** memory: that of the arena behind the last layer. */
  constructor(
    state: StepState,
    { configs, plan, memory }: {
      readonly configs: readonly StageConfig[];
      readonly plan: ProjectorPlan;
      readonly memory: WebAssembly.Memory;
    },
  ) {
    const { plan: { outputArena, workspaces, logitsRows } } = state;
    const { merged, staged } = workspaces[outputArena].projector!;
    this.#state = state;
    this.#stride = plan.mergedStride;
    const length = configs.length > 0 ? logitsRows * plan.mergedStride : 0;
    this.#buffers = [staged, merged].map((at) => floats(memory, at, length));
    this.#stages = configs.map((config, i) => ({
      ...config,
      matrix: matrixOf(plan.stages[i].matrix),
      norm: bindNorm(plan.stages[i].norm),
    }));
  }

  /** m rows, each act(norm(matrix · x)) of the one before, as long as nothing is merged again. */
  run(x: Activations, m: number): Activations {
    const { kernels, space } = this.#state;
    const { merged, mergedQ8: q8, staged } = space.projector!;
    const stride = this.#stride;
    let rows = x;
    for (const [i, { matrix, norm, epsilon, activation }] of this.#stages.entries()) {
      const f32 = i % 2 === 0 ? staged : merged;
      const { rowCount: d } = matrix;
      if (readsQ8(matrix)) quantize(kernels, rows, m, matrix.columnCount);
      this.#buffers[i % 2].fill(0, 0, m * stride);
      project(kernels, matrix, rows, m, f32, stride);
      if (norm !== null) {
        normalizeRows(kernels, "layer", norm, space.ones, f32, stride, f32, stride, m, d, epsilon!);
      }
      if (activation !== null) {
        aloneKernel(kernels, activation)(f32, stride, f32, stride, m, d);
      }
      rows = { f32, stride, q8 };
    }
    return rows;
  }
}
