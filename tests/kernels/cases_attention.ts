/** The key/value cache and attention over it. */
import { assert, assertEquals } from "@std/assert";
import { attention, f16ToNumber, numberToF16 } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

type CacheType = "f16" | "f32";

export const attentionCases: readonly KernelCase[] = [
  storeCase("f16"),
  storeCase("f32"),
  {
    name: "attention_scratch_bytes",
    sweep(arena) {
      const bytes = arena.kernels.attention_scratch_bytes(64, 4096, 32, 4, 128);
      assert(bytes > 0 && bytes < 2 ** 26, `${bytes} bytes of scratch`);
      for (let n = 1; n < 64; n++) {
        assert(arena.kernels.attention_scratch_bytes(n, 9, 32, 4, 128) <= bytes, "grows with n");
      }
    },
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
  attentionCase("f16"),
  attentionCase("f32"),
];

function storeCase(type: CacheType): KernelCase {
  const name = `store_${type}` as const;
  const bytes = type === "f16" ? 2 : 4;
  return {
    name,
    sweep(arena) {
      for (const d of [1, 3, 4, 5, 8, 63, 64, 1024]) {
        for (const n of [1, 3]) {
          const rng = new Rng(d);
          arena.reset();
          const src = floatsToStore(rng, n * (d + 1));
          const at = arena.put(src, 4);
          const dstStride = (d + 3) * bytes;
          const dst = arena.place(n * dstStride, 2);
          arena.run(
            () => arena.kernels[name](at, d + 1, dst, dstStride, n, d),
            ...Array.from({ length: n }, (_, t) => [dst + t * dstStride, d * bytes] as const),
          );
          for (let t = 0; t < n; t++) {
            const row = src.slice(t * (d + 1), t * (d + 1) + d);
            const expected = type === "f32"
              ? new Uint8Array(row.buffer)
              : new Uint8Array(Uint16Array.from(row, finiteF16).buffer);
            assertEquals(arena.slice(dst + t * dstStride, d * bytes), expected);
          }
        }
      }
    },
    legalCall: (arena) => [arena.place(512), 64, arena.place(512), 256, 2, 60],
    addresses: [0, 2],
    counts: [1, 3, 4, 5],
  };
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
  /** Factor of the queries: large ones make the softmax sharp. */
  readonly size: number;
  /** Of the scores; 0 = none. */
  readonly softCap: number;
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
      arena.place(4096), // kCache
      arena.place(4096), // vCache
      128,
      arena.place(512), // out
      64,
      arena.place(arena.kernels.attention_scratch_bytes(2, 7, 2, 2, 32)),
      2, // n
      5, // p0
      2, // heads
      0, // headOffset
      2, // groupSize
      32, // headDim
      0, // window
      0.2,
      20, // softCap
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
    size: 1,
    softCap: 0,
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
  for (const softCap of [0.5, 50]) {
    yield { ...usual, n: 1, p0: 70, softCap, size: 4 };
    yield { ...usual, n: 40, p0: 9, softCap, size: 4, window: 33 };
  }
  yield { ...usual, n: 3, p0: 700, headDim: 64, size: 30 };
  yield { ...usual, n: 20, p0: 300, headDim: 64, size: 30 };
  yield { ...usual, n: 3, p0: 20, size: 0 };
}

function sweepShape(arena: TestArena, shape: Shape): void {
  const { type, n, p0, heads, headOffset, groupSize, headDim, window, size, softCap } = shape;
  const rng = new Rng(n * 1000 + p0 + headDim);
  const label = `attention_${type} ${JSON.stringify(shape)}`;
  arena.reset();
  const kvHeads = Math.floor((heads - 1 + headOffset) / groupSize) + 1;
  const positions = p0 + n;
  const q = randomFloats(rng, n * (heads * headDim + 4), size);
  const [k, v] = [0, 1].map(() => randomFloats(rng, positions * kvHeads * headDim));
  const qAt = arena.put(q, 4);
  const kvStride = (kvHeads * headDim + 8) * (type === "f16" ? 2 : 4);
  const [keys, values] = [k, v].map((cache) => placeCache(arena, type, cache, positions, kvStride));
  const outStride = heads * headDim + 12;
  const out = arena.place(4 * n * outStride, 4);
  const scratchBytes = arena.kernels.attention_scratch_bytes(
    n,
    positions,
    heads,
    groupSize,
    headDim,
  );
  const scratch = arena.place(scratchBytes);
  const scale = 1 / Math.sqrt(headDim);
  // deno-fmt-ignore
  arena.run(
    () => arena.kernels[`attention_${type}`](
      qAt, heads * headDim + 4, keys.at, values.at, kvStride, out, outStride, scratch,
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

/** Rows of a cache at a stride; what they stand for after conversion. */
function placeCache(
  arena: TestArena,
  type: CacheType,
  values: Float32Array,
  positions: number,
  kvStride: number,
): { at: number; exact: Float32Array } {
  const width = values.length / positions;
  const data = type === "f16" ? Uint16Array.from(values, numberToF16) : values;
  const at = arena.place(positions * kvStride, 4);
  for (let p = 0; p < positions; p++) {
    const row = data.slice(p * width, (p + 1) * width);
    arena.bytes.set(new Uint8Array(row.buffer), at + p * kvStride);
  }
  const exact = type === "f16" ? Float32Array.from(data, f16ToNumber) : values;
  return { at, exact };
}
