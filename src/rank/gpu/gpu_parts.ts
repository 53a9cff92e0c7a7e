/**
 * What a rank on a GPU is made of: room for a step, lists of commands, what reads back. Decides
 * what there is; nothing of when it runs.
 */
import {
  createInt8Rows,
  createReadBack,
  createStepInput,
  type Program,
  ProgramBuilder,
  type ReadBack,
  type StepInput,
} from "../../../gpu/mod.ts";
import type { RankPlan } from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";
import { type BroughtNeurons, openBrought } from "./brought_neurons.ts";
import { loadStreamEnds } from "./gpu_alt_up.ts";
import { openRoutes, type RoutesByUse } from "./gpu_experts.ts";
import { createGivenParts, type SentRows, sentWithSteps } from "./gpu_given.ts";
import { loadTokenInputs } from "./gpu_inputs.ts";
import { loadKeptStart } from "./gpu_kept.ts";
import { buildOutput, buildRows, halfOf, loadOutput, outputReaders } from "./gpu_output.ts";
import type { GpuRankInput } from "./gpu_rank.ts";
import { createSpace, type GpuSpace, widestInput } from "./gpu_space.ts";
import { GpuTower, TowerProjectors } from "./gpu_tower.ts";
import { apartTokens } from "./gpu_step.ts";
import { openLayers } from "./gpu_walk.ts";
import { GpuLoader } from "./gpu_weights.ts";
import { loadNorm } from "./layer_weights.ts";
import { openTokenChain, type TokenChain } from "./token_chain.ts";
import type { WalkedGpuLayer } from "./walked_layer.ts";

/** What is made when the rank is opened. */
export interface GpuRankParts {
  readonly space: GpuSpace;
  readonly input: StepInput;
  readonly layers: readonly WalkedGpuLayer[];
  /** Empty where no layer has experts on the GPU. */
  readonly routes: RoutesByUse;
  /** Null where nothing is brought. */
  readonly brought: BroughtNeurons | null;
  /** What of the tokens' rows goes to the GPU with a step. */
  readonly sent: readonly SentRows[];
  /** Of a tower its projector; null where it has no rows of the output. */
  readonly output: Program | null;
  /** Leaves the last norm of all tokens as a partial sum; null: others know it. */
  readonly rows: Program | null;
  readonly partialBack: ReadBack;
  readonly logitsBack: ReadBack;
  /** Null: ids go in. */
  readonly tower: GpuTower | null;
  /** Null where a wait is for one token. */
  readonly chain: TokenChain | null;
}

/** What any list of commands of a rank is made on. */
export interface Ground {
  readonly plan: RankPlan;
  readonly space: GpuSpace;
  readonly stepInput: StepInput;
  readonly loader: GpuLoader;
  /** Empty where no layer has experts on the GPU. */
  readonly routes: RoutesByUse;
  readonly makeBuilder: () => ProgramBuilder;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function openParts(input: GpuRankInput, plan: RankPlan): Promise<GpuRankParts> {
  const { gpu, config } = input;
  const ground = await openGround(input, plan);
  const { space, stepInput, loader, routes } = ground;
  const tokenInputs = await loadTokenInputs(loader, plan);
  const streamEnds = await loadStreamEnds(loader, plan);
  const keptStart = await loadKeptStart(loader, plan, config);
  const givenParts = await createGivenParts(gpu, { plan, config });
  const projectors = await TowerProjectors.open({ ...input, ...ground });
  const ends = { tokenInputs, streamEnds, keptStart, givenParts, projectors };
  // What comes of an encoder are rows.
  const scores = lengthOf(plan.output.rows) > 0 && !config.isEncoder;
  const output = scores ? await loadOutput({ ...input, ...ground }) : null;
  const readersBehind = output && gpu.joinsEnds ? outputReaders(output) : null;
  const of = { ...input, ...ground, ...ends, readersBehind };
  const { layers, left } = await openLayers(of);
  const brought = await openBrought({ ...of, layers: layers.map(({ layer }) => layer) });
  const tower = projectors && await GpuTower.open(of, projectors);
  const hasRows = lengthOf(plan.output.rows) > 0 && plan.gpu!.isAlone && tower === null;
  const lastNorm = output?.norm ?? (hasRows ? await loadNorm(of, plan.outputNorm!) : null);
  return {
    ...{ space, layers, routes, brought },
    sent: sentWithSteps(input, { plan, space, givenParts }),
    output: tower?.end ?? (output && await buildOutput(of, output, halfOf(left))),
    rows: hasRows ? await buildRows(of, lastNorm!) : null,
    ...{ input: stepInput, tower },
    partialBack: await createReadBack(gpu, plan.chunkTokens * plan.strides.embedding * 4),
    logitsBack: await createReadBack(gpu, Math.max(4, plan.logitsRows * plan.strides.logits * 4)),
    // The last one to want memory: without it a wait is for one token.
    chain: output && input.hasChain
      ? await openTokenChain({ ...of, input: stepInput, output, left, layers })
      : null,
  };
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
async function openGround(input: GpuRankInput, plan: RankPlan): Promise<Ground> {
  const { gpu, config } = input;
  const space = await createSpace(gpu, { plan, config });
  const stepInput = await createStepInput(gpu, {
    ...{ maxTokens: plan.chunkTokens, ropes: input.ropeFrequencies },
    // An encoder's texts are one sequence: gpu_step.ts.
    sequences: config.isEncoder ? 1 : plan.sequences,
    contextLength: plan.contextLength,
  });
  const loader = new GpuLoader(input);
  const routes = await openRoutes(gpu, plan, config);
  const int8 = await createInt8Rows(gpu, {
    ...{ tokens: plan.chunkTokens, columns: widestInput(plan, config) },
    sequences: apartTokens(plan),
  });
  const makeBuilder = () => new ProgramBuilder(gpu, stepInput, int8);
  return { plan, space, stepInput, loader, routes, makeBuilder };
}
