/**
 * The dispatches of one kind of step (so many tokens, so long a context), in order, and how many
 * workgroups each has. Counts are computed anew only when a step differs from the one before by
 * more than a padded bucket of its context.
 */
import { check } from "../src/base/check.ts";
import { BUCKET_TOKENS, compileExpr, type ExprLike, type ExprProgram } from "../src/shapes/mod.ts";
import { contextOf, type StepValues } from "./step_input.ts";

/** A dispatch that is ready: what WebGPU needs, and its grid. */
export interface ReadyDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  /** Of N tokens, of which there are n or m, and S = P + N positions. */
  readonly workgroups: readonly [ExprLike, ExprLike, ExprLike];
  /** What N is: all new tokens, or those that are scored. */
  readonly count: "tokens" | "scored";
  /** Commands may be cut here: this one ends a unit. */
  readonly endsUnit: boolean;
}

/** The most workgroups of a grid's dimension, everywhere. */
export const WORKGROUPS_MAX = 65_535;

export class Schedule {
  readonly pipelines: readonly GPUComputePipeline[];
  readonly groups: readonly GPUBindGroup[];
  /** [dispatches, 3]. */
  readonly workgroups: Uint32Array;
  /** Index behind the last dispatch of each unit. */
  readonly unitEnds: readonly number[];
  readonly #programs: readonly { program: ExprProgram; isScored: boolean }[];
  /** Grows when a grid may have changed. */
  version = 0;
  #n = 0;
  #m = 0;
  #context = 0;

  constructor(dispatches: readonly ReadyDispatch[]) {
    this.pipelines = dispatches.map(({ pipeline }) => pipeline);
    this.groups = dispatches.map(({ group }) => group);
    this.workgroups = new Uint32Array(3 * dispatches.length);
    const ends = dispatches.flatMap(({ endsUnit }, index) => endsUnit ? [index + 1] : []);
    const isOpen = ends.at(-1) !== dispatches.length && dispatches.length > 0;
    this.unitEnds = isOpen ? [...ends, dispatches.length] : ends;
    this.#programs = dispatches.flatMap(({ workgroups, count }) =>
      workgroups.map((expr) => ({ program: compileExpr(expr), isScored: count === "scored" }))
    );
  }

  /** Takes over a step's sizes. */
  update(step: StepValues): void {
    const { n, m } = step;
    const context = Math.ceil(contextOf(step) / BUCKET_TOKENS) * BUCKET_TOKENS;
    if (n === this.#n && m === this.#m && context === this.#context) return;
    this.version++;
    this.#n = n;
    this.#m = m;
    this.#context = context;
    for (let i = 0; i < this.#programs.length; i++) {
      const { program, isScored } = this.#programs[i];
      const tokens = isScored ? m : n;
      const count = program.evaluate(tokens, context - tokens, 1);
      check(count <= WORKGROUPS_MAX, `a grid of ${count} workgroups`);
      this.workgroups[i] = count;
    }
  }
}
