/** The key/value cache and attention over it. */
import { assert, assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { BIAS_MAX, BIAS_REACH, BIAS_SPAN } from "../../src/memory/bias_layout.ts";
import {
  KV_BLOCK_POSITIONS,
  KV_LEVEL_MAX,
  KV_SCALES_BYTES,
  VALUE_PAD_ELEMENTS,
} from "../../src/memory/kv_layout.ts";
import { attention } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import { type CacheType, sweepBadNumber, sweepLargest } from "./attention_extremes.ts";
import { type AttentionCase, attentionShapes } from "./attention_shapes.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

export const attentionCases: readonly KernelCase[] = [
  storeCase("keys", "i16"),
  storeCase("keys", "f32"),
  storeCase("values", "i16"),
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
  attentionCase("i16"),
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
    legalCall: (arena) => [
      ...[arena.place(512), 64, arena.place(8192), arena.put(Uint32Array.of(1, 0)), 2],
      ...[31, 2, 2, 12],
    ],
    addresses: [0, 2, 3],
    counts: [1, 4, 5, 6, 7, 8],
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
  const table = randomTable(rng, p0 + n);
  const cache = scatter(layOut(shape, old, p0 + n), table);
  const expected = old.slice();
  for (let t = 0; t < n; t++) {
    expected.set(src.subarray(t * (width + 1), t * (width + 1) + width), (p0 + t) * width);
  }
  const to = arena.put(cache, 4);
  const tableAt = arena.put(table.numbers, 4);
  const store = arena.kernels[`store_${what}_${type}`];
  arena.run(
    () => store(at, width + 1, to, tableAt, table.blocks, p0, n, kvHeads, headDim),
    [to, cache.byteLength],
  );
  assertEquals(
    arena.slice(to, cache.byteLength),
    scatter(layOut(shape, expected, p0 + n), table),
    JSON.stringify({ ...shape, p0, n }),
  );
}

/** Where a sequence's blocks are among all: any order, and some are others'. */
interface Table {
  readonly numbers: Uint32Array;
  readonly blocks: number;
}

function randomTable(rng: Rng, positions: number): Table {
  const count = Math.ceil(positions / KV_BLOCK_POSITIONS);
  const blocks = count + rng.int(3);
  const order = Array.from({ length: blocks }, (_, block) => block);
  for (let i = blocks - 1; i > 0; i--) {
    const j = rng.int(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return { numbers: Uint32Array.from(order.slice(0, count)), blocks };
}

/** The bytes of a sequence's blocks in the places of a table, among others that are all 0xff. */
function scatter(bytes: Uint8Array, { numbers, blocks }: Table): Uint8Array {
  const blockBytes = bytes.length / numbers.length;
  const all = new Uint8Array(blocks * blockBytes).fill(0xff);
  numbers.forEach((number, i) =>
    all.set(bytes.subarray(i * blockBytes, (i + 1) * blockBytes), number * blockBytes)
  );
  return all;
}

/** What a cache is, as far as its layout goes. */
interface CacheShape {
  readonly what: "keys" | "values";
  readonly type: CacheType;
  readonly headDim: number;
  readonly kvHeads: number;
}

/** The bytes of a cache of x [positions, kvHeads, headDim]; `fill` where there is nothing. */
function layOut(shape: CacheShape, x: Float32Array, positions: number, fill = 0): Uint8Array {
  const { what, type, headDim, kvHeads } = shape;
  const rowElements = what === "keys" ? headDim : alignUp(headDim, VALUE_PAD_ELEMENTS);
  const isInteger = type === "i16";
  const elementBytes = KV_BLOCK_POSITIONS * rowElements * (isInteger ? 2 : 4);
  const pieceBytes = elementBytes + (isInteger ? KV_SCALES_BYTES : 0);
  const blocks = Math.ceil(positions / KV_BLOCK_POSITIONS);
  const bytes = new Uint8Array(blocks * kvHeads * pieceBytes).fill(fill);
  const out = new DataView(bytes.buffer);
  for (let p = 0; p < positions; p++) {
    const inBlock = p % KV_BLOCK_POSITIONS;
    for (let g = 0; g < kvHeads; g++) {
      const piece = (Math.floor(p / KV_BLOCK_POSITIONS) * kvHeads + g) * pieceBytes;
      const head = x.subarray((p * kvHeads + g) * headDim, (p * kvHeads + g + 1) * headDim);
      const { scale, levels } = toLevels(head);
      if (isInteger) out.setFloat32(piece + elementBytes + inBlock * 4, scale, true);
      for (let i = 0; i < headDim; i++) {
        // Rows and columns of the piece; over integers, two rows lie side by side: neighbours of
        // keys, positions 16 apart of values.
        const [row, column, width] = what === "keys"
          ? [i, inBlock, KV_BLOCK_POSITIONS]
          : [inBlock, i, rowElements];
        if (!isInteger) {
          out.setFloat32(piece + (row * width + column) * 4, head[i], true);
        } else {
          const [pair, half] = what === "keys"
            ? [Math.floor(row / 2), row % 2]
            : [row % 16, Math.floor(row / 16)];
          const place = (pair * width + column) * 2 + half;
          out.setInt16(piece + place * 2, levels[i], true);
        }
      }
    }
  }
  return bytes;
}

/** A head as integers and what a unit is worth, in the kernel's own arithmetic: f32. */
function toLevels(head: Float32Array): { scale: number; levels: number[] } {
  const largest = head.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  const scale = Math.fround(largest / KV_LEVEL_MAX);
  const inverse = scale > 1e-36 ? Math.fround(1 / scale) : 0;
  return { scale, levels: Array.from(head, (v) => roundToEven(Math.fround(v * inverse)) | 0) };
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** Numbers of every size, zeros, heads that are nothing or subnormal as a whole. */
function floatsToStore(rng: Rng, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const head = Math.floor(i / 64) % 5;
    if (head === 1) return 0;
    if (head === 2) return rng.normal() * 1e-40;
    if (i % 17 === 3) return [0, -0, 1, -1, 3e37, -3e37][rng.int(head === 3 ? 6 : 4)];
    return rng.normal() * 2 ** (rng.int(40) - 25);
  });
}

function attentionCase(type: CacheType): KernelCase {
  return {
    name: `attention_${type}`,
    sweep(arena) {
      for (const shape of attentionShapes(type)) sweepShape(arena, shape);
      sweepLargest(arena, type);
      // A float query of infinities may give scores of -Infinity only: nothing seen.
      for (const bad of type === "f32" ? [NaN] : [NaN, Infinity, -Infinity]) {
        for (const where of ["query", "key", "value"] as const) {
          sweepBadNumber(arena, type, bad, where);
        }
      }
    },
    legalCall: (arena) => [
      arena.place(512), // q
      64,
      arena.place(8192), // keys
      arena.place(8192), // values
      1, // kvHeads
      arena.put(Uint32Array.of(1, 0)), // table
      2, // blocks
      arena.place(512), // out
      64,
      arena.place(arena.kernels.attention_scratch_bytes(2, 2, 2, 32)),
      2, // n
      31, // p0
      2, // heads
      0, // headOffset
      2, // groupSize
      32, // headDim
      32, // valueDim
      0, // window
      0.2,
      0, // softCap
      arena.place(8), // sinks
      0, // chunk
      arena.place(8), // slopes
      arena.place(2 * 4 * BIAS_SPAN), // biases
      1, // ahead
      40, // end
    ],
    addresses: [0, 2, 3, 5, 7, 9, 20, 22, 23],
    counts: [1, 4, 6, 8, 10, 11, 12, 13, 15, 16, 25],
  };
}

/**
 * Mean squared error over mean square. Over integers the query is rounded to 12 bits, to 11 where a
 * head is wide, and weights to 13; large queries make that an error of scores of up to `size` units
 * in 4095.
 */
function attentionTolerance({ type, size, headDim }: AttentionCase): number {
  if (type === "f32") return size > 1 ? 1e-10 : 2e-12;
  return size > 1 ? 1e-4 : headDim > 512 ? 6e-7 : 3e-7;
}

function sweepShape(arena: TestArena, shape: AttentionCase): void {
  const { type, n, p0, heads, headOffset, groupSize, headDim, window, softCap, size } = shape;
  const { valueDim = headDim, sink, chunk = 0, slope, bias, ahead = 0, behind = 0 } = shape;
  const rng = new Rng(n * 1000 + p0 + headDim);
  const label = `attention_${type} ${JSON.stringify(shape)}`;
  arena.reset();
  const kvHeads = Math.floor((heads - 1 + headOffset) / groupSize) + 1;
  const positions = p0 + n + behind;
  const q = randomFloats(rng, n * (heads * headDim + 4), size);
  const [k, v] = [headDim, valueDim].map((dim) => randomFloats(rng, positions * kvHeads * dim));
  const qAt = arena.put(q, 4);
  const table = randomTable(rng, positions);
  const tableAt = arena.put(table.numbers, 4);
  const [keys, values] = (["keys", "values"] as const).map((what, index) =>
    placeCache(
      arena,
      { what, type, headDim: index === 0 ? headDim : valueDim, kvHeads },
      index === 0 ? k : v,
      table,
    )
  );
  const sinks = sink === undefined
    ? undefined
    : Float32Array.from({ length: heads }, () => sink + rng.normal());
  const slopes = slope === undefined
    ? undefined
    : Float32Array.from({ length: heads }, (_, h) => slope / 2 ** h);
  const { biases, biasOf } = randomBiases(rng, heads, bias);
  const biasesAt = biases === undefined ? 0 : arena.put(biases, 4);
  const slopesAt = slopes === undefined ? 0 : arena.put(slopes, 4);
  const sinksAt = sinks === undefined ? 0 : arena.put(sinks, 4);
  const outStride = heads * valueDim + 12;
  const out = arena.place(4 * n * outStride, 4);
  const scratchBytes = arena.kernels.attention_scratch_bytes(n, heads, groupSize, headDim);
  const scratch = arena.place(scratchBytes);
  const scale = 1 / Math.sqrt(headDim);
  // deno-fmt-ignore
  arena.run(
    () => arena.kernels[`attention_${type}`](
      qAt, heads * headDim + 4, keys.at, values.at, kvHeads, tableAt, table.blocks,
      out, outStride, scratch,
      n, p0, heads, headOffset, groupSize, headDim, valueDim, window, scale, softCap,
      sinksAt, chunk, slopesAt, biasesAt, ahead, positions,
    ),
    [out, 4 * n * outStride],
    [scratch, scratchBytes],
  );
  const got = arena.floats(out, n * outStride);
  const expected = attention(
    { q: unstride(q, n, heads * headDim + 4, heads * headDim), k: keys.exact, v: values.exact },
    {
      ...{ p0, heads, kvHeads, groupSize, headOffset, headDim, valueDim, window, scale, softCap },
      ...{ sinks, chunk, slopes, ahead, biasOf },
    },
  );
  assertClose(
    unstride(got, n, outStride, heads * valueDim),
    expected,
    attentionTolerance(shape),
    label,
  );
  for (let t = 0; t < n; t++) {
    const padding = got.subarray(t * outStride + heads * valueDim, (t + 1) * outStride);
    assert(padding.every((value) => value === 0), `${label}: padding is zero`);
  }
}

/** Biases of scores as they lie, and as they are meant; undefined: there are none. */
function randomBiases(rng: Rng, heads: number, size: number | undefined) {
  if (size === undefined) return {};
  const biases = randomFloats(rng, heads * BIAS_SPAN, size);
  const biasOf = (head: number, distance: number) => {
    const near = Math.max(-BIAS_REACH, Math.min(BIAS_REACH, distance));
    return biases[head * BIAS_SPAN + BIAS_MAX + near];
  };
  // The three distances beyond what is told apart have what the last one has.
  for (let i = 0; i < heads; i++) {
    const own = biases.subarray(i * BIAS_SPAN, (i + 1) * BIAS_SPAN);
    own.fill(own[BIAS_MAX - BIAS_REACH], 0, BIAS_MAX - BIAS_REACH);
    own.fill(own[BIAS_MAX + BIAS_REACH], BIAS_MAX + BIAS_REACH);
  }
  return { biases, biasOf };
}

/** A cache in its layout, NaN where there is nothing; what its elements stand for. */
function placeCache(
  arena: TestArena,
  shape: CacheShape,
  x: Float32Array,
  table: Table,
): { at: number; exact: Float32Array } {
  // NaN as a float or a scale, -1 as an integer.
  const positions = x.length / (shape.kvHeads * shape.headDim);
  const at = arena.put(scatter(layOut(shape, x, positions, 0xff), table), 64);
  if (shape.type === "f32") return { at, exact: x };
  const exact = new Float32Array(x.length);
  for (let from = 0; from < x.length; from += shape.headDim) {
    const { scale, levels } = toLevels(x.subarray(from, from + shape.headDim));
    levels.forEach((level, i) => exact[from + i] = level * scale);
  }
  return { at, exact };
}
