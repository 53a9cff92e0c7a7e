/**
 * A layer's states on the GPU, from what the layer reads to what they give: what it makes of its
 * input, a short convolution, a scan over tokens, the gate. Knows plans; not what becomes of what
 * states give.
 */
import {
  createStatePlaces,
  gateStates,
  type GateStatesArgs,
  headNorm,
  matmul,
  type ProgramBuilder,
  type Rows,
  scanDeltas,
  scanStates,
  stateConvolution,
  type StatePlaces,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { StateSpaceConfig } from "../../model/types.ts";
import type { StateSpacePlan } from "../plan/plan_state.ts";
import { lengthOf } from "../plan/shard.ts";
import type { HeadsStep } from "./gpu_heads.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { type GpuLoader, loadProducts, type Product, type Stacked } from "./gpu_weights.ts";
import { stateShape } from "../plan/kept_shapes.ts";
import { multiply, multiplyAny } from "./layer_operations.ts";
import type { LayerLoading } from "./layer_weights.ts";
import { inputMatrices, type StateColumns, stateColumns } from "./state_columns.ts";

export interface StateWeights {
  readonly config: StateSpaceConfig;
  readonly epsilon: number;
  /** What makes the parts of a row of input. */
  readonly projections: readonly Product[];
  readonly columns: StateColumns;
  readonly convolution: GPUBuffer;
  readonly convolutionBias: GPUBuffer | null;
  /** Biases of steps, what goes around the states, if anything does, decays. */
  readonly vectors: GPUBuffer;
  /** Of "channels" and "channelHeads". */
  readonly shared: SharedWeights | null;
  readonly norm: GateStatesArgs["norm"];
  readonly places: StatePlaces;
  readonly output: Stacked;
}

/** What all channels make together: steps, what writes, what reads; norms of these, or null. */
interface SharedWeights {
  readonly matrix: Stacked;
  /** Where each of them begins. */
  readonly rows: readonly number[];
  readonly norms: readonly GPUBuffer[] | null;
  readonly steps: Stacked;
}

/**
 * All heads of a layer, or null: a GPU has no part of them.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
 */
export async function loadStates(input: LayerLoading): Promise<StateWeights | null> {
  const { plan: { stateSpace: plan }, loader, gpu, config: { stateSpace: config, norm } } = input;
  if (plan === null || lengthOf(plan.heads) === 0) return null;
  check(config !== null, "the model has state spaces");
  const { heads, convolutionBias, stepBias, skip, decay } = plan;
  check(lengthOf(heads) === config.headCount, "a GPU has all heads of states or none");
  const shape = stateShape(heads, { config, places: input.statePlaces });
  const around = skip === null ? [] : [skip];
  return {
    ...{ config, epsilon: norm.epsilon },
    projections: await loadProducts(loader, inputMatrices(plan)),
    columns: stateColumns(plan, config),
    convolution: await loader.vector(plan.convolution),
    convolutionBias: convolutionBias && await loader.vector(convolutionBias),
    vectors: await loader.vectors([stepBias, ...around, decay]),
    shared: await loadShared(loader, plan, config),
    norm: await loadNorm(loader, plan, { config, epsilon: norm.epsilon }),
    places: await createStatePlaces(gpu, `blk.${input.index}`, shape),
    output: await loader.stack([plan.output]),
  };
}

async function loadShared(
  loader: GpuLoader,
  { shared }: StateSpacePlan,
  { normalizesInputs, stepRank, stateLength }: StateSpaceConfig,
): Promise<SharedWeights | null> {
  if (shared === null) return null;
  const { norms } = shared;
  const plain = [stepRank, stateLength, stateLength].map((length) => () => loader.ones(length));
  const own = norms &&
    [norms.step, norms.input, norms.output].map((plan) => () => loader.vector(plan));
  const made = own ?? (normalizesInputs ? plain : null);
  return {
    matrix: await loader.stack([shared.matrix]),
    rows: [shared.rows.step, shared.rows.input, shared.rows.output],
    norms: made && await Promise.all(made.map((make) => make())),
    steps: await loader.stack([shared.steps]),
  };
}

async function loadNorm(
  loader: GpuLoader,
  { norm }: StateSpacePlan,
  { config, epsilon }: { config: StateSpaceConfig; epsilon: number },
): Promise<StateWeights["norm"]> {
  if (norm === null) return null;
  const { innerLength, headCount, groupCount, kind } = config;
  const weight = await loader.vector(norm);
  return kind === "deltas"
    ? { place: "beforeGate", weight, width: innerLength / headCount, epsilon }
    : { place: "behindGate", weight, width: innerLength / groupCount, epsilon };
}

/** space.scanned = what own heads give. */
export function addStates(
  builder: ProgramBuilder,
  weights: StateWeights,
  space: GpuSpace,
  { x }: HeadsStep,
): void {
  const { config, epsilon, columns, places, norm } = weights;
  const { kind, innerLength: channels, groupCount: groups } = config;
  const { stateInput, convolved, scanned } = space;
  for (const { stacked, column } of weights.projections) {
    multiplyAny(builder, stacked, { x, to: { ...stateInput, column } });
  }
  stateConvolution(builder, {
    x: { ...stateInput, column: columns.convolved },
    to: convolved,
    weights: weights.convolution,
    bias: weights.convolutionBias,
    places,
    queries: kind === "deltas" ? { groups, epsilon } : null,
  });
  if (kind === "deltas") correct(builder, weights, space);
  else scan(builder, weights, space);
  gateStates(builder, {
    x: scanned,
    ...{ channels, norm, gates: { ...stateInput, column: columns.gate } },
  });
}

/** States that are corrected. */
function correct(
  builder: ProgramBuilder,
  { config, columns, vectors, places }: StateWeights,
  { stateInput, convolved, scanned }: GpuSpace,
): void {
  const { headsTakeTurns: inTurns, groupCount: groups } = config;
  scanDeltas(builder, {
    ...{ x: convolved, to: scanned, vectors, places, groups, inTurns },
    headDim: config.innerLength / config.headCount,
    rates: { ...stateInput, column: columns.rates },
    steps: { ...stateInput, column: columns.steps },
  });
}

/** States that are added to. */
function scan(builder: ProgramBuilder, weights: StateWeights, space: GpuSpace): void {
  const { config, vectors, places } = weights;
  const { kind, innerLength: channels, headCount, groupCount: groups, stateLength } = config;
  const { stateInput, convolved, scanned } = space;
  const of = weights.shared === null
    ? {
      writes: { ...convolved, column: channels },
      reads: { ...convolved, column: channels + groups * stateLength },
      steps: { ...stateInput, column: weights.columns.steps },
    }
    : share(builder, weights, weights.shared, space);
  scanStates(builder, {
    ...{ x: convolved, to: scanned, vectors, places, groups, ...of },
    headDim: channels / headCount,
    hasDecayOfStates: kind === "channels",
  });
}

/** What all channels make together. */
function share(
  builder: ProgramBuilder,
  { config: { stepRank, stateLength }, epsilon }: StateWeights,
  { matrix, rows, norms, steps }: SharedWeights,
  { convolved, made, steps: to }: GpuSpace,
): { writes: Rows; reads: Rows; steps: Rows } {
  multiply(builder, matrix, { x: convolved, to: made });
  const parts = rows.map((column) => ({ ...made, column }));
  for (const [index, weight] of (norms ?? []).entries()) {
    const width = index === 0 ? stepRank : stateLength;
    headNorm(builder, { kind: "rms", weight, x: parts[index], heads: 1, width, epsilon });
  }
  matmul(builder, { ...steps, x: parts[0], to });
  return { writes: parts[1], reads: parts[2], steps: to };
}
