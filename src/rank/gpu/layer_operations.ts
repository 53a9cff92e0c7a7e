/** Operations of a layer as its weights are kept: norms, and products with what lies stacked. */
import {
  activate,
  cutGates,
  fireNeurons,
  type GpuMatrix,
  headNorm,
  isOneToken,
  matmul,
  multiplyOne,
  norm,
  type OneInput,
  type ProgramBuilder,
  type Routes,
  type Rows,
  weighRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { Stacked } from "./gpu_weights.ts";
import type { GpuNorm, NeuronMatrices } from "./layer_weights.ts";

/** A norm, and every matrix that reads it; null: half of it does not do for them. */
export interface NormReaders {
  readonly norm: GpuNorm;
  readonly matrices: readonly GpuMatrix[] | null;
}

/** to = norm(from), or added to it. */
export function addNorm(
  builder: ProgramBuilder,
  { norm: { kind, epsilon }, embeddingLength: width }: ModelConfig,
  { weight, bias }: GpuNorm,
  rows: { from: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  norm(builder, { kind, epsilon, width, weight, bias, ...rows });
}

/** to = W · x + bias. */
export function multiply(
  builder: ProgramBuilder,
  { matrix, bias }: Stacked,
  rows: { x: Rows; to: Rows; accumulate?: boolean; scale?: number; count?: "scored" },
): void {
  matmul(builder, { matrix, bias, ...rows });
}

/** The same, of what lacks the factor of its norm, too. */
export function multiplyAny(
  builder: ProgramBuilder,
  stacked: Stacked,
  { x, to }: { x: OneInput; to: Rows },
): void {
  if ("rows" in x) multiplyOne(builder, { ...stacked, x, to });
  else multiply(builder, stacked, { x, to });
}

/** What neurons read in a step, and where what they make of it goes. */
export interface FireStep {
  readonly config: ModelConfig;
  readonly x: OneInput;
  /** Of tokens of a sequence each. */
  readonly isApart: boolean;
  /** Gates and ups side by side, and what neurons give on. */
  readonly both: Rows;
  readonly hidden: Rows;
  /** Of experts: which of them tokens use. */
  readonly routes?: Routes;
}

/** hidden = what neurons give on of x, in one dispatch where one reads both gates and ups. */
export function fire(
  builder: ProgramBuilder,
  { projections, down: { matrix: down }, ...neuronsOwn }: NeuronMatrices,
  { config, x, isApart, both, hidden, routes }: FireStep,
): void {
  const { limit, curve, innerNorm: weight, scale, gateCutoff } = neuronsOwn;
  const { feedForward, experts, norm: { epsilon } } = config;
  // What experts read counts as much as they do: so do gates and ups, which have no biases then.
  const weighs = routes !== undefined && experts!.weighsInputs === true;
  const { activation, isGated, activatesUp, firingThreshold } = feedForward;
  const act = { activation, isGated, activatesUp, firingThreshold, limit, curve, to: hidden };
  const [{ stacked: first }] = projections;
  // Each layer has a curve of its own, and with it a shader: a small one then.
  const isPlain = curve === null && weight === null && scale === null && gateCutoff === null;
  const isOne = isApart && !weighs && isPlain;
  if (isOne && projections.length === 1 && isOneToken(builder, first.matrix)) {
    return fireNeurons(builder, { ...first, ...act, x, down, routes });
  }
  for (const { stacked, column } of projections) {
    const to = { ...both, column };
    if (routes === undefined) multiplyAny(builder, stacked, { x, to });
    else {
      check("stride" in x, "experts' gates and ups of two types read whole rows");
      matmul(builder, { ...stacked, routes, x, to });
    }
  }
  if (weighs) weighRows(builder, { x: both, width: both.stride, weights: routes });
  const { columns: neurons } = down;
  if (gateCutoff !== null) {
    cutGates(builder, { x: both, width: neurons, deviations: gateCutoff });
  }
  activate(builder, { ...act, x: both, neurons });
  if (scale !== null) weighRows(builder, { x: hidden, width: neurons, weights: scale });
  if (weight === null) return;
  headNorm(builder, { kind: "rms", epsilon, weight, x: hidden, heads: 1, width: neurons });
}
