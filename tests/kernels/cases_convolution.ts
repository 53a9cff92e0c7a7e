/** Short convolutions, and the rows that they keep. */
import { assert, assertEquals } from "@std/assert";
import { ringRows } from "../../src/memory/convolution_layout.ts";
import { KV_BLOCK_POSITIONS } from "../../src/memory/kv_layout.ts";
import { shortConvolution } from "../../src/reference/convolution.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { assertClose, randomFloats, unstride } from "./data.ts";

/** Blocks of the pool, and which of them the sequence has. */
const BLOCKS = 5;
const TABLE = Uint32Array.of(3, 0, 4, 1);

export const convolutionCases: readonly KernelCase[] = [
  {
    name: "store_products_f32",
    sweep: sweepStore,
    legalCall: (a) => [
      ...[a.place(512), a.place(512), 12, a.place(1024), 8, a.place(1024), 2],
      ...[a.put(Uint32Array.of(1, 0)), 2, 31, 2, 12],
    ],
    addresses: [0, 1, 3, 5, 7],
    counts: [2, 4, 6, 8, 9, 10, 11],
  },
  {
    name: "short_convolution_f32",
    sweep: sweepConvolution,
    legalCall: (a) => [
      ...[a.place(512), 12, a.place(1024), 8, a.place(1024), 3],
      ...[a.put(Uint32Array.of(1, 0)), 2, a.place(256), a.place(512), 16, 31, 2, 12],
    ],
    addresses: [0, 2, 4, 6, 8, 9],
    counts: [1, 3, 5, 7, 10, 11, 12, 13],
  },
];

interface Shape {
  readonly width: number;
  readonly taps: number;
  readonly p0: number;
  readonly n: number;
  readonly rng: Rng;
}

function* shapes(): Generator<Shape> {
  for (const width of [4, 12, 64, 172]) {
    for (const taps of [2, 3, 4, 31, 32]) {
      for (
        const [p0, n] of [[0, 1], [0, 33], [1, 2], [29, 1], [31, 2], [32, 1], [33, 9], [64, 40]]
      ) {
        yield { width, taps, p0, n, rng: new Rng(width * 1000 + taps * 10 + p0) };
      }
    }
  }
}

/** The rows of a ring and of all blocks' ends, everything else as it was. */
function sweepStore(arena: TestArena): void {
  for (const { width, taps, p0, n, rng } of shapes()) {
    arena.reset();
    const stride = width + 3, endRows = taps - 1, rows = ringRows(n, taps);
    const [a, b] = [randomFloats(rng, n * stride), randomFloats(rng, n * stride)];
    const [ring, ends] = [rows * width, BLOCKS * endRows * width].map((count) =>
      randomFloats(rng, count)
    );
    const [aAt, bAt, ringAt, endsAt] = [a, b, ring, ends].map((data) => arena.put(data, 4));
    const table = arena.put(TABLE, 4);
    // deno-fmt-ignore
    arena.run(
      () => arena.kernels.store_products_f32(
        aAt, bAt, stride, ringAt, rows, endsAt, endRows, table, BLOCKS, p0, n, width,
      ),
      [ringAt, ring.byteLength],
      [endsAt, ends.byteLength],
    );
    for (let t = 0; t < n; t++) {
      const position = p0 + t;
      const row = Float32Array.from(
        { length: width },
        (_, i) => a[t * stride + i] * b[t * stride + i],
      );
      ring.set(row, position % rows * width);
      const end = position % KV_BLOCK_POSITIONS - KV_BLOCK_POSITIONS + endRows;
      const block = TABLE[Math.floor(position / KV_BLOCK_POSITIONS)];
      if (end >= 0) ends.set(row, (block * endRows + end) * width);
    }
    const label = `width ${width} taps ${taps} p0 ${p0} n ${n}`;
    assertEquals(arena.floats(ringAt, ring.length), ring, label);
    assertEquals(arena.floats(endsAt, ends.length), ends, label);
  }
}

/**
 * A sequence of its own, stored in steps, and one that goes on behind another's whole blocks with
 * an empty ring: what a row must not be read from is NaN.
 */
function sweepConvolution(arena: TestArena): void {
  for (const shape of shapes()) {
    sweepSequence(arena, shape, 0);
    const shared = shape.p0 - shape.p0 % KV_BLOCK_POSITIONS;
    if (shared > 0) sweepSequence(arena, shape, shared);
  }
}

function sweepSequence(arena: TestArena, shape: Shape, shared: number): void {
  const { width, taps, p0, n, rng } = shape;
  arena.reset();
  const endRows = taps - 1, rows = ringRows(n, taps), all = p0 + n;
  const x = randomFloats(rng, all * width), ones = new Float32Array(all * width).fill(1);
  const weights = randomFloats(rng, taps * width);
  const stride = width + 5, outStride = width + 7;
  const gate = randomFloats(rng, n * stride);
  const [xAt, onesAt, gateAt, weightsAt] = [x, ones, gate, weights].map((d) => arena.put(d, 4));
  const [ring, empty] = [0, 1].map(() => arena.put(new Float32Array(rows * width).fill(NaN), 4));
  const ends = arena.put(new Float32Array(BLOCKS * endRows * width).fill(NaN), 4);
  const table = arena.put(TABLE, 4);
  const { kernels } = arena;
  const store = (to: number, first: number, count: number) => {
    const at = first * width * 4;
    // deno-fmt-ignore
    kernels.store_products_f32(
      xAt + at, onesAt + at, width, to, rows, ends, endRows, table, BLOCKS, first, count, width,
    );
  };
  // Somebody else's rows, then own ones, in steps of at most n.
  for (let at = 0; at < p0; at += n) store(at < shared ? empty : ring, at, Math.min(n, p0 - at));
  for (let at = shared; at < p0; at++) store(ring, at, 1);
  // A step that does not count, and the one that does.
  store(ring, p0, n);
  store(ring, p0, n);
  const out = arena.place(4 * n * outStride, 4);
  // deno-fmt-ignore
  arena.run(
    () => kernels.short_convolution_f32(
      gateAt, stride, ring, rows, ends, taps, table, BLOCKS, weightsAt, out, outStride, p0, n,
      width,
    ),
    [out, 4 * n * outStride],
  );
  const byChannel = Float32Array.from(
    weights,
    (_, i) => weights[i % taps * width + Math.floor(i / taps)],
  );
  const expected = shortConvolution(
    { x, gate: unstride(gate, n, stride, width), weights: byChannel },
    { p0, channels: width },
  );
  const padded = arena.floats(out, n * outStride);
  const label = `width ${width} taps ${taps} p0 ${p0} n ${n} shared ${shared}`;
  assertClose(unstride(padded, n, outStride, width), expected, 1e-11, label);
  for (let t = 0; t < n; t++) {
    for (let i = width; i < outStride; i++) assert(padded[t * outStride + i] === 0, label);
  }
}
