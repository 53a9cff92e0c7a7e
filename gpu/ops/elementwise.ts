/** Operations that make each value from values at the same place. */
import { check } from "../../src/base/check.ts";
import type { Activation, SwigluLimit, XieluCurve } from "../../src/model/mod.ts";
import { N } from "../../src/shapes/mod.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import type { Routes } from "../routes.ts";
import { bindRows, checkRows, countRows, placeOf, type Rows } from "../rows.ts";

/** What shaders are told of activations. */
const ACTIVATIONS: Readonly<Record<Exclude<Activation, "geluErf">, number>> = {
  silu: 0,
  gelu: 1,
  relu: 2,
  relu2: 3,
  swiglu7: 4,
  xielu: 5,
  quickGelu: 6,
};

/** Invocations of a workgroup. */
const LANES = 64;

/** What neurons give on, by their gates and ups. */
export interface ActivationArgs {
  readonly activation: Activation;
  readonly isGated: boolean;
  /** Ups pass through the activation, too. */
  readonly activatesUp?: boolean;
  /** Gates (ups where there are none) below it count as 0; 0 or left out: none. */
  readonly firingThreshold?: number;
  /** Of gated neurons: act(gate) at most, ups within ± that; null or left out: none. */
  readonly limit?: SwigluLimit | null;
  /** Of xielu; null or left out: it is another one. */
  readonly curve?: XieluCurve | null;
}

/** What shaders are told of them. */
export function activationConstants(args: ActivationArgs): Constants {
  const { activation, isGated, activatesUp = false, firingThreshold = 0, limit, curve } = args;
  check((activation === "xielu") === !!curve, "xielu has a curve");
  check(activation !== "geluErf", "gelu by the error function is the threads'");
  check(isGated || activation !== "swiglu7" && !limit, "neurons without gates");
  return {
    ACTIVATION: ACTIVATIONS[activation],
    IS_GATED: isGated,
    ACTIVATES_UP: activatesUp,
    THRESHOLD: firingThreshold,
    ...limit ? { GATE_MOST: limit.gate, UP_MOST: limit.up } : {},
    ...curve ? curveConstants(curve) : {},
  };
}

function curveConstants({ negative, positive, linear, least }: XieluCurve): Constants {
  return {
    CURVE_NEGATIVE: negative,
    CURVE_POSITIVE: positive,
    CURVE_LINEAR: linear,
    CURVE_LEAST: least,
  };
}

export interface ActivateArgs extends ActivationArgs {
  /** Gates, then ups, `neurons` columns each; without gates: ups. */
  readonly x: Rows;
  /** [tokens, neurons]. */
  readonly to: Rows;
  readonly neurons: number;
  /** "scored": of the first rows. Left out: "tokens". */
  readonly count?: "tokens" | "scored";
}

/** to = act(gate) · up, or act(up) without gates. */
export function activate(builder: ProgramBuilder, args: ActivateArgs): void {
  const { x, to, neurons, isGated, count = "tokens" } = args;
  checkRows(x, isGated ? 2 * neurons : neurons);
  checkRows(to, neurons);
  check(x.perToken === to.perToken, "each row gives one");
  const start = x.column ?? 0;
  const int8 = builder.holdInt8(to, count, neurons);
  builder.add({
    kernel: "activate",
    count,
    constants: {
      ...activationConstants(args),
      WIDTH: neurons,
      GATE_START: start,
      UP_START: isGated ? start + neurons : start,
      X_STRIDE: x.stride,
      TO_START: (to.column ?? 0) / 4,
      TO_STRIDE: to.stride / 4,
      TO_INT8: int8 !== null,
      LANES,
    },
    bindings: [bindRows(x), bindRows(to), { buffer: int8 ?? builder.gpu.sink }],
    ...int8 ? { keeps: to } : {},
    workgroups: [Math.ceil(neurons / (4 * LANES)), countRows(x), 1],
  });
}

