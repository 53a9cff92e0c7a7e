/** Blocks of neurons, experts and predictors as the walk uses them, bound when the rank starts. */
import { check } from "../../base/check.ts";
import type { SwigluLimit } from "../../model/types.ts";
import { floats } from "./arena_views.ts";
import { checkListedExperts } from "./listed_experts.ts";
import { inOrder } from "../plan/own_units.ts";
import { addressOf, bindNorm, type Norm } from "./bound_norm.ts";
import type { InnerNorm } from "../step/inner_norms.ts";
import { bindLatentExperts, type LatentExperts } from "./bound_latent_experts.ts";
import { type Matrix, matrixOf, readsQ8 } from "./matrix.ts";
import type {
  DensePlan,
  ExpertsPlan,
  PredictorPlan,
  RankPlan,
  StreamedPlan,
  VectorPlan,
} from "../plan/plan_types.ts";
import { lengthOf } from "../plan/shard.ts";

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
  /**
   * Address of sums over what neurons give, before it is weighed by how much a token takes of an
   * expert; 0: nobody asks, or down's products sum up what they read, as others do.
   */
  readonly downSums: number;
  /** Address of the column of down that each neuron has, u32 [rows of up]; 0: its number. */
  readonly columns: number;
  /** Of what neurons give, before down. */
  readonly innerNorm: InnerNorm;
  /** Address of what xIELU reads; 0: another activation. */
  readonly curve: number;
  /** How far gates go when they are activated, and ups; null: no limit. */
  readonly gateLimit: number | null;
  readonly upLimit: number | null;
  readonly predictor: Predictor | null;
  /** Neurons with an |act(gate)| of at most this are left out; null: those that are zero. */
  readonly threshold: number | null;
  /** What gates count above, in deviations from their mean; null: they are as they are. */
  readonly gateCutoff: number | null;
  /** Single neurons may be left out: as a rule most of them are zero, or by the threshold. */
  readonly isSilent: boolean;
  /** True when gate or up reads q8 tiles. */
  readonly readsQ8: boolean;
  /** True when gate or up reads floats. */
  readonly readsFloats: boolean;
}

/** A matrix that is now here, now there. */
interface MovableMatrix extends Matrix {
  offsetBytes: number;
}

/** A block whose matrices are moved together. */
export interface MovedDense extends Dense {
  readonly gate: MovableMatrix | null;
  readonly up: MovableMatrix;
  readonly down: MovableMatrix;
}

