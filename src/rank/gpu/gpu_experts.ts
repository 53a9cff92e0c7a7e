/**
 * A layer's experts on the GPU: the router, all experts' matrices one below the other, the one that
 * every token uses, and the dispatches that compute with them. Knows plans; not what is before and
 * behind the block.
 */
import {
  chooseExperts,
  combineRoutes,
  createRoutes,
  type Gpu,
  type GpuMatrix,
  type HalfNorm,
  matmul,
  type NextNorm,
  type OneInput,
  type ProgramBuilder,
  type Routes,
  type Rows,
  sortRoutes,
  weighRows,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { DensePlan, ExpertsPlan, MatrixPlan, RankPlan } from "../plan/plan_types.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { type ApartNorms, loadApart } from "./experts_apart.ts";
import { ownExperts } from "./own_experts.ts";
import {
  type GpuLoader,
  loadProducts,
  type Product,
  type Stacked,
  stacksOf,
} from "./gpu_weights.ts";
import {
  type GpuNorm,
  type LayerLoading,
  loadBlockNorm,
  loadNorm,
  type NeuronMatrices,
  projectionsOf,
} from "./layer_weights.ts";
import { fire, multiply, multiplyAny } from "./layer_operations.ts";

export interface ExpertsWeights {
  /** Of what router and experts read. */
  readonly norm: GpuNorm | null;
  /** Null: the rank's thread chooses, and so have bias and scales no use: chosen_routes.ts. */
  readonly router: Stacked | null;
  /** f32 [experts], or null. */
  readonly choiceBias: GPUBuffer | null;
  readonly scales: GPUBuffer | null;
  readonly experts: NeuronMatrices;
  readonly shared: NeuronMatrices | null;
  /** Says how much the shared one counts; null: a number does. */
  readonly sharedGate: Stacked | null;
  /** Null: all of them read the same. */
  readonly apart: ApartNorms | null;
  /** Of the layer's input: router and experts read it; null: what the block reads. */
  readonly inputNorm: GpuNorm | null;
  /** What makes what they read, and of their sum what they add; null: they read what it reads. */
  readonly latent: Readonly<Record<"down" | "up", Stacked>> | null;
}

/** Room for a step's routes, by how many experts of a layer a token uses. */
export type RoutesByUse = ReadonlyMap<number, Routes>;

/**
 * Of the layers whose experts it has.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for them.
 */
export async function openRoutes(
  gpu: Gpu,
  { layers, chunkTokens }: RankPlan,
  { experts }: ModelConfig,
): Promise<RoutesByUse> {
  const routes = new Map<number, Routes>();
  for (const used of layers.flatMap((layer) => ownExperts(layer)?.usedCount ?? [])) {
    if (routes.has(used)) continue;
    const of = { experts: experts!.count, used, maxTokens: chunkTokens };
    routes.set(used, await createRoutes(gpu, of));
  }
  return routes;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for them. */
export async function loadExperts(
  { plan, loader, config }: Pick<LayerLoading, "plan" | "loader" | "config">,
): Promise<ExpertsWeights | null> {
  const mixture = ownExperts(plan);
  if (mixture === null) return null;
  const { router, choiceBias, scales, shared, sharedGate, downBiases } = mixture;
  const experts = await loadAll(loader, mixture.experts.map(asDense));
  const choosesHere = !mixture.choosesInArena;
  return {
    norm: await loadBlockNorm({ plan, loader, config }),
    router: choosesHere ? await loader.stack([router]) : null,
    choiceBias: choosesHere && choiceBias ? await loader.vector(choiceBias) : null,
    scales: choosesHere && scales ? await loader.vector(scales) : null,
    experts: downBiases === null
      ? experts
      : { ...experts, down: { ...experts.down, bias: await loader.vector(downBiases) } },
    shared: shared && await loadShared(loader, asDense(shared)),
    sharedGate: sharedGate && await loader.stack([sharedGate]),
    apart: await loadApart({ loader, config }, mixture.apart),
    inputNorm: mixture.inputNorm && await loadNorm({ loader, config }, mixture.inputNorm),
    latent: mixture.latent && {
      down: await loader.stack([mixture.latent.down]),
      up: await loader.stack([mixture.latent.up]),
    },
  };
}

function asDense(plan: ExpertsPlan["experts"][number]): DensePlan {
  check(plan.kind === "dense", "a GPU streams nothing");
  return plan;
}

/** What experts have nothing of. */
const PLAIN = { curve: null, innerNorm: null, scale: null, gateCutoff: null };

/** All experts' gates and ups, each expert's side by side where they have one type. */
async function loadAll(
  loader: GpuLoader,
  plans: readonly DensePlan[],
): Promise<NeuronMatrices> {
  const { length: experts } = plans;
  const all: MatrixPlan[][] = [];
  let first = 0;
  for (const { length } of stacksOf(projectionsOf(plans[0]))) {
    all.push(plans.flatMap((plan) => projectionsOf(plan).slice(first, first + length)));
    first += length;
  }
  const stacks = await loader.stacks([...all, plans.map(({ down }) => down)], { experts });
  const projections: Product[] = [];
  let column = 0;
  for (const stacked of stacks.slice(0, -1)) {
    projections.push({ stacked, column });
    column += stacked.matrix.rows / experts;
  }
  const [down] = stacks.slice(-1);
  return { projections, down, limit: plans[0].limit, ...PLAIN };
}

async function loadShared(loader: GpuLoader, plan: DensePlan): Promise<NeuronMatrices> {
  const down = await loader.stack([plan.down]);
  const projections = await loadProducts(loader, projectionsOf(plan));
  return { projections, down, limit: plan.limit, ...PLAIN };
}

/**
 * All matrices that read what the block reads, where half of a norm might do for them; null: gates
 * and ups that have different types, or are weighed, read whole rows (`fire`), and so does who is
 * normalised apart.
 */
export function readersOf(
  { router, experts, shared, sharedGate, apart, inputNorm, latent }: ExpertsWeights,
  config: ModelConfig,
): GpuMatrix[] | null {
  if (router === null || apart !== null || inputNorm !== null) return null;
  if (config.experts!.weighsInputs) return null;
  const blocks = [...latent === null ? [experts] : [], ...shared === null ? [] : [shared]];
  if (blocks.some(({ projections }) => projections.length > 1)) return null;
  const projections = blocks.map(({ projections: [{ stacked }] }) => stacked.matrix);
  if (latent !== null) projections.push(latent.down.matrix);
  return [router.matrix, ...projections, ...sharedGate === null ? [] : [sharedGate.matrix]];
}

/** Where what the block gives goes. */
export interface ExpertsTarget {
  readonly to: Rows;
  /** Added to what is there. */
  readonly accumulate: boolean;
  readonly scale: number;
  /** A norm of it that follows in steps of tokens of a sequence each; null: not known. */
  readonly next: NextNorm | null;
}

/** What dispatches of a layer's experts have in common. */
export interface ExpertsPlace {
  readonly config: ModelConfig;
  readonly space: GpuSpace;
  readonly routes: Routes;
}

/** Lets tokens choose their experts, by what the router makes of x; or sorts what was chosen. */
export function addChoice(
  builder: ProgramBuilder,
  { router, choiceBias, scales }: ExpertsWeights,
  { config, space, routes }: ExpertsPlace,
  x: OneInput,
): void {
  if (router === null) return sortRoutes(builder, routes);
  multiplyAny(builder, router, { x, to: space.router });
  const logits = space.router;
  chooseExperts(builder, { logits, config: config.experts!, choiceBias, scales, routes });
}

/** What a step's block of experts reads, and where it leaves what. */
interface ExpertsStep {
  readonly x: OneInput;
  readonly target: ExpertsTarget;
  /** Of tokens of a sequence each. */
  readonly isApart: boolean;
}

/**
 * What the shared expert, and then the chosen ones, make of x.
 * @returns half of the next norm, where that is made, too.
 */
export function addExperts(
  builder: ProgramBuilder,
  weights: ExpertsWeights,
  place: ExpertsPlace,
  step: ExpertsStep,
): HalfNorm | null {
  const { config, space, routes } = place;
  const { experts, shared, latent } = weights;
  const { down: { matrix, bias } } = experts;
  const neurons = matrix.columns;
  if (shared !== null) addShared(builder, shared, weights, place, step);
  if (latent !== null) multiplyAny(builder, latent.down, { x: step.x, to: space.expertLatents });
  const x = latent === null ? step.x : space.expertLatents;
  const hidden = byRoute(space.hidden, routes.used, neurons);
  const projected = config.feedForward.isGated ? 2 * neurons : neurons;
  const both = byRoute(space.neurons, routes.used, projected);
  fire(builder, experts, { ...step, x, config, both, hidden, routes });
  const width = config.experts!.latentLength ?? config.embeddingLength;
  const given = byRoute(space.given, routes.used, width);
  matmul(builder, { matrix, bias, routes, x: hidden, to: given });
  const { target } = step;
  const accumulate = target.accumulate || shared !== null;
  const combined = { routes, x: given, width, isWeighed: config.experts!.weighsInputs };
  if (latent === null) return combineRoutes(builder, { ...combined, ...target, accumulate });
  const sum = { to: space.expertLatents, accumulate: false, scale: 1, next: null };
  combineRoutes(builder, { ...combined, ...sum });
  const { to, scale } = target;
  multiply(builder, latent.up, { x: space.expertLatents, to, accumulate, scale });
  return null;
}

/** What the shared expert makes of x. */
export function addShared(
  builder: ProgramBuilder,
  shared: NeuronMatrices,
  { sharedGate }: ExpertsWeights,
  { config, space }: ExpertsPlace,
  step: ExpertsStep,
): void {
  const { x, target } = step;
  const { sharedWeight = 1 } = config.experts!;
  // What is weighed is floats, which activations in 8 bits would not leave.
  const isApart = step.isApart && sharedGate === null;
  fire(builder, shared, { x, isApart, config, both: space.neurons, hidden: space.hidden });
  if (sharedGate !== null) {
    const gate = space.router; // whose logits were used
    multiplyAny(builder, sharedGate, { x, to: gate });
    const width = shared.down.matrix.columns;
    weighRows(builder, { x: space.hidden, width, weights: gate, activation: "sigmoid" });
  }
  const scale = target.scale * (sharedGate === null ? sharedWeight : 1);
  const { to, accumulate } = target;
  multiply(builder, shared.down, { x: space.hidden, to, accumulate, scale });
}

/** The same bytes with a row of so many columns for each route. */
function byRoute(rows: Rows, perToken: number, width: number): Rows {
  return { ...rows, perToken, stride: width };
}
