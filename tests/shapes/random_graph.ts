/** Random steps, and running them value by value in planned memory: the slow twin of a plan. */
import { assert } from "@std/assert";
import fc from "fast-check";
import {
  B,
  constant,
  type Expr,
  type GraphOp,
  type GraphTensor,
  type MemoryPlan,
  N,
  P,
  S,
  StepGraph,
  type SymbolValues,
} from "../../src/shapes/mod.ts";

const FORMS: readonly ((k: number) => Expr)[] = [
  (k) => N.times(k),
  (k) => S.times(k),
  (k) => N.times(S).times(k),
  (k) => constant(16 * k),
  (k) => N.times(3 * k).alignUp(16),
  (k) => S.ceilDiv(4).times(B).times(k),
  (k) => N.times(k).max(P),
];

/** An operation to be: which tensors it may touch, and whether a loop begins or ends with it. */
interface Draft {
  readonly picks: readonly number[];
  readonly opens: boolean;
  readonly closes: boolean;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  picks: fc.array(fc.nat(999), { minLength: 1, maxLength: 4 }),
  opens: fc.boolean(),
  closes: fc.boolean(),
});

/** Steps with loops in loops, in which every read has a write before it. */
export const stepGraphs: fc.Arbitrary<StepGraph> = fc.record({
  sizes: fc.array(
    fc.tuple(fc.nat(FORMS.length - 1), fc.integer({ min: 1, max: 9 }), fc.nat(9)),
    { minLength: 2, maxLength: 9 },
  ),
  drafts: fc.array(draft, { minLength: 3, maxLength: 14 }),
}).map(({ sizes, drafts }) => {
  const graph = new StepGraph();
  const tensors = sizes.map(([form, k, lives], i) =>
    graph.tensor(`t${i}`, { bytes: FORMS[form](k), lives: lives === 0 ? "always" : "step" })
  );
  const written = new Set(tensors.filter(({ lives }) => lives === "always"));
  const queue = [...drafts];
  addOps(graph, { queue, tensors, written, depth: 0 });
  return graph;
});

function addOps(
  graph: StepGraph,
  by: {
    queue: Draft[];
    tensors: readonly GraphTensor[];
    written: Set<GraphTensor>;
    depth: number;
  },
): void {
  const { queue, tensors, written, depth } = by;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const uses: Record<keyof Omit<GraphOp, "name">, GraphTensor[]> = {
      reads: [],
      writes: [],
      updates: [],
      scratch: [],
    };
    for (const pick of next.picks) {
      const tensor = tensors[pick % tensors.length];
      if (Object.values(uses).flat().includes(tensor)) continue;
      const kind = Math.floor(pick / tensors.length) % 4;
      if (kind === 3 && !written.has(tensor)) uses.scratch.push(tensor);
      else if (!written.has(tensor) || kind === 2) uses.writes.push(tensor);
      else uses[kind === 0 ? "reads" : "updates"].push(tensor);
    }
    graph.op(`op${graph.ops.length}`, uses);
    uses.writes.forEach((tensor) => written.add(tensor));
    if (next.opens && depth < 2) graph.repeat(3, () => addOps(graph, { ...by, depth: depth + 1 }));
    else if (next.closes && depth > 0) return;
  }
}

/**
 * Runs a graph's step twice with every loop turned three times: each write leaves a mark of its own
 * in every byte of its tensor, and each read finds all of the last one's.
 */
export function assertRuns(graph: StepGraph, plan: MemoryPlan, at: SymbolValues): void {
  const buffers = plan.buffers.map(({ capacity }) =>
    new Int32Array(capacity.evaluate(at)).fill(-1)
  );
  const marks = new Map<GraphTensor, number>();
  let mark = 0;
  const bytesOf = (tensor: GraphTensor) => {
    const { buffer, offset, size } = plan.places[tensor.id];
    const [start, bytes] = [offset.evaluate(at), tensor.bytes.evaluate(at)];
    assert(start >= 0 && bytes <= size.evaluate(at), `${tensor.name} at ${JSON.stringify(at)}`);
    assert(start + bytes <= buffers[buffer].length, `${tensor.name} ends within its buffer`);
    return buffers[buffer].subarray(start, start + bytes);
  };
  const write = (tensor: GraphTensor) => {
    marks.set(tensor, ++mark);
    bytesOf(tensor).fill(mark);
  };
  const read = (tensor: GraphTensor, op: string) => {
    const expected = marks.get(tensor)!;
    const isWhole = bytesOf(tensor).every((byte) => byte === expected);
    assert(isWhole, `${op} reads ${tensor.name} as it was written, ${JSON.stringify(at)}`);
  };
  for (const { lives, id } of graph.tensors) if (lives === "always") write(graph.tensors[id]);
  for (let step = 0; step < 2; step++) {
    for (const { name, reads, writes, updates, scratch } of unrolled(graph, 0, graph.ops.length)) {
      scratch.forEach(write);
      [...reads, ...updates].forEach((tensor) => read(tensor, name));
      [...writes, ...updates].forEach(write);
      [...reads, ...writes, ...updates].forEach((tensor) => read(tensor, name));
    }
    for (const tensor of graph.tensors) if (tensor.lives === "always") read(tensor, "the end");
  }
}

/** Operations first .. end − 1 as they run: loops, outermost first, turn three times. */
function* unrolled(graph: StepGraph, first: number, end: number, outer = -1): Generator<GraphOp> {
  for (let op = first; op < end;) {
    // Inner loops are recorded before those that they are in.
    const index = graph.loops.findLastIndex((loop, i) =>
      loop.first === op && loop.end <= end && (outer < 0 || i < outer)
    );
    if (index < 0) {
      yield graph.ops[op++];
      continue;
    }
    const loop = graph.loops[index];
    for (let turn = 0; turn < 3; turn++) yield* unrolled(graph, loop.first, loop.end, index);
    op = loop.end;
  }
}
