/** Mixtures of experts: who uses which, and what they give together. */
import { check, divCeil } from "../../src/base/check.ts";
import type { ExpertsConfig } from "../../src/model/mod.ts";
import { N } from "../../src/shapes/mod.ts";
import { EXPERTS_MAX, USED_EXPERTS_MAX } from "../limits.ts";
import type { ProgramBuilder } from "../program.ts";
import type { Routes } from "../routes.ts";
import { bindRows, checkRows, type Rows } from "../rows.ts";
import { MANY_TOKENS } from "./matmul.ts";
import { beginHalfNorm, type HalfNorm, type NextNorm } from "./one_token.ts";

/** Numbers of the shader. */
const GATINGS: Readonly<Partial<Record<ExpertsConfig["gating"], number>>> = {
  softmax: 0,
  sigmoid: 1,
  softmaxOfChosen: 2,
};

/** Values of a workgroup. */
const LANES = 64;

export interface ChooseExpertsArgs {
  /** What the router gives, [tokens, experts]. */
  readonly logits: Rows;
  readonly config: ExpertsConfig;
  /** f32 [experts], added for the choice only; null: none. */
  readonly choiceBias: GPUBuffer | null;
  /** f32 [experts], multiply what each counts; null: none. */
  readonly scales: GPUBuffer | null;
  readonly routes: Routes;
}

/** Fills the routes of a step's tokens, and sorts them. */
export function chooseExperts(builder: ProgramBuilder, args: ChooseExpertsArgs): void {
  const { logits, config, choiceBias, scales, routes } = args;
  const { experts, used, buffer } = routes;
  checkRows(logits, experts);
  check(experts === config.count && used === config.usedCount, "routes are made for the mixture");
  const { nothing } = builder.gpu;
  builder.add({
    kernel: "choose_experts",
    constants: {
      ...{ EXPERTS: experts, ROOM: divCeil(experts, 4), USED: used },
      GATING: GATINGS[config.gating]!,
      NORMALIZES: config.normalizesWeights,
      WEIGHT_SCALE: config.weightScale,
      HAS_BIAS: choiceBias !== null,
      HAS_SCALES: scales !== null,
      GROUPS: config.groups?.count ?? 0,
      GROUPS_ROOM: config.groups?.count ?? 1,
      USED_GROUPS: config.groups?.usedCount ?? 0,
      X_START: logits.column ?? 0,
      X_STRIDE: logits.stride,
    },
    bindings: [
      bindRows(logits),
      { buffer: choiceBias ?? nothing },
      { buffer: scales ?? nothing },
      { buffer },
    ],
    workgroups: [N, 1, 1],
  });
  sortRoutes(builder, routes);
}

/** Sorts the routes of many tokens by expert, once they are chosen. */
export function sortRoutes(builder: ProgramBuilder, routes: Routes): void {
  const { experts, used, order, tiles, buffer } = routes;
  check(experts <= EXPERTS_MAX && used <= USED_EXPERTS_MAX, "whoever builds has asked how many");
  builder.add({
    kernel: "sort_routes",
    constants: {
      ...{ USED: used, EXPERTS: experts },
      ...{ ORDER: order, TILES: tiles[32], WIDE_TILES: tiles[128] },
    },
    bindings: [builder.input.header, { buffer }],
    workgroups: [1, 1, 1],
    when: { tokens: [MANY_TOKENS, Infinity], isApart: false },
  });
}

export interface CombineArgs {
  readonly routes: Routes;
  /** A row for each route. */
  readonly x: Rows;
  /** [tokens, width]. */
  readonly to: Rows;
  readonly width: number;
  /** Added to what `to` holds. */
  readonly accumulate: boolean;
  /** x has each expert's weight already; left out: it does not. */
  readonly isWeighed?: boolean;
  readonly scale: number;
  /** A norm of `to` that follows, half of which can be made in the same turn; null: none. */
  readonly next: NextNorm | null;
}

/**
 * to (+)= scale · what a token's experts give, as much as each counts.
 * @returns the half of the next norm, in steps of tokens of a sequence each; null: it cannot be.
 */
export function combineRoutes(builder: ProgramBuilder, args: CombineArgs): HalfNorm | null {
  const { routes: { buffer, used }, x, to, width, accumulate, isWeighed = false, scale, next } =
    args;
  checkRows(x, width);
  checkRows(to, width);
  check(used === 1 || x.perToken === used, "a row for each route");
  const left = next && beginHalfNorm(builder, { ...next, width }, null);
  const { nothing, sink } = builder.gpu;
  builder.add({
    kernel: "combine_routes",
    constants: {
      ...{ WIDTH: width, USED: used, SCALE: scale, ACCUMULATE: accumulate },
      ...{ X_START: x.column ?? 0, X_STRIDE: x.stride },
      ...{ TO_START: to.column ?? 0, TO_STRIDE: to.stride },
      WEIGHED: isWeighed,
      ...left ? { HAS_NEXT: true, ...left.constants } : {},
    },
    bindings: [
      ...[{ buffer }, bindRows(x), bindRows(to)],
      { buffer: next?.weight ?? nothing },
      left?.isFloat ? bindRows(left.half.rows) : { buffer: sink, offset: 0, size: 256 },
      { buffer: left?.half.int8 ?? sink, ...left?.half.int8 ? {} : { offset: 256, size: 256 } },
    ],
    workgroups: [Math.ceil(width / LANES), N, 1],
  });
  return left?.half ?? null;
}
