/** Random expressions beside plain functions that say what they are: slow twins of src/shapes. */
import fc from "fast-check";
import type { Bounds } from "../../src/shapes/bounds.ts";
import { B, constant, type Expr, N, P, S, type SymbolValues } from "../../src/shapes/expr.ts";

/** An expression, and its value by plain arithmetic. */
export interface Twin {
  readonly e: Expr;
  readonly value: (at: SymbolValues) => number;
}

const LEAVES: readonly Twin[] = [
  { e: N, value: ({ N }) => N },
  { e: P, value: ({ P }) => P },
  { e: S, value: ({ P, N }) => P + N },
  { e: B, value: ({ B }) => B },
];

/** Trees of all operations; coefficients and depths that stay far below 2^53. */
export const twins: fc.Arbitrary<Twin> = fc.letrec<{ twin: Twin }>((tie) => {
  const pair = fc.tuple(tie("twin"), tie("twin"));
  const leaf = fc.oneof(
    fc.constantFrom(...LEAVES),
    fc.integer({ min: -9, max: 70 }).map((value): Twin => ({
      e: constant(value),
      value: () => value,
    })),
  );
  const two = (make: (a: Twin, b: Twin) => Twin) => pair.map(([a, b]) => make(a, b));
  const rounded = fc.tuple(tie("twin"), fc.integer({ min: 1, max: 12 }));
  return {
    twin: fc.oneof(
      { maxDepth: 4, depthSize: "small" },
      leaf,
      two((a, b) => ({ e: a.e.plus(b.e), value: (at) => a.value(at) + b.value(at) })),
      two((a, b) => ({ e: a.e.minus(b.e), value: (at) => a.value(at) - b.value(at) })),
      two((a, b) => ({ e: a.e.times(b.e), value: (at) => a.value(at) * b.value(at) })),
      two((a, b) => ({ e: a.e.max(b.e), value: (at) => Math.max(a.value(at), b.value(at)) })),
      rounded.map(([{ e, value }, k]): Twin => ({
        e: e.ceilDiv(k),
        value: (at) => Math.ceil(value(at) / k),
      })),
      rounded.map(([{ e, value }, k]): Twin => ({
        e: e.alignUp(k),
        value: (at) => Math.ceil(value(at) / k) * k,
      })),
    ),
  };
}).twin;

export const BOUNDS: Bounds = { tokensMax: 9, contextMax: 14, batchMax: 3 };

/** Every value that the symbols can have within the bounds. */
export function* admissible({ tokensMax, contextMax, batchMax }: Bounds): Generator<SymbolValues> {
  for (let N = 1; N <= Math.min(tokensMax, contextMax); N++) {
    for (let P = 0; P <= contextMax - N; P++) {
      for (let B = 1; B <= batchMax; B++) yield { N, P, B };
    }
  }
}

export const symbolValues: fc.Arbitrary<SymbolValues> = fc.record({
  N: fc.integer({ min: 1, max: 600 }),
  P: fc.integer({ min: 0, max: 5000 }),
  B: fc.integer({ min: 1, max: 4 }),
});
