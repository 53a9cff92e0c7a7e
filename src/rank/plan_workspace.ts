/** Lays out what a step needs between its weights: the workspace, the same in every arena. */
import { alignUp } from "../base/check.ts";
import type { ArenaBuilder } from "../memory/arena.ts";
import { SUPERBLOCK_WEIGHTS } from "../memory/row_layout.ts";
import type { ModelConfig } from "../model/types.ts";
import type {
  RoutingWorkspacePlan,
  StreamPlan,
  StreamWorkspacePlan,
  WorkspacePlan,
  WorkspaceStrides,
} from "./plan_types.ts";
import { COUNT_FIELDS } from "./counts.ts";
import { lengthOf, type Shard } from "./shard.ts";

/** Numbers that are kept of each layer's predictor: predictors.ts. */
export const RECALL_FIELDS = 4;

/** The sizes that only the kernels know. */
export interface KernelSizes {
  q8_bytes(n: number, k: number): number;
  neurons_scratch_bytes(d: number): number;
  attention_scratch_bytes(n: number, heads: number, groupSize: number, headDim: number): number;
}

export interface WorkspaceInput {
  readonly config: ModelConfig;
  readonly widths: Widths;
  readonly strides: WorkspaceStrides;
  readonly chunkTokens: number;
  /** Some matrix lies neuron by neuron. */
  readonly hasNeurons: boolean;
  /** Silent neurons are left out. */
  readonly isSparse: boolean;
  /** Chooses tokens: rank 0. */
  readonly leads: boolean;
  readonly sizes: KernelSizes;
  /** Null unless the model is a packed one; of this arena. */
  readonly stream: StreamPlan & { readonly slotCount: number; readonly stageBytes: number } | null;
}

/** Reserves one arena's workspace. */
export function planWorkspace(arena: ArenaBuilder, input: WorkspaceInput): WorkspacePlan {
  const { config, widths, strides, chunkTokens: n, sizes } = input;
  const bytes = (name: string, size: number) => arena.allocate(name, "activations", size);
  const floats = (name: string, perToken: number) => bytes(name, n * perToken * 4);
  const queryWidth = widths.heads * config.headDim;
  const keyValueWidth = widths.kvHeads * config.headDim;
  const { neurons } = widths;
  const groupSize = config.headCount / config.headCountKv;
  return {
    residual: floats("residual", strides.embedding),
    normed: floats("normed", strides.embedding),
    normedQ8: bytes("normed.q8", sizes.q8_bytes(n, config.embeddingLength)),
    query: floats("query", queryWidth),
    key: floats("key", keyValueWidth),
    value: floats("value", keyValueWidth),
    squares: floats("squares", 4),
    attention: floats("attention", strides.attention),
    attentionQ8: bytes("attention.q8", sizes.q8_bytes(n, Math.max(1, queryWidth))),
    gate: floats("gate", neurons),
    up: floats("up", neurons),
    fired: bytes("fired", neurons * 4),
    counts: bytes("counts", COUNT_FIELDS * 8),
    ...planPredictors(arena, input),
    ...planFew(arena, input),
    neuronScratch: bytes(
      "neurons.scratch",
      input.hasNeurons ? sizes.neurons_scratch_bytes(config.embeddingLength) : 0,
    ),
    hidden: floats("hidden", strides.hidden),
    hiddenQ8: bytes("hidden.q8", sizes.q8_bytes(n, Math.max(1, neurons))),
    partials: [floats("partial.0", strides.embedding), floats("partial.1", strides.embedding)],
    incoming: floats("incoming", strides.embedding),
    // Without heads nothing is turned here.
    ropes: widths.heads === 0
      ? []
      : config.ropes.map((rope, index) => floats(`rope.${index}`, rope.dimensionCount)),
    scratch: bytes(
      "attention.scratch",
      sizes.attention_scratch_bytes(
        n,
        Math.max(1, widths.heads),
        groupSize,
        config.headDim,
      ),
    ),
    logits: bytes("logits", logitsRows(n) * strides.logits * 4),
    candidates: bytes("candidates", input.leads ? config.vocabSize * 4 : 0),
    routing: planRouting(arena, input),
    stream: planStream(arena, input),
  };
}

/** Bundles are read straight into their slots: whole sectors at multiples of sectors. */
const SECTOR_BYTES_MAX = 4096;

