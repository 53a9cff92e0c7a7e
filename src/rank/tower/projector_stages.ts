/**
 * What a projector does to rows before they are merged, or to merged ones before its last matrices,
 * whole on every rank.
 */
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

/** Where stages leave rows. */
export interface StagePlaces {
  /** Addresses of f32 [rows, stride], in turns. */
  readonly at: readonly [number, number];
  /** Of what a stage reads as q8 tiles. */
  readonly q8: number;
  readonly stride: number;
  readonly rows: number;
}

export class ProjectorStages {
  readonly #state: StepState;
  readonly #stages: readonly Stage[];
  readonly #places: StagePlaces;
  /** What products read behind rows has to be 0. */
  readonly #buffers: readonly Float32Array[];

  /** memory: that of the arena behind the last layer. */
  constructor(
    state: StepState,
    { configs, plans, memory, places }: {
      readonly configs: readonly StageConfig[];
      readonly plans: ProjectorPlan["stages"];
      readonly memory: WebAssembly.Memory;
      readonly places: StagePlaces;
    },
  ) {
    this.#state = state;
    this.#places = places;
    const length = configs.length > 0 ? places.rows * places.stride : 0;
    this.#buffers = places.at.map((at) => floats(memory, at, length));
    this.#stages = configs.map((config, i) => ({
      ...config,
      matrix: matrixOf(plans[i].matrix),
      norm: bindNorm(plans[i].norm),
    }));
  }

  /** m rows, each act(norm(matrix · x)) of the one before, as long as nothing is merged again. */
  run(x: Activations, m: number): Activations {
    const { kernels, space } = this.#state;
    const { at, q8, stride } = this.#places;
    let rows = x;
    for (const [i, { matrix, norm, epsilon, activation }] of this.#stages.entries()) {
      const f32 = at[i % 2];
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
