/** The key/value cache and attention over it. */
import { assert, assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { KV_BLOCK_POSITIONS, VALUE_PAD_ELEMENTS } from "../../src/memory/kv_layout.ts";
import { attention, f16ToNumber, numberToF16 } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

type CacheType = "f16" | "f32";

export const attentionCases: readonly KernelCase[] = [
  storeCase("keys", "f16"),
  storeCase("keys", "f32"),
  storeCase("values", "f16"),
  storeCase("values", "f32"),
  {
    name: "attention_scratch_bytes",
    sweep(arena) {
      const bytes = arena.kernels.attention_scratch_bytes(64, 32, 4, 128);
      assert(bytes > 0 && bytes < 2 ** 26, `${bytes} bytes of scratch`);
      for (let n = 1; n < 64; n++) {
        assert(arena.kernels.attention_scratch_bytes(n, 32, 4, 128) <= bytes, "grows with n");
      }
    },
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
  attentionCase("f16"),
  attentionCase("f32"),
];

function storeCase(what: "keys" | "values", type: CacheType): KernelCase {
  const name = `store_${what}_${type}` as const;
  return {
    name,
    sweep(arena) {
      for (const headDim of [4, 8, 20, 64, 128]) {
        for (const kvHeads of [1, 3]) {
          for (const [p0, n] of [[0, 1], [0, 33], [31, 1], [31, 2], [40, 9], [64, 64]]) {
            sweepStore(arena, { what, type, headDim, kvHeads, p0, n });
          }
        }
      }
    },
    legalCall: (arena) => [arena.place(512), 64, arena.place(4096), 3, 2, 2, 12],
    addresses: [0, 2],
    counts: [1, 3, 4, 5, 6],
  };
}

/** Stores new positions beside old ones; every other element of the cache stays as it was. */
function sweepStore(
  arena: TestArena,
  { what, type, headDim, kvHeads, p0, n }: {
    what: "keys" | "values";
    type: CacheType;
    headDim: number;
    kvHeads: number;
    p0: number;
    n: number;
  },
): void {
  const rng = new Rng(headDim + p0);
  const width = kvHeads * headDim;
  arena.reset();
  const src = floatsToStore(rng, n * (width + 1));
  const at = arena.put(src, 4);
  const old = randomFloats(rng, (p0 + n) * width);
  const shape = { what, type, headDim, kvHeads };
  const cache = layOut(shape, old, p0 + n);
  const expected = old.slice();
  for (let t = 0; t < n; t++) {
    expected.set(src.subarray(t * (width + 1), t * (width + 1) + width), (p0 + t) * width);
  }
  const to = arena.put(cache, 4);
  arena.run(
    () => arena.kernels[`store_${what}_${type}`](at, width + 1, to, p0, n, kvHeads, headDim),
    [to, cache.byteLength],
  );
  assertEquals(
    arena.slice(to, cache.byteLength),
    new Uint8Array(layOut(shape, expected, p0 + n).buffer),
    JSON.stringify({ ...shape, p0, n }),
  );
}

/** The bytes of a cache that holds x [positions, kvHeads, headDim]; zero where there is nothing. */
function layOut(
  { what, type, headDim, kvHeads }: {
    what: "keys" | "values";
    type: CacheType;
    headDim: number;
    kvHeads: number;
  },
  x: Float32Array,
  positions: number,
): Float32Array | Uint16Array {
  const blocks = Math.ceil(positions / KV_BLOCK_POSITIONS);
  const rowElements = what === "keys" ? headDim : alignUp(headDim, VALUE_PAD_ELEMENTS);
  const count = blocks * KV_BLOCK_POSITIONS * kvHeads * rowElements;
  const out = type === "f16" ? new Uint16Array(count) : new Float32Array(count);
  for (let p = 0; p < positions; p++) {
    const inBlock = p % KV_BLOCK_POSITIONS;
    for (let g = 0; g < kvHeads; g++) {
      const head = (Math.floor(p / KV_BLOCK_POSITIONS) * kvHeads + g) * KV_BLOCK_POSITIONS;
      for (let i = 0; i < headDim; i++) {
        const value = x[(p * kvHeads + g) * headDim + i];
        const place = what === "keys"
          ? head * headDim + i * KV_BLOCK_POSITIONS + inBlock
          : (head + inBlock) * rowElements + i;
        out[place] = type === "f16" ? finiteF16(value) : value;
      }
    }
  }
  return out;
}

/** Numbers of every size that f16 knows, ties, subnormals and what is too large. */
function floatsToStore(rng: Rng, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    if (i % 17 === 3) return (1 + rng.int(4096) / 2048) * 2 ** (rng.int(30) - 15); // ties
    if (i % 17 === 5) return rng.int(4096) * 2 ** -25; // subnormal, ties
    if (i % 17 === 7) return [0, -0, 65504, 65519.9, 65520, -1e9, Infinity, -Infinity][rng.int(8)];
    return rng.normal() * 2 ** (rng.int(40) - 25);
  });
}

/** The nearest finite f16. */
function finiteF16(value: number): number {
  return numberToF16(Math.max(-65504, Math.min(65504, value)));
}

interface Shape {
  readonly type: CacheType;
  readonly n: number;
  readonly p0: number;
  readonly heads: number;
  readonly headOffset: number;
  readonly groupSize: number;
  readonly headDim: number;
  readonly window: number;
  readonly softCap: number;
  /** Factor of the queries: large ones make the softmax sharp. */
  readonly size: number;
}

