/**
 * What the cluster pipeline remembers of a token's neurons in an arena, from the moment when they
 * are listed until they are computed: places in lists that kernels read, and what lies beside them.
 */
import { floats } from "../bound/arena_views.ts";
import { GATE_PARTS } from "../bound/bound_blocks.ts";
import type { ListPlan } from "../plan/stream_types.ts";
import type { StepState } from "../step/step_state.ts";

/** Bundles that are waited for before they are computed together. */
export const CLUSTER_BUNDLES = 32;

/** Neurons, what they have given so far, and their slots. */
export interface List {
  readonly at: ListPlan;
  readonly ids: Uint32Array;
  readonly values: Float32Array;
  readonly slots: Uint32Array;
}

/** What a block's token needs, between `begin` and `finish`. */
export interface Lane extends List {
  /** Of reads, by place in the list. */
  readonly tickets: Int32Array;
  /** The list is parts, in each of which those come first that were present: where these end. */
  readonly presentEnds: Int32Array;
  readonly ends: Int32Array;
  parts: number;
}

/** An arena's lists. */
export interface Lists {
  readonly lanes: readonly Lane[];
  /** The neurons that fire, of the block that is being finished. */
  readonly fired: List;
  /** Where columns of down are, or the slots of their neurons, u32 [columns]. */
  readonly places: Uint32Array;
  /** What a predictor lists, u32. */
  readonly predicted: Uint32Array;
  /** By neuron, while a lane is put in another order. */
  readonly valueOf: Float32Array;
}

/** The lists of one arena. */
export function listsOf({ plan }: StepState, memory: WebAssembly.Memory, arena: number): Lists {
  const space = plan.workspaces[arena].stream!;
  const { neuronCount, columnCount } = space;
  const words = (at: number, count = neuronCount) => new Uint32Array(memory.buffer, at, count);
  const listOf = (at: ListPlan): List => ({
    at,
    ids: words(at.ids),
    values: floats(memory, at.values, neuronCount),
    slots: words(at.slots),
  });
  return {
    lanes: space.lanes.map((at) => ({
      ...listOf(at),
      tickets: new Int32Array(neuronCount),
      presentEnds: new Int32Array(GATE_PARTS),
      ends: new Int32Array(GATE_PARTS),
      parts: 0,
    })),
    fired: listOf(space.fired),
    places: words(space.places, columnCount),
    predicted: words(plan.workspaces[arena].fired),
    valueOf: new Float32Array(neuronCount),
  };
}
