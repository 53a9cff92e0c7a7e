/**
 * Where the tensors of a step lie: those that do not live at the same time share their bytes,
 * whatever the symbols stand for (as Transformer-Lite does). Large ones first; a tensor goes into a
 * buffer only if it is proven to fit, beside what lives there at the same time, for all values
 * within the bounds. Made once, before anything runs.
 */
import { check } from "../base/check.ts";
import { type Bounds, isAlwaysAtMost, mostOf } from "./bounds.ts";
import { constant, type Expr } from "./expr.ts";
import { type GraphTensor, Liveness, type StepGraph } from "./step_graph.ts";

export interface MemoryPlanOptions {
  /** Tensors begin at multiples of it: minStorageBufferOffsetAlignment, or an arena's. */
  readonly alignBytes: number;
  /**
   * "fixed": places are numbers, good for all values: what refers to them is made once.
   * "symbolic": places are expressions, for buffers that are made as large as a step needs them.
   */
  readonly places: "fixed" | "symbolic";
  /** False: every tensor has bytes of its own; for comparisons. */
  readonly sharesBytes?: boolean;
}

/** Bytes that tensors share. */
export interface PlannedBuffer {
  readonly capacity: Expr;
  /** The most that `capacity` can be. */
  readonly maxBytes: number;
  readonly tensors: readonly GraphTensor[];
}

/** Where a tensor lies. */
export interface Place {
  readonly tensor: GraphTensor;
  readonly buffer: number;
  /** From the buffer's first byte, a multiple of the alignment. */
  readonly offset: Expr;
  /** Rounded up to the alignment. */
  readonly size: Expr;
}

export interface MemoryPlan {
  readonly buffers: readonly PlannedBuffer[];
  /** By the tensors' ids. */
  readonly places: readonly Place[];
  /** Bytes of all buffers at most, and of all tensors if each had bytes of its own. */
  readonly plannedBytes: number;
  readonly apartBytes: number;
}

/** A buffer that is being filled. */
interface Filling {
  readonly capacity: Expr;
  readonly maxBytes: number;
  readonly isShared: boolean;
  readonly residents: Place[];
}

/** Plans the memory of a graph's tensors. */
export function planMemory(
  graph: StepGraph,
  bounds: Bounds,
  { alignBytes, places: kind, sharesBytes = true }: MemoryPlanOptions,
): MemoryPlan {
  const liveness = new Liveness(graph);
  const sized = graph.tensors.map((tensor) => {
    const aligned = tensor.bytes.alignUp(alignBytes);
    const maxBytes = mostOf(aligned, bounds);
    check(Number.isSafeInteger(maxBytes) && maxBytes >= 0, `size of ${tensor.name}`);
    return { tensor, size: kind === "fixed" ? constant(maxBytes) : aligned, maxBytes };
  });
  // The larger first: a buffer is as large as the first tensor in it.
  const ordered = [...sized].sort((a, b) => b.maxBytes - a.maxBytes || a.tensor.id - b.tensor.id);
  const buffers: Filling[] = [];
  const places: Place[] = [];
  for (const { tensor, size, maxBytes } of ordered) {
    const isShared = sharesBytes && tensor.lives === "step";
    let place = isShared ? findPlace(buffers, { tensor, size, liveness, bounds }) : null;
    if (place === null) {
      place = { tensor, buffer: buffers.length, offset: constant(0), size };
      buffers.push({ capacity: size, maxBytes, isShared, residents: [] });
    }
    buffers[place.buffer].residents.push(place);
    places[tensor.id] = place;
  }
  return {
    buffers: buffers.map(({ capacity, maxBytes, residents }) => ({
      ...{ capacity, maxBytes },
      tensors: residents.map(({ tensor }) => tensor),
    })),
    places,
    plannedBytes: buffers.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    apartBytes: sized.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
  };
}

interface Wanted {
  readonly tensor: GraphTensor;
  readonly size: Expr;
  readonly liveness: Liveness;
  readonly bounds: Bounds;
}

/** The first free place, in the smallest buffer that has one; null: there is none. */
function findPlace(buffers: readonly Filling[], wanted: Wanted): Place | null {
  // They were made in the order of their sizes.
  for (let buffer = buffers.length - 1; buffer >= 0; buffer--) {
    if (!buffers[buffer].isShared) continue;
    const offset = freeOffset(buffers[buffer], wanted);
    if (offset !== null) return { tensor: wanted.tensor, buffer, offset, size: wanted.size };
  }
  return null;
}

function freeOffset(buffer: Filling, { tensor, size, liveness, bounds }: Wanted): Expr | null {
  if (!isAlwaysAtMost(size, buffer.capacity, bounds)) return null;
  const neighbours = buffer.residents.filter((each) => liveness.liveTogether(each.tensor, tensor));
  const starts = [constant(0), ...neighbours.map(({ offset, size }) => offset.plus(size))]
    .map((offset) => ({ offset, most: mostOf(offset, bounds) }))
    .sort((a, b) => a.most - b.most);
  for (const { offset } of starts) {
    const end = offset.plus(size);
    if (!isAlwaysAtMost(end, buffer.capacity, bounds)) continue;
    const isFree = neighbours.every((other) =>
      isAlwaysAtMost(end, other.offset, bounds) ||
      isAlwaysAtMost(other.offset.plus(other.size), offset, bounds)
    );
    if (isFree) return offset;
  }
  return null;
}
