/** Blocks of keys that heads choose: what queries make of them, and a table of the chosen ones. */
import { assertEquals } from "@std/assert";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { CacheType } from "./attention_extremes.ts";
import type { KernelCase } from "./cases.ts";
import { cacheOf } from "./cases_chosen.ts";
import { assertClose, randomFloats } from "./data.ts";

export const blockCases: readonly KernelCase[] = [
  scoreCase("f32"),
  scoreCase("i16"),
  {
    name: "list_blocks",
    sweep: sweepList,
    legalCall: (arena) => [
      ...[arena.put(Uint32Array.of(5, 7, 9, 1)), 4, arena.put(Uint32Array.of(0, 1)), 2, 2],
      arena.place(16),
    ],
    addresses: [0, 2, 5],
    counts: [3, 4],
  },
];

function scoreCase(type: CacheType): KernelCase {
  return {
    name: `score_blocks_${type}`,
    sweep(arena) {
      for (const [heads, headDim] of [[1, 4], [2, 64], [5, 20]]) {
        for (const positions of [1, 32, 33, 64, 65, 200]) {
          for (const [blockPositions, last] of [[32, 0], [32, 2], [64, 1], [128, 9]]) {
            sweepScores(arena, { type, heads, headDim, positions, blockPositions, last });
          }
        }
      }
    },
    legalCall: (arena) => [
      ...[arena.place(2 * 12 * 4), arena.place(4096), arena.put(Uint32Array.of(1, 0)), 2],
      ...[33, 2, 12, 32, 1, arena.place(16), 2],
      arena.place(arena.kernels.attention_scratch_bytes(1, 2, 2, 12)),
    ],
    addresses: [0, 1, 2, 9, 11],
    counts: [3, 4, 5, 6, 7],
  };
}

function sweepScores(
  arena: TestArena,
  shape: {
    readonly type: CacheType;
    readonly heads: number;
    readonly headDim: number;
    readonly positions: number;
    readonly blockPositions: number;
    readonly last: number;
  },
): void {
  const { type, heads, headDim, positions, blockPositions, last } = shape;
  const rng = new Rng(heads + positions);
  arena.reset();
  const query = randomFloats(rng, heads * headDim), keys = randomFloats(rng, positions * headDim);
  const count = Math.ceil(positions / blockPositions), stride = count + 3;
  const expected = new Float32Array(heads * count).fill(-Infinity);
  for (let head = 0; head < heads; head++) {
    for (let p = 0; p < positions; p++) {
      let dot = 0;
      for (let i = 0; i < headDim; i++) dot += query[head * headDim + i] * keys[p * headDim + i];
      const at = head * count + Math.floor(p / blockPositions);
      expected[at] = Math.max(expected[at], dot);
    }
  }
  const { at, table, blocks } = cacheOf(arena, type, { x: keys, headDim, what: "keys" });
  const q = arena.put(query, 4), bytes = ((heads - 1) * stride + count) * 4;
  const to = arena.place(bytes);
  const scratchBytes = arena.kernels.attention_scratch_bytes(1, heads, heads, headDim);
  const scratch = arena.place(scratchBytes);
  const score = arena.kernels[`score_blocks_${type}`];
  const of = [heads, headDim, blockPositions, last] as const;
  arena.run(
    () => score(q, at, table, blocks, positions, ...of, to, stride, scratch),
    [to, bytes],
    [scratch, scratchBytes],
  );
  const got = arena.floats(to, bytes / 4);
  const label = JSON.stringify(shape), seen = Math.max(0, count - last);
  for (let head = 0; head < heads; head++) {
    const row = got.subarray(head * stride, head * stride + count);
    const wanted = expected.subarray(head * count, head * count + seen);
    assertClose(row.subarray(0, seen), wanted, type === "f32" ? 1e-5 : 1e-3, label);
    assertEquals([...row.subarray(seen)], Array(count - seen).fill(Infinity), label);
  }
}

function sweepList(arena: TestArena): void {
  for (const [each, list] of [[1, [0, 3]], [2, [1]], [4, [0, 2]], [3, []]] as const) {
    arena.reset();
    const numbers = [9, 8, 7, 6, 5, 4, 3, 2, 1];
    const table = arena.put(Uint32Array.from(numbers), 4);
    const at = arena.put(Uint32Array.from(list), 4), bytes = 4 * each * list.length;
    const to = arena.place(bytes);
    arena.run(
      () => arena.kernels.list_blocks(table, numbers.length, at, list.length, each, to),
      [to, bytes],
    );
    const got = Array.from(new Uint32Array(arena.slice(to, bytes).buffer));
    const expected = list.flatMap((block) =>
      Array.from({ length: each }, (_, i) => numbers[Math.min(block * each + i, 8)])
    );
    assertEquals(got, expected);
  }
}
