/**
 * What a step does, as far as memory is concerned: tensors, and operations in the order in which
 * they run, each with what it reads and writes. A layer's operations are recorded once, as the body
 * of a loop. Says when a tensor must keep its bytes; knows nothing of what operations compute.
 */
import { check } from "../base/check.ts";
import { constant, type Expr, type ExprLike, toExpr } from "./expr.ts";

/** Bytes of an element. */
const ELEMENT_BYTES = { f32: 4, u32: 4, i32: 4, f16: 2, u8: 1, i8: 1 } as const;
export type ElementType = keyof typeof ELEMENT_BYTES;

/** Something in memory that operations read and write. */
export interface GraphTensor {
  /** Its place in `StepGraph.tensors`. */
  readonly id: number;
  readonly name: string;
  /** Without padding between tensors. */
  readonly bytes: Expr;
  /** "always": also between steps, and wherever no operation says so. */
  readonly lives: "step" | "always";
}

export type TensorOptions =
  & { readonly lives?: GraphTensor["lives"] }
  & (
    | { readonly shape: readonly ExprLike[]; readonly type: ElementType }
    | { readonly bytes: ExprLike }
  );

export interface GraphOp {
  readonly name: string;
  readonly reads: readonly GraphTensor[];
  /** Written as a whole: what was there before is not needed. */
  readonly writes: readonly GraphTensor[];
  /** Read and written, or written in part. */
  readonly updates: readonly GraphTensor[];
  /** Of no worth before and after. */
  readonly scratch: readonly GraphTensor[];
}

/** Operations first .. end − 1 run several times. */
export interface GraphLoop {
  readonly first: number;
  readonly end: number;
}

/**
 * A step, built in the order in which it runs. Alternatives follow one another: which of them runs
 * does not matter, as long as every read has its write in the same alternative or before both.
 */
export class StepGraph {
  readonly #tensors: GraphTensor[] = [];
  readonly #ops: GraphOp[] = [];
  readonly #loops: GraphLoop[] = [];

  get tensors(): readonly GraphTensor[] {
    return this.#tensors;
  }

  get ops(): readonly GraphOp[] {
    return this.#ops;
  }

  get loops(): readonly GraphLoop[] {
    return this.#loops;
  }

  tensor(name: string, options: TensorOptions): GraphTensor {
    const bytes = "bytes" in options ? toExpr(options.bytes) : options.shape.reduce(
      (product: Expr, size) => product.times(size),
      constant(ELEMENT_BYTES[options.type]),
    );
    const tensor = { id: this.#tensors.length, name, bytes, lives: options.lives ?? "step" };
    this.#tensors.push(tensor);
    return tensor;
  }

  op(name: string, uses: Partial<Omit<GraphOp, "name">>): void {
    const { reads = [], writes = [], updates = [], scratch = [] } = uses;
    for (const tensor of [...reads, ...writes, ...updates, ...scratch]) {
      check(this.#tensors[tensor.id] === tensor, `${name} uses tensors of its own graph`);
    }
    this.#ops.push({ name, reads, writes, updates, scratch });
  }

  /** What `body` adds runs `count` times, one after the other. */
  repeat(count: number, body: () => void): void {
    check(Number.isSafeInteger(count) && count >= 1, "a loop runs at least once");
    const first = this.#ops.length;
    body();
    const end = this.#ops.length;
    if (count > 1 && end > first) this.#loops.push({ first, end });
  }
}

/** During which operations a tensor must have its bytes to itself, first and last one included. */
export interface LiveRange {
  readonly first: number;
  readonly last: number;
}

/** When tensors of a graph live. */
export class Liveness {
  /** By tensor, then by operation: 1 where it lives. */
  readonly #at: readonly Uint8Array[];

  /** @throws when an operation reads what none before it has written: a bug. */
  constructor(graph: StepGraph) {
    this.#at = graph.tensors.map((tensor) => liveAt(graph, tensor));
  }

  isLive({ id }: GraphTensor, op: number): boolean {
    return this.#at[id][op] === 1;
  }

  /** True where both need their bytes during some operation. */
  liveTogether(a: GraphTensor, b: GraphTensor): boolean {
    const [one, other] = [this.#at[a.id], this.#at[b.id]];
    for (let op = 0; op < one.length; op++) if (one[op] === 1 && other[op] === 1) return true;
    return false;
  }

  ranges({ id }: GraphTensor): LiveRange[] {
    const ranges: LiveRange[] = [];
    this.#at[id].forEach((lives, op, at) => {
      if (lives === 0) return;
      const isNew = op === 0 || at[op - 1] === 0;
      if (isNew) ranges.push({ first: op, last: op });
      else ranges[ranges.length - 1] = { first: ranges[ranges.length - 1].first, last: op };
    });
    return ranges;
  }
}

/** Backwards through the operations, and around the loops until nothing changes any more. */
function liveAt({ ops, loops }: StepGraph, tensor: GraphTensor): Uint8Array {
  const lives = new Uint8Array(ops.length);
  if (tensor.lives === "always") return lives.fill(1);
  const before = new Uint8Array(ops.length + 1);
  for (let changed = true; changed;) {
    changed = false;
    for (let op = ops.length - 1; op >= 0; op--) {
      const { reads, writes, updates, scratch } = ops[op];
      const isWanted = before[op + 1] === 1 ||
        loops.some(({ first, end }) => end === op + 1 && before[first] === 1);
      const isRead = reads.includes(tensor) || updates.includes(tensor);
      const isMade = writes.includes(tensor);
      const isUsed = isRead || isMade || scratch.includes(tensor);
      lives[op] = isUsed || isWanted ? 1 : 0;
      const wantedBefore = isRead || isWanted && !isMade ? 1 : 0;
      if (before[op] !== wantedBefore) {
        before[op] = wantedBefore;
        changed = true;
      }
    }
  }
  const reader = ops.findIndex(({ reads, updates }) =>
    reads.includes(tensor) || updates.includes(tensor)
  );
  check(before[0] === 0, `${ops[reader]?.name} reads ${tensor.name}, which nothing has written`);
  return lives;
}
