/** What choosing a token needs: the largest score, the k largest. */
import { assertEquals } from "@std/assert";
import * as ops from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { randomFloats } from "./data.ts";

/** Around vectors of 4 and 16, and the parts of 1024 that argmax_f32 works in. */
const COUNTS = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 255, 1023, 1024, 1025, 2047, 5000];

export const samplingCases: readonly KernelCase[] = [
  {
    name: "argmax_f32",
    sweep: sweepArgmax,
    legalCall: (arena) => [arena.place(256), 64],
    addresses: [0],
    counts: [1],
  },
  {
    name: "top_k_f32",
    sweep: sweepTopK,
    legalCall: (arena) => [arena.place(256), 64, 5, arena.place(20)],
    addresses: [0, 3],
    counts: [1, 2],
  },
];

/** Scores of every kind, by name. */
function* rowsOf(n: number, rng: Rng): Generator<[string, Float32Array]> {
  const random = randomFloats(rng, n, 3);
  yield ["random", random];
  yield ["ties", random.map((value) => Math.round(value))];
  yield ["equal", new Float32Array(n).fill(-2.5)];
  yield ["ascending", random.toSorted()];
  yield ["descending", random.toSorted().reverse()];
  yield ["denormals", random.map((value) => value * 2 ** -140)];
  yield ["signed zeros", random.map((value) => value > 0 ? 0 : -0)];
  const some = (value: number) => random.map((x) => rng.int(3) === 0 ? value : x);
  for (const value of [NaN, -Infinity, Infinity]) {
    yield [`some ${value}`, some(value)];
    yield [`all ${value}`, new Float32Array(n).fill(value)];
    // One number among what does not count, or is the most: at every place of a vector.
    yield [`one beside ${value}`, new Float32Array(n).fill(value).with(rng.int(n), 1)];
  }
  const last = new Float32Array(n).fill(-Infinity);
  yield ["NaN, then -Infinity", last.map((value, i) => i < n >> 1 ? NaN : value)];
}

function sweepArgmax(arena: TestArena): void {
  for (const n of COUNTS) {
    for (const [label, x] of rowsOf(n, new Rng(n))) {
      arena.reset();
      const at = arena.put(x, 4);
      const got = arena.run(() => arena.kernels.argmax_f32(at, n));
      assertEquals(got, ops.argmax(x), `${n} ${label}`);
    }
  }
}

function sweepTopK(arena: TestArena): void {
  for (const n of COUNTS) {
    const ks = [1, 2, 3, 40, n >> 1, n - 1, n, n + 1].filter((k) => k > 0);
    for (const [label, x] of rowsOf(n, new Rng(n))) {
      for (const k of new Set(ks)) {
        arena.reset();
        const at = arena.put(x, 4);
        const ids = arena.place(4 * k, 4);
        const count = arena.run(() => arena.kernels.top_k_f32(at, n, k, ids), [ids, 4 * k]);
        const got = new Uint32Array(arena.slice(ids, 4 * count).buffer);
        assertEquals(
          [...got.toSorted()],
          ops.topK(x, k).sort((a, b) => a - b),
          `${label} ${n} ${k}`,
        );
        // Nothing was turned away: then they are in order.
        if (x.filter((value) => value > -Infinity).length <= k) assertEquals(got, got.toSorted());
      }
    }
  }
  arena.reset();
  const at = arena.put(Float32Array.of(1));
  assertEquals(arena.run(() => arena.kernels.top_k_f32(at, 1, 0, at)), 0);
}
