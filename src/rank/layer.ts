/** A layer's share as the walk uses it: addresses and sizes, bound once when the rank starts. */
import { check } from "../base/check.ts";
import type { ModelConfig } from "../model/types.ts";
import { floats } from "./arena_views.ts";
import { bindLatent, type LatentMatrices } from "./latent_heads.ts";
import { boundMatrix, type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type {
  DensePlan,
  ExpertsPlan,
  HeadNormPlan,
  LayerPlan,
  NormPlan,
  PredictorPlan,
  RankPlan,
  StreamedPlan,
  VectorPlan,
} from "./plan_types.ts";
import { lengthOf, type Range } from "./shard.ts";
import { bindStateSpace, type StateSpace } from "./state_space.ts";

/** Addresses of f32 [embeddingLength]; weight 0: all are 1; bias 0: none. */
export interface Norm {
  readonly weight: number;
  readonly bias: number;
}

/** A norm of queries or keys. */
export interface HeadNorm {
  readonly span: "head" | "projection";
  /** 0: all are 1. */
  readonly weight: number;
  /** Floats from one head's weights to the next one's; 0 where all share them. */
  readonly weightStep: number;
}

/** Of a layer that convolves instead of attending. */
export interface Convolution {
  readonly taps: number;
  /** Address of f32 [taps, own channels]. */
  readonly weights: number;
}

/** Guesses which neurons fire. */
export interface Predictor {
  /** Number of its layer. */
  readonly layer: number;
  /** Own rows of [rank, d]. */
  readonly first: Matrix;
  /** [own neurons, rank]. */
  readonly second: Matrix;
  /** Bytes of both. */
  readonly sizeBytes: number;
}

/** Neurons of a block or of one expert. */
export interface Dense {
  readonly kind: "dense";
  readonly gate: Matrix | null;
  readonly up: Matrix;
  readonly down: Matrix;
  readonly predictor: Predictor | null;
  /** Neurons with an |act(gate)| of at most this are left out; null: those that are zero. */
  readonly threshold: number | null;
  /** True when gate or up reads q8 tiles. */
  readonly readsQ8: boolean;
  /** True when gate or up reads floats. */
  readonly readsFloats: boolean;
}

/** Neurons of a packed file, of which slots hold some: streamed_block.ts. */
export interface Streamed {
  readonly kind: "streamed";
  /** Number of the unit in the packed file. */
  readonly unit: number;
  /** Number of own neurons. */
  readonly count: number;
  /** All gates, [own neurons, d], where they are resident, part by part; else empty. */
  readonly gateParts: readonly GatePart[];
  /** Rows of the slots, [slots, d]: gates where they are not resident, and ups. */
  readonly gateSlots: Matrix | null;
  readonly upSlots: Matrix;
  /** What down has of neurons: by slots where it lies neuron by neuron, else by columns. */
  readonly downSlots: Matrix;
  /** Where parts of down begin in a slot. */
  readonly downInSlot: number;
  /** Factors of all own columns of down; 0 where it lies neuron by neuron. */
  readonly factors: number;
  readonly factorsSizeBytes: number;
  readonly predictor: Predictor | null;
  /** The unit as a whole, where it is staged. */
  readonly staged: Dense;
  readonly readsQ8: boolean;
  readonly readsFloats: boolean;
}

/**
 * True where all gates of a block on disk are in memory: then they are asked, and no predictor. The
 * same on all ranks, also those that have none of its neurons.
 */
export function hasAllGates(block: Dense | Streamed): boolean {
  return block.kind === "streamed" && block.staged.gate !== null && block.gateSlots === null;
}

/** Some rows of a gate matrix, from its row `first` on. */
export interface GatePart {
  readonly rows: Matrix;
  readonly first: number;
}

/** A mixture's share. */
export interface Experts {
  readonly kind: "experts";
  readonly router: Matrix;
  /** [experts], or null. */
  readonly choiceBias: Float32Array | null;
  readonly experts: readonly (Dense | Streamed)[];
  /** Address of f32 [experts, d], or 0: none, or another rank's to add. */
  readonly downBiases: number;
  readonly shared: Dense | Streamed | null;
  readonly sharedGate: Matrix | null;
  /** Of the first expert: all have one, or none has. */
  readonly predictor: Predictor | null;
  /** An expert's gates are all in memory: `hasAllGates`. */
  readonly haveAllGates: boolean;
  /** True when an expert, or the shared one, reads q8 tiles. */
  readonly readsQ8: boolean;
}

export interface Layer {
  readonly index: number;
  /** The arena it lies in. */
  readonly arena: number;
  /** Behind attention, or what is in its place: not where both blocks read the same input. */
  readonly joinsAttention: boolean;
  /** Behind the neurons, where the layer has some. */
  readonly joinsNeurons: boolean;
  /** Experts are chosen by the layer's input, before attention changes it. */
  readonly routesEarly: boolean;
  /** 0 = none. */
  readonly slidingWindow: number;
  /** Positions of a chunk that a token sees its own of; 0: it sees those of all. */
  readonly attentionChunk: number;
  /** Index of the rotary embedding, or null. */
  readonly rope: number | null;
  /** The same for queries. */
  readonly queryRope: number | null;
  /** Heads are normalised when they are turned already. */
  readonly normalizesTurned: boolean;
  /** Own query heads, and the key/value heads that they read. */
  readonly headCount: number;
  readonly kvHeadCount: number;
  /** Place of the first own query head in the group of the first own key/value head. */
  readonly headOffset: number;
  readonly attentionNorm: Norm | null;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  /** True when one of query, key, value reads q8 tiles. */
  readonly projectionsReadQ8: boolean;
  /** Null: query, key and value are all there is. */
  readonly latent: LatentMatrices | null;
  readonly queryNorm: HeadNorm | null;
  readonly keyNorm: HeadNorm | null;
  /** Address of f32 [headCount], or 0: heads have none. */
  readonly sinks: number;
  /** Null: the layer attends. */
  readonly convolution: Convolution | null;
  /** Null: heads are not gated. */
  readonly attentionGate: Matrix | null;
  readonly attentionOutput: Matrix;
  /** Null: the layer keeps none. */
  readonly stateSpace: StateSpace | null;
  readonly attentionPostNorm: Norm | null;
  readonly feedForwardNorm: Norm | null;
  /** Null: the layer has no neurons. */
  readonly feedForward: Dense | Streamed | Experts | null;
  /** More neurons of a dense block, computed in steps of so many tokens only. */
  readonly steppedNeurons: readonly { readonly block: Dense; readonly tokens: Range }[];
  readonly feedForwardPostNorm: Norm | null;
  /** Of a layer that convolves its rings and ends. */
  readonly keys: number;
  readonly values: number;
}

/** memory: the layer's arena. */
export function bindLayer(
  plan: LayerPlan,
  by: { config: ModelConfig; index: number; memory: WebAssembly.Memory; rank: RankPlan },
): Layer {
  const { config, index, memory } = by;
  const bind = (block: DensePlan | StreamedPlan) =>
    block.kind === "dense" ? bindDense(block) : bindStreamed(block, slotsOf(by.rank, plan.arena));
  const own = config.layers[index];
  const isParallel = config.hasParallelBlocks;
  const [query, key, value] = [plan.query, plan.key, plan.value].map(boundMatrix);
  const attentionGate = plan.attentionGate && matrixOf(plan.attentionGate);
  const groupSize = config.headCount / config.headCountKv;
  const headNorm = (norm: HeadNormPlan | null) => bindHeadNorm(norm, config.headDim);
  return {
    index,
    arena: plan.arena,
    joinsAttention: !isParallel && (plan.attentionOutput !== null || plan.stateSpace !== null),
    joinsNeurons: plan.feedForward !== null,
    routesEarly: plan.feedForward?.kind === "experts" &&
      config.experts?.routerInput === "layerInput",
    slidingWindow: own.slidingWindow,
    attentionChunk: own.attentionChunk ?? 0,
    rope: own.rope,
    queryRope: own.queryRope ?? own.rope,
    normalizesTurned: config.normalizesTurnedHeads,
    headCount: lengthOf(plan.heads),
    kvHeadCount: lengthOf(plan.kvHeads),
    headOffset: plan.heads.start - plan.kvHeads.start * groupSize,
    attentionNorm: bindNorm(plan.attentionNorm),
    query,
    key,
    value,
    projectionsReadQ8: [query, key, value, attentionGate ?? value].some(readsQ8),
    latent: plan.latent && bindLatent({ query, key, latent: plan.latent }, lengthOf(plan.heads)),
    queryNorm: headNorm(plan.queryNorm),
    keyNorm: headNorm(plan.keyNorm),
    sinks: addressOf(plan.attentionSinks),
    convolution: plan.convolution && {
      taps: plan.convolution.taps,
      weights: plan.convolution.weights.offsetBytes,
    },
    attentionGate,
    attentionOutput: boundMatrix(plan.attentionOutput),
    stateSpace: plan.stateSpace &&
      bindStateSpace(plan.stateSpace, { config: config.stateSpace!, memory }),
    attentionPostNorm: bindNorm(plan.attentionPostNorm),
    feedForwardNorm: bindNorm(plan.feedForwardNorm ?? (isParallel ? plan.attentionNorm : null)),
    feedForward: plan.feedForward?.kind === "experts"
      ? bindExperts(plan.feedForward, { memory, bind })
      : plan.feedForward && bind(plan.feedForward),
    steppedNeurons: plan.steppedNeurons.map(({ block, tokens }) => ({
      block: bindDense(block),
      tokens,
    })),
    feedForwardPostNorm: bindNorm(plan.feedForwardPostNorm),
    keys: plan.keysOffsetBytes,
    values: plan.valuesOffsetBytes,
  };
}

export function bindNorm(plan: NormPlan): Norm;
export function bindNorm(plan: NormPlan | null): Norm | null;
export function bindNorm(plan: NormPlan | null): Norm | null {
  if (plan === null) return null;
  return { weight: addressOf(plan.weight), bias: addressOf(plan.bias) };
}

function bindHeadNorm(plan: HeadNormPlan | null, headDim: number): HeadNorm | null {
  if (plan === null) return null;
  const { span, weight } = plan;
  if (weight === null) return { span, weight: 0, weightStep: 0 };
  // One own head of several has headDim weights, too: stepping over them once changes nothing.
  const weightStep = lengthOf(weight.range) > headDim ? headDim : 0;
  return { span, weight: weight.offsetBytes, weightStep };
}

function bindDense(plan: DensePlan): Dense {
  const gate = plan.gate && matrixOf(plan.gate);
  const up = matrixOf(plan.up);
  const forms = [up, ...gate === null ? [] : [gate]].map(readsQ8);
  const bound = {
    kind: "dense" as const,
    gate,
    up,
    down: matrixOf(plan.down),
    predictor: plan.predictor && bindPredictor(plan.predictor),
    threshold: null as number | null,
    readsQ8: forms.includes(true),
    readsFloats: forms.includes(false),
  };
  // A field that was null before keeps its number boxed, ready for the kernels: `Fractions`.
  if (plan.threshold !== null) bound.threshold = plan.threshold;
  return bound;
}

function bindPredictor(plan: PredictorPlan): Predictor {
  const [first, second] = [plan.first, plan.second].map(matrixOf);
  const sizeBytes = [first, second].reduce(
    (sum, { rowCount, rowStrideBytes }) => sum + rowCount * rowStrideBytes,
    0,
  );
  return { layer: plan.layer, first, second, sizeBytes };
}

/** The slots of an arena, spare ones included: where they are, how many and how large. */
interface Slots {
  readonly offsetBytes: number;
  readonly count: number;
  readonly bytes: number;
}

function slotsOf({ stream, workspaces }: RankPlan, arena: number): Slots {
  const space = workspaces[arena].stream;
  check(stream !== null && space !== null, "a plan with streamed neurons has slots");
  const count = Math.max(space.slotCount, space.spareFirst + space.spareCount);
  return { offsetBytes: space.slots, count, bytes: stream.slotBytes };
}

function bindStreamed(plan: StreamedPlan, slots: Slots): Streamed {
  const { unit, neurons, inSlot, factorsOffsetBytes } = plan;
  const ofUnit = bindDense(plan.staged);
  const gate = plan.gate && matrixOf(plan.gate);
  // Gates that are resident are not staged.
  const predictor = plan.predictor && bindPredictor(plan.predictor);
  const { biases } = plan;
  const ownGate = gate ?? ofUnit.gate;
  const staged = {
    ...ofUnit,
    predictor,
    gate: ownGate && { ...ownGate, bias: addressOf(biases.gate) },
    up: { ...ofUnit.up, bias: addressOf(biases.up) },
    down: { ...ofUnit.down, bias: addressOf(biases.down) },
  };
  const bySlots = (matrix: Matrix, start: number): Matrix => ({
    ...matrix,
    offsetBytes: slots.offsetBytes + start,
    rowStrideBytes: slots.bytes,
    rowCount: slots.count,
    bias: 0,
  });
  const isByNeurons = staged.down.layout === "neurons";
  return {
    kind: "streamed",
    unit,
    count: lengthOf(neurons),
    gateParts: gate === null ? [] : partsOf(gate),
    gateSlots: staged.gate !== null && inSlot.gate !== null
      ? bySlots(staged.gate, inSlot.gate)
      : null,
    upSlots: bySlots(staged.up, inSlot.up),
    downSlots: isByNeurons
      ? {
        ...bySlots(staged.down, inSlot.down),
        rowCount: staged.down.rowCount,
        columnCount: slots.count,
      }
      : staged.down,
    downInSlot: slots.offsetBytes + inSlot.down,
    factors: isByNeurons ? 0 : factorsOffsetBytes,
    factorsSizeBytes: plan.factorsSizeBytes,
    predictor,
    staged,
    readsQ8: staged.readsQ8,
    readsFloats: staged.readsFloats,
  };
}

/** Parts that are asked for one by one: papers.md 1.7. */
export const GATE_PARTS = 4;
/** Fewer rows are not worth a call of their own. */
const PART_ROWS_MIN = 256;

function partsOf(gate: Matrix): GatePart[] {
  const rows = Math.max(PART_ROWS_MIN, Math.ceil(gate.rowCount / GATE_PARTS));
  return Array.from({ length: Math.ceil(gate.rowCount / rows) }, (_, part) => {
    const first = part * rows;
    return {
      first,
      rows: {
        ...gate,
        offsetBytes: gate.offsetBytes + first * gate.rowStrideBytes,
        rowCount: Math.min(rows, gate.rowCount - first),
      },
    };
  });
}

function bindExperts(
  plan: ExpertsPlan,
  { memory, bind }: {
    memory: WebAssembly.Memory;
    bind: (block: DensePlan | StreamedPlan) => Dense | Streamed;
  },
): Experts {
  const experts = plan.experts.map(bind);
  const shared = plan.shared && bind(plan.shared);
  return {
    kind: "experts",
    router: matrixOf(plan.router),
    choiceBias: plan.choiceBias &&
      floats(memory, plan.choiceBias.offsetBytes, lengthOf(plan.choiceBias.range)),
    experts,
    downBiases: addressOf(plan.downBiases),
    shared,
    sharedGate: plan.sharedGate && matrixOf(plan.sharedGate),
    predictor: experts[0].predictor,
    haveAllGates: experts.some(hasAllGates),
    readsQ8: [...experts, shared].some((each) => each?.readsQ8),
  };
}

function addressOf(vector: VectorPlan | null): number {
  return vector === null ? 0 : vector.offsetBytes;
}