function planStream(arena: ArenaBuilder, input: WorkspaceInput): StreamWorkspacePlan | null {
  const { stream, widths: { neurons }, config: { experts } } = input;
  if (stream === null) return null;
  const words = (name: string, count: number) => arena.allocate(name, "activations", count * 4);
  const list = (name: string) => ({
    ids: words(`${name}.ids`, neurons),
    values: words(`${name}.values`, neurons),
    slots: words(`${name}.slots`, neurons),
  });
  const laneCount = experts === null
    ? 1
    : experts.usedCount + (experts.sharedFeedForwardLength > 0 ? 1 : 0);
  const { slotBytes, slotCount, rawBytes, stageBytes } = stream;
  const slots = arena.allocate("slots", "slots", slotBytes * slotCount, SECTOR_BYTES_MAX);
  const stage = arena.allocate("stage", "activations", stageBytes, SECTOR_BYTES_MAX);
  // Counted on from the slots, bundles fit into the stage, too.
  const spareFirst = slotBytes === 0 ? 0 : Math.ceil((stage - slots) / slotBytes);
  const spareEnd = slotBytes === 0 ? 0 : Math.floor((stage + stageBytes - slots) / slotBytes);
  return {
    ...{ slots, slotCount, stage, spareFirst },
    spareCount: Math.max(0, spareEnd - spareFirst),
    raw: arena.allocate("raw", "activations", rawBytes, SECTOR_BYTES_MAX),
    neuronCount: neurons,
    lanes: Array.from({ length: laneCount }, (_, lane) => list(`lane.${lane}`)),
    fired: list("fired"),
    places: words("places", alignUp(neurons, SUPERBLOCK_WEIGHTS)),
    order: words("order", neurons),
  };
}

/** Most tokens of a step whose firing neurons are listed, token by token. */
export const FEW_TOKENS = 8;

function planFew(
  arena: ArenaBuilder,
  { config, strides, isSparse, sizes }: WorkspaceInput,
): Pick<WorkspacePlan, "alone" | "aloneQ8" | "tokens"> {
  const bytes = (name: string, size: number) =>
    arena.allocate(name, "activations", isSparse ? size : 0);
  return {
    alone: bytes("alone", strides.embedding * 4),
    aloneQ8: bytes("alone.q8", sizes.q8_bytes(1, config.embeddingLength)),
    tokens: bytes("tokens", FEW_TOKENS * 4),
  };
}

/**
 * Rows of what predictors have between their matrices: one for each route of a token to an expert,
 * or for each token; and one token's for the layer behind the one that is computed.
 */
export function predictorRows({ experts }: ModelConfig, chunkTokens: number): number {
  return (experts?.usedCount ?? 1) * Math.max(2, chunkTokens);
}

function planPredictors(
  arena: ArenaBuilder,
  { config, strides: { predictor: stride }, chunkTokens: n, sizes }: WorkspaceInput,
): Pick<WorkspacePlan, "predictor" | "predictorQ8" | "recall"> {
  const bytes = (name: string, size: number) =>
    arena.allocate(name, "activations", stride === 0 ? 0 : size);
  return {
    predictor: bytes("predictor", predictorRows(config, n) * stride * 4),
    predictorQ8: bytes("predictor.q8", sizes.q8_bytes(n, Math.max(1, stride))),
    recall: bytes("recall", config.blockCount * RECALL_FIELDS * 8),
  };
}

/** Steps that want every position's logits are short, so that the logits stay small. */
export function logitsRows(chunkTokens: number): number {
  return Math.min(16, chunkTokens);
}

/** The most of each that a rank has in one layer. */
export interface Widths {
  readonly heads: number;
  readonly kvHeads: number;
  /** Of the dense block, an expert, the shared expert. */
  readonly neurons: number;
}

/** Over the shards that layers have on one rank. */
export function widthsOf(shards: readonly Shard[]): Widths {
  const most = (of: (shard: Shard) => number) => Math.max(...shards.map(of));
  return {
    heads: most(({ heads }) => lengthOf(heads)),
    kvHeads: most(({ kvHeads }) => lengthOf(kvHeads)),
    neurons: most(largestBlock),
  };
}

/** Most neurons that are computed at once: of the dense block, an expert, the shared expert. */
export function largestBlock(shard: Shard): number {
  const blocks = [shard.neurons, shard.sharedNeurons, ...shard.expertNeurons];
  return Math.max(...blocks.map(lengthOf));
}

function planRouting(arena: ArenaBuilder, input: WorkspaceInput): RoutingWorkspacePlan | null {
  const { config: { experts, embeddingLength }, strides, chunkTokens: n, sizes } = input;
  if (experts === null) return null;
  const bytes = (name: string, size: number) => arena.allocate(name, "activations", size);
  return {
    logits: bytes("router.logits", n * experts.count * 4),
    rows: bytes("routes.rows", n * experts.usedCount * 4),
    weights: bytes("routes.weights", n * experts.usedCount * 4),
    sharedWeights: bytes("shared.weights", n * 4),
    gathered: bytes("gathered", n * strides.embedding * 4),
    gatheredQ8: bytes("gathered.q8", sizes.q8_bytes(n, embeddingLength)),
  };
}