/** Neurons of a packed file, of which slots hold some: streamed_block.ts. */
export interface Streamed {
  readonly kind: "streamed";
  /** Number of the unit in the packed file. */
  readonly unit: number;
  /** Number of own neurons, and of columns of down; which one each has, u32 [count]. */
  readonly count: number;
  readonly columnCount: number;
  readonly columns: Uint32Array;
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
  /** The unit as a whole, in the first place where units are staged. */
  readonly staged: Dense;
  /** The same in the place where it is now. */
  readonly inPlace: MovedDense;
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

/** True where experts, or the one that all tokens use, are computed before the rest of a block. */
export function beginsApart(block: Dense | Streamed | Experts): block is Experts {
  if (block.kind !== "experts") return false;
  return block.latent !== null || block.apart !== null && block.shared !== null;
}

/** True where what neurons give is normalised before down. */
export function hasInnerNorm(block: Dense | Streamed | Experts | null): boolean {
  if (block === null || block.kind === "experts") return false;
  return (block.kind === "dense" ? block : block.staged).innerNorm !== 0;
}

/** Some rows of a gate matrix, from its row `first` on. */
export interface GatePart {
  readonly rows: Matrix;
  readonly first: number;
}

/** Norms of what chooses experts, of the shared one, and of what it and the others give. */
export interface Apart {
  readonly routerNorm: Norm;
  readonly sharedNorm: Norm;
  readonly sharedPostNorm: Norm;
  readonly expertsPostNorm: Norm;
}

/** A mixture's share. */
export interface Experts {
  readonly kind: "experts";
  readonly router: Matrix;
  /** How many of them a token uses. */
  readonly usedCount: number;
  /** [experts], or null. */
  readonly choiceBias: Float32Array | null;
  /** [vocab, used], or null: tokens choose. */
  readonly expertsOfTokens: Float32Array | null;
  readonly experts: readonly (Dense | Streamed)[];
  /** Address of f32 [experts, d], or 0: none, or another rank's to add. */
  readonly downBiases: number;
  readonly shared: Dense | Streamed | null;
  readonly sharedGate: Matrix | null;
  /** [experts], or null. */
  readonly scales: Float32Array | null;
  /** Null: router, experts and the shared one read the same, and are added up. */
  readonly apart: Apart | null;
  /** Null: experts read what the router does. */
  readonly latent: LatentExperts | null;
  /** Of the layer's input: router and experts read it; null: what the block reads. */
  readonly inputNorm: Norm | null;
  /** What goes along with experts, by group. */
  readonly companions: readonly Dense[];
  /** Of the first expert: all have one, or none has. */
  readonly predictor: Predictor | null;
  /** An expert's gates are all in memory: `hasAllGates`. */
  readonly haveAllGates: boolean;
  /** It adds nothing: another rank has all of it, as a GPU has. */
  readonly isElsewhere: boolean;
  /** True when an expert, or the shared one, reads q8 tiles. */
  readonly readsQ8: boolean;
}

export function bindDense(plan: DensePlan): Dense {
  const gate = plan.gate && matrixOf(plan.gate);
  const up = matrixOf(plan.up);
  const forms = [up, ...gate === null ? [] : [gate]].map(readsQ8);
  const down = matrixOf(plan.down);
  // What a norm inside of the block makes of them is read, not what they give.
  const downSums = plan.innerNorm === null ? down.sums : 0;
  const bound = {
    kind: "dense" as const,
    gate,
    up,
    down: downSums === 0 ? down : { ...down, sums: 0 },
    downSums,
    columns: plan.columnsOffsetBytes,
    innerNorm: addressOf(plan.innerNorm),
    curve: plan.curve?.offsetBytes ?? 0,
    predictor: plan.predictor && bindPredictor(plan.predictor),
    threshold: null as number | null,
    gateCutoff: plan.gateCutoff,
    isSilent: plan.isSilent,
    ...{ gateLimit: null as number | null, upLimit: null as number | null },
    readsQ8: forms.includes(true),
    readsFloats: forms.includes(false),
  };
  // A field that was null before keeps its number boxed, ready for the kernels: `Fractions`.
  if (plan.threshold !== null) bound.threshold = plan.threshold;
  limitNeurons(bound, plan.limit);
  return bound;
}

function limitNeurons(
  bound: { gateLimit: number | null; upLimit: number | null },
  limit: SwigluLimit | null,
): void {
  if (limit === null) return;
  bound.gateLimit = limit.gate;
  bound.upLimit = limit.up;
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

export function slotsOf({ stream, workspaces }: RankPlan, arena: number): Slots {
  const space = workspaces[arena].stream;
  check(stream !== null && space !== null, "a plan with streamed neurons has slots");
  const count = Math.max(space.slotCount, space.spareFirst + space.spareCount);
  return { offsetBytes: space.slots, count, bytes: stream.slotBytes };
}

export function bindStreamed(
  plan: StreamedPlan,
  slots: Slots,
  { buffer }: WebAssembly.Memory,
): Streamed {
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
    innerNorm: addressOf(plan.innerNorm),
    curve: plan.curve?.offsetBytes ?? 0,
    ...{ gateLimit: null, upLimit: null },
    gate: ownGate && { ...ownGate, bias: addressOf(biases.gate) },
    up: { ...ofUnit.up, bias: addressOf(biases.up) },
    down: { ...ofUnit.down, bias: addressOf(biases.down) },
  };
  limitNeurons(staged, plan.limit);
  const bySlots = (matrix: Matrix, start: number): Matrix => ({
    ...matrix,
    offsetBytes: slots.offsetBytes + start,
    rowStrideBytes: slots.bytes,
    rowCount: slots.count,
    bias: 0,
  });
  const isByNeurons = staged.down.layout === "neurons";
  const count = staged.up.rowCount;
  return {
    kind: "streamed",
    unit,
    count,
    columnCount: lengthOf(neurons),
    columns: staged.columns === 0 ? inOrder(count) : new Uint32Array(buffer, staged.columns, count),
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
    inPlace: {
      ...staged,
      gate: staged.gate && { ...staged.gate },
      up: { ...staged.up },
      down: { ...staged.down },
    },
    readsQ8: staged.readsQ8,
    readsFloats: staged.readsFloats,
  };
}

/** Says where a block's unit is: so many bytes behind the first place. Resident gates stay. */
export function moveUnit({ staged, inPlace, gateParts }: Streamed, bytes: number): void {
  if (inPlace.gate !== null && gateParts.length === 0) {
    inPlace.gate.offsetBytes = staged.gate!.offsetBytes + bytes;
  }
  inPlace.up.offsetBytes = staged.up.offsetBytes + bytes;
  inPlace.down.offsetBytes = staged.down.offsetBytes + bytes;
}

/** Parts that are asked for one by one. */
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

/** What a mixture's experts are chosen by. */
export type Chooser = Pick<
  Experts,
  "router" | "choiceBias" | "scales" | "expertsOfTokens" | "usedCount"
>;

/** What experts are chosen by; memory: of the layer's arena. */
export function bindChooser(
  { router, choiceBias, scales, expertsOfTokens: table, experts, usedCount }: ExpertsPlan,
  memory: WebAssembly.Memory,
): Chooser {
  const vector = (plan: VectorPlan | null) =>
    plan && floats(memory, plan.offsetBytes, lengthOf(plan.range));
  const expertsOfTokens = vector(table);
  if (expertsOfTokens !== null) {
    const counts = { expertCount: experts.length, usedCount };
    checkListedExperts(expertsOfTokens, table!.tensor, counts);
  }
  return {
    ...{ router: matrixOf(router), choiceBias: vector(choiceBias), scales: vector(scales) },
    ...{ expertsOfTokens, usedCount },
  };
}

export function bindExperts(
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
    ...bindChooser(plan, memory),
    experts,
    downBiases: addressOf(plan.downBiases),
    shared,
    sharedGate: plan.sharedGate && matrixOf(plan.sharedGate),
    apart: plan.apart && {
      routerNorm: bindNorm(plan.apart.routerNorm),
      sharedNorm: bindNorm(plan.apart.sharedNorm),
      sharedPostNorm: bindNorm(plan.apart.sharedPostNorm),
      expertsPostNorm: bindNorm(plan.apart.expertsPostNorm),
    },
    latent: plan.latent && bindLatentExperts(plan.latent),
    inputNorm: bindNorm(plan.inputNorm),
    companions: plan.companions.map(bindDense),
    predictor: experts[0].predictor,
    haveAllGates: experts.some(hasAllGates),
    isElsewhere: plan.downBiases === null &&
      [...plan.experts, plan.shared, ...plan.companions].every((each) =>
        each === null || each.kind === "dense" && lengthOf(each.up.rows) === 0 &&
          each.down.bias === null
      ),
    readsQ8:
      [...experts, shared, ...plan.companions.map(bindDense)].some((each) => each?.readsQ8) ||
      plan.latent !== null && readsQ8(matrixOf(plan.latent.down)),
  };
}