/** to += scale · x, `width` columns; isOne: x is one row, which all of them get. */
export function addRows(
  builder: ProgramBuilder,
  { x, to, width, scale = 1, isOne = false }: {
    x: Rows;
    to: Rows;
    width: number;
    scale?: number;
    isOne?: boolean;
  },
): void {
  checkRows(x, width);
  checkRows(to, width);
  builder.add({
    kernel: "add_rows",
    constants: {
      WIDTH: width,
      SCALE: scale,
      X_START: x.column ?? 0,
      X_STRIDE: isOne ? 0 : x.stride,
      TO_START: to.column ?? 0,
      TO_STRIDE: to.stride,
    },
    bindings: [bindRows(x), bindRows(to)],
    workgroups: [Math.ceil(width / LANES), N, 1],
  });
}

/** x = max(0, x − (mean of its row + so many standard deviations)), `width` columns. */
export function cutGates(
  builder: ProgramBuilder,
  { x, width, deviations }: { x: Rows; width: number; deviations: number },
): void {
  checkRows(x, width);
  check(width > 1, "one gate has no deviation");
  const { start, stride } = placeOf(x);
  builder.add({
    kernel: "cut_gates",
    constants: { WIDTH: width, DEVIATIONS: deviations, X_START: start, X_STRIDE: stride },
    bindings: [bindRows(x)],
    workgroups: [N, 1, 1],
  });
}

export interface ScaleArgs {
  readonly x: Rows;
  readonly width: number;
  /** Left out: 1. */
  readonly scale?: number;
  /** 0 or left out: none. */
  readonly cap?: number;
  /** Values are cut off at ± this; 0 or left out: not. */
  readonly limit?: number;
  readonly count?: "tokens" | "scored";
}

/** x = cap · tanh(scale · x / cap), or scale · x without a cap; cut off at a limit. */
export function scaleRows(builder: ProgramBuilder, args: ScaleArgs): void {
  const { x, width, scale = 1, cap = 0, limit = 0, count = "tokens" } = args;
  checkRows(x, width);
  builder.add({
    kernel: "scale_rows",
    constants: {
      WIDTH: width,
      SCALE: scale,
      CAP: cap,
      LIMIT: limit,
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
    },
    bindings: [bindRows(x)],
    count,
    workgroups: [Math.ceil(width / LANES), N, 1],
  });
}

/** What weights of `weighRows` pass through; the numbers are the shader's. */
const WEIGHT_ACTIVATIONS = { none: 0, sigmoid: 1, softplus: 2, gelu: 3 } as const;

export interface WeighArgs {
  readonly x: Rows;
  readonly width: number;
  /** A buffer: its weights are those of all tokens. Routes: what each counts. */
  readonly weights: Rows | GPUBuffer | Routes;
  /** Neighbours that share a weight; left out: all of a row. */
  readonly columnsPerWeight?: number;
  /** Left out: "none". */
  readonly activation?: keyof typeof WEIGHT_ACTIVATIONS;
}

/** x[t, i] *= act(weights[t, ⌊i / columnsPerWeight⌋]), of every row that a token has. */
export function weighRows(builder: ProgramBuilder, args: WeighArgs): void {
  const { x, width, weights, columnsPerWeight = width, activation = "none" } = args;
  checkRows(x, width);
  const from = weightsFrom(weights, Math.ceil(width / columnsPerWeight));
  builder.add({
    kernel: "weigh_rows",
    constants: {
      WIDTH: width,
      SHARED: columnsPerWeight,
      ACTIVATION: WEIGHT_ACTIVATIONS[activation],
      WEIGHTS_START: from.start,
      WEIGHTS_STRIDE: from.stride,
      X_START: x.column ?? 0,
      X_STRIDE: x.stride,
    },
    bindings: [from.binding, bindRows(x)],
    workgroups: [Math.ceil(width / LANES), countRows(x), 1],
  });
}

/** Where a row's weights are, of which it has so many. */
function weightsFrom(weights: WeighArgs["weights"], count: number) {
  if ("stride" in weights) {
    checkRows(weights, count);
    return { ...placeOf(weights), binding: bindRows(weights) };
  }
  // Behind each expert's number.
  if ("experts" in weights) return { start: 1, stride: 2, binding: { buffer: weights.buffer } };
  return { start: 0, stride: 0, binding: { buffer: weights } };
}