function attentionCase(type: CacheType): KernelCase {
  return {
    name: `attention_${type}`,
    sweep(arena) {
      for (const shape of attentionShapes(type)) sweepShape(arena, shape);
    },
    legalCall: (arena) => [
      arena.place(512), // q
      64,
      arena.place(4096), // keys
      arena.place(4096), // values
      1, // kvHeads
      arena.place(512), // out
      64,
      arena.place(arena.kernels.attention_scratch_bytes(2, 2, 2, 32)),
      2, // n
      5, // p0
      2, // heads
      0, // headOffset
      2, // groupSize
      32, // headDim
      0, // window
      0.2,
      0, // softCap
    ],
    addresses: [0, 2, 3, 5, 7],
    counts: [1, 4, 6, 8, 9, 10, 11, 13],
  };
}

function* attentionShapes(type: CacheType): Generator<Shape> {
  const usual = {
    type,
    n: 1,
    p0: 0,
    heads: 4,
    headOffset: 0,
    groupSize: 2,
    headDim: 32,
    window: 0,
    softCap: 0,
    size: 1,
  };
  for (const headDim of [4, 8, 16, 32, 64, 80, 96, 100, 128]) {
    yield { ...usual, headDim, n: 1, p0: 37 };
    yield { ...usual, headDim, n: 19, p0: 5 };
  }
  for (const groupSize of [1, 2, 3, 4, 7, 8]) {
    for (const headOffset of [0, 1, groupSize - 1]) {
      yield { ...usual, heads: groupSize + 1, groupSize, headOffset, n: 1, p0: 70 };
      yield { ...usual, heads: 2 * groupSize, groupSize, headOffset, n: 6, p0: 3 };
    }
  }
  for (const n of [1, 2, 3, 4, 5, 16, 17, 64]) {
    for (const p0 of [0, 1, 31, 32, 33, 63, 64, 65, 130]) yield { ...usual, n, p0, headDim: 16 };
  }
  for (const window of [1, 2, 5, 32, 33, 64, 100]) {
    yield { ...usual, n: 1, p0: 99, window };
    yield { ...usual, n: 40, p0: 0, window };
    yield { ...usual, n: 9, p0: 150, window };
  }
  for (const softCap of [0.5, 5, 50]) {
    for (const n of [1, 3, 20]) yield { ...usual, n, p0: 70, softCap, size: 4, window: 50 };
  }
  yield { ...usual, n: 3, p0: 700, headDim: 64, size: 30 };
  yield { ...usual, n: 20, p0: 300, headDim: 64, size: 30 };
  yield { ...usual, n: 3, p0: 20, size: 0 };
}

function sweepShape(arena: TestArena, shape: Shape): void {
  const { type, n, p0, heads, headOffset, groupSize, headDim, window, softCap, size } = shape;
  const rng = new Rng(n * 1000 + p0 + headDim);
  const label = `attention_${type} ${JSON.stringify(shape)}`;
  arena.reset();
  const kvHeads = Math.floor((heads - 1 + headOffset) / groupSize) + 1;
  const positions = p0 + n;
  const q = randomFloats(rng, n * (heads * headDim + 4), size);
  const [k, v] = [0, 1].map(() => randomFloats(rng, positions * kvHeads * headDim));
  const qAt = arena.put(q, 4);
  const [keys, values] = (["keys", "values"] as const).map((what, index) =>
    placeCache(arena, { what, type, headDim, kvHeads }, index === 0 ? k : v, positions)
  );
  const outStride = heads * headDim + 12;
  const out = arena.place(4 * n * outStride, 4);
  const scratchBytes = arena.kernels.attention_scratch_bytes(n, heads, groupSize, headDim);
  const scratch = arena.place(scratchBytes);
  const scale = 1 / Math.sqrt(headDim);
  // deno-fmt-ignore
  arena.run(
    () => arena.kernels[`attention_${type}`](
      qAt, heads * headDim + 4, keys.at, values.at, kvHeads, out, outStride, scratch,
      n, p0, heads, headOffset, groupSize, headDim, window, scale, softCap,
    ),
    [out, 4 * n * outStride],
    [scratch, scratchBytes],
  );
  const got = arena.floats(out, n * outStride);
  const expected = attention(
    { q: unstride(q, n, heads * headDim + 4, heads * headDim), k: keys.exact, v: values.exact },
    { p0, heads, kvHeads, groupSize, headOffset, headDim, window, scale, softCap },
  );
  assertClose(
    unstride(got, n, outStride, heads * headDim),
    expected,
    size > 1 ? 1e-10 : 2e-12,
    label,
  );
  for (let t = 0; t < n; t++) {
    const padding = got.subarray(t * outStride + heads * headDim, (t + 1) * outStride);
    assert(padding.every((value) => value === 0), `${label}: padding is zero`);
  }
}

/** A cache in its layout, garbage where there is nothing; what its elements stand for. */
function placeCache(
  arena: TestArena,
  shape: { what: "keys" | "values"; type: CacheType; headDim: number; kvHeads: number },
  x: Float32Array,
  positions: number,
): { at: number; exact: Float32Array } {
  const marked = layOut(shape, new Float32Array(x.length).fill(1), positions);
  const data = layOut(shape, x, positions);
  for (let i = 0; i < data.length; i++) if (marked[i] === 0) data[i] = i % 2 ? 7e4 : -3;
  const exact = shape.type === "f16" ? x.map((value) => f16ToNumber(finiteF16(value))) : x;
  return { at: arena.put(data, 4), exact };
}
