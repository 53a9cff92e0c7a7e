/** Keys that an indexer chooses: scores of positions, the best of them, and these side by side. */
import { assert, assertEquals } from "@std/assert";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { CacheType } from "./attention_extremes.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats } from "./data.ts";

export const chosenCases: readonly KernelCase[] = [
  scoreCase("f32"),
  scoreCase("i16"),
  gatherCase("f32"),
  gatherCase("i16"),
  {
    name: "choose_positions",
    sweep: sweepChoice,
    legalCall: (arena) => [arena.place(256), 64, 5, arena.place(20), scratchOf(arena)],
    addresses: [0, 3, 4],
    counts: [1, 2],
  },
  {
    name: "choose_scratch_bytes",
    sweep: (arena) => assert(arena.kernels.choose_scratch_bytes() <= 8192),
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
];

function scratchOf(arena: TestArena): number {
  return arena.place(arena.kernels.choose_scratch_bytes());
}

/** A sequence in a cache of one head, in blocks in reverse, of which one is no one's. */
export function cacheOf(
  arena: TestArena,
  type: CacheType,
  { x, headDim, what }: { x: Float32Array; headDim: number; what: "keys" | "values" },
): { at: number; table: number; blocks: number } {
  const positions = x.length / headDim;
  const used = Math.ceil(positions / 32), blocks = used + 1;
  const table = arena.put(Uint32Array.from({ length: used }, (_, i) => used - i), 4);
  const width = what === "keys" ? headDim : Math.ceil(headDim / 16) * 16;
  const at = arena.place(blocks * (32 * width * (type === "i16" ? 2 : 4) + 128));
  const from = arena.put(x);
  const store = arena.kernels[`store_${what}_${type}`];
  store(from, headDim, at, table, blocks, 0, positions, 1, headDim);
  return { at, table, blocks };
}

function scoreCase(type: CacheType): KernelCase {
  return {
    name: `score_positions_${type}`,
    sweep(arena) {
      for (const [heads, headDim] of [[1, 4], [2, 64], [4, 8], [5, 20], [64, 128]]) {
        for (const positions of [1, 31, 32, 33, 100]) {
          sweepScores(arena, { type, heads, headDim, positions });
        }
      }
    },
    legalCall: (arena) => [
      ...[arena.place(2 * 12 * 4), arena.place(8), arena.place(4096)],
      ...[arena.put(Uint32Array.of(1, 0)), 2, 33, 2, 12, arena.place(256)],
      arena.place(arena.kernels.attention_scratch_bytes(1, 2, 2, 12)),
    ],
    addresses: [0, 1, 2, 3, 8, 9],
    counts: [4, 5, 6, 7],
  };
}

function sweepScores(
  arena: TestArena,
  shape: { type: CacheType; heads: number; headDim: number; positions: number },
): void {
  const { type, heads, headDim, positions } = shape;
  const rng = new Rng(heads + positions);
  arena.reset();
  const [query, weights] = [randomFloats(rng, heads * headDim), randomFloats(rng, heads)];
  const keys = randomFloats(rng, positions * headDim);
  const expected = Float32Array.from({ length: positions }, (_, p) => {
    let score = 0;
    for (let head = 0; head < heads; head++) {
      let dot = 0;
      for (let i = 0; i < headDim; i++) dot += query[head * headDim + i] * keys[p * headDim + i];
      score += weights[head] * Math.max(0, dot);
    }
    return score;
  });
  const { at, table, blocks } = cacheOf(arena, type, { x: keys, headDim, what: "keys" });
  const [q, w] = [arena.put(query, 4), arena.put(weights, 4)];
  const bytes = Math.ceil(positions / 32) * 128, to = arena.place(bytes);
  const scratchBytes = arena.kernels.attention_scratch_bytes(1, heads, heads, headDim);
  const scratch = arena.place(scratchBytes);
  const score = arena.kernels[`score_positions_${type}`];
  arena.run(
    () => score(q, w, at, table, blocks, positions, heads, headDim, to, scratch),
    [to, bytes],
    [scratch, scratchBytes],
  );
  const tolerance = type === "f32" ? 1e-5 : 1e-3;
  assertClose(arena.floats(to, positions), expected, tolerance, JSON.stringify(shape));
}

function sweepChoice(arena: TestArena): void {
  for (const n of [1, 2, 33, 1000, 5000]) {
    for (const [label, x] of rowsOf(n, new Rng(n))) {
      for (const k of [0, 1, 2, 16, n >> 1, n - 1, n].filter((each) => each <= n)) {
        arena.reset();
        const at = arena.put(x, 4), list = arena.place(4 * k);
        const scratch = scratchOf(arena), bytes = arena.kernels.choose_scratch_bytes();
        arena.run(
          () => arena.kernels.choose_positions(at, n, k, list, scratch),
          [list, 4 * k],
          [scratch, bytes],
        );
        const order = Array.from(x, (_, i) => i).sort((a, b) => x[b] - x[a] || a - b);
        const expected = order.slice(0, k).sort((a, b) => a - b);
        const got = Array.from(new Uint32Array(arena.slice(list, 4 * k).buffer));
        assertEquals(got, expected, `${k} of ${n} ${label}`);
      }
    }
  }
}

function* rowsOf(n: number, rng: Rng): Generator<[string, Float32Array]> {
  const random = randomFloats(rng, n, 3);
  yield ["random", random];
  yield ["ties", random.map((value) => Math.round(value))];
  yield ["equal", new Float32Array(n).fill(-2.5)];
  yield ["nearly equal", random.map((_, i) => 1 + (i % 7) * 2 ** -23)];
  yield ["ascending", random.toSorted()];
  yield ["denormals", random.map((value) => value * 2 ** -140)];
  yield ["signed zeros", random.map((value) => value > 0 ? 0 : -0)];
  yield ["infinite", random.map((value) => value > 3 ? Infinity : value < -3 ? -Infinity : value)];
}

function gatherCase(type: CacheType): KernelCase {
  return {
    name: `gather_positions_${type}`,
    sweep(arena) {
      for (const [headDim, valueDim] of [[4, 4], [24, 20], [72, 64], [64, 16]]) {
        for (const count of [1, 16, 17, 32, 33, 70]) {
          sweepGather(arena, { type, headDim, valueDim, count });
        }
      }
    },
    legalCall: (arena) => [
      ...[arena.place(8192), arena.place(8192), arena.put(Uint32Array.of(1, 0)), 2],
      ...[arena.put(Uint32Array.from({ length: 33 }, (_, i) => i + 3)), 33, 64, 12, 12],
      ...[arena.place(8192), arena.place(8192), arena.place(8)],
    ],
    addresses: [0, 1, 2, 4, 9, 10, 11],
    counts: [3, 5, 6, 7, 8],
  };
}

/** What is put side by side is what storing these positions by themselves would have left. */
function sweepGather(
  arena: TestArena,
  shape: { type: CacheType; headDim: number; valueDim: number; count: number },
): void {
  const { type, headDim, valueDim, count } = shape;
  const rng = new Rng(headDim + count);
  const positions = 2 * count + 5;
  arena.reset();
  const list = Uint32Array.from({ length: count }, (_, i) => 2 * i + rng.int(2) + (i > 9 ? 3 : 0));
  const make = (dim: number, what: "keys" | "values") => {
    const x = randomFloats(rng, positions * dim);
    const own = Float32Array.from(
      { length: count * dim },
      (_, i) => x[list[Math.floor(i / dim)] * dim + i % dim],
    );
    const width = what === "keys" ? dim : Math.ceil(dim / 16) * 16;
    const elementBytes = 32 * width * (type === "i16" ? 2 : 4);
    return { x, own, dim, bytes: elementBytes + (type === "i16" ? 128 : 0), elementBytes };
  };
  const made = Math.ceil(count / 32);
  const [keys, values] = [make(headDim, "keys"), make(valueDim, "values")];
  const cached = [cacheOf(arena, type, { x: keys.x, headDim, what: "keys" })];
  cached.push(cacheOf(arena, type, { x: values.x, headDim: valueDim, what: "values" }));
  const [{ at: k, table, blocks }, { at: v }] = cached;
  const [toK, toV] = [arena.place(made * keys.bytes), arena.place(made * values.bytes)];
  const [toTable, listAt] = [arena.place(4 * made), arena.put(list, 4)];
  const of = [positions, headDim, valueDim] as const;
  const gather = arena.kernels[`gather_positions_${type}`];
  arena.run(
    () => gather(k, v, table, blocks, listAt, count, ...of, toK, toV, toTable),
    [toK, made * keys.bytes],
    [toV, made * values.bytes],
    [toTable, 4 * made],
  );
  const numbers = new Uint32Array(arena.slice(toTable, 4 * made).buffer);
  assertEquals(Array.from(numbers), Array.from({ length: made }, (_, i) => i));
  assertAttends(arena, shape, { keys: keys.own, values: values.own, toK, toV, toTable });
}

/** Attention over both has the same bits. */
function assertAttends(
  arena: TestArena,
  shape: { type: CacheType; headDim: number; valueDim: number; count: number },
  by: { keys: Float32Array; values: Float32Array; toK: number; toV: number; toTable: number },
): void {
  const { type, headDim, valueDim, count } = shape;
  const query = arena.put(randomFloats(new Rng(count), 3 * headDim));
  const own = cacheOf(arena, type, { x: by.keys, headDim, what: "keys" });
  const { at } = cacheOf(arena, type, { x: by.values, headDim: valueDim, what: "values" });
  const scratch = arena.place(arena.kernels.attention_scratch_bytes(1, 3, 3, headDim));
  const attend = arena.kernels[`attention_${type}`];
  const run = (keys: number, values: number, table: number, blocks: number) => {
    const out = arena.place(3 * valueDim * 4);
    const nothing = [0, 0, 0, 0, 0, 0] as const;
    const place = [1, count - 1, 3, 0, 3, headDim, valueDim, 0, 0.3, ...nothing, count] as const;
    attend(
      query,
      3 * headDim,
      keys,
      values,
      1,
      table,
      blocks,
      out,
      3 * valueDim,
      scratch,
      ...place,
    );
    return arena.floats(out, 3 * valueDim);
  };
  const expected = run(own.at, at, own.table, own.blocks);
  const got = run(by.toK, by.toV, by.toTable, Math.ceil(count / 32));
  assertEquals(got, expected, JSON.stringify(shape));
}
