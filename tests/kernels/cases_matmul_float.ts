/** Products of float rows with float activations. */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { matmul } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { encodeFloats } from "./cases_rows.ts";
import { assertClose, randomFloats } from "./data.ts";

const WIDTHS = [1, 15, 16, 17, 31, 32, 33, 172, 255, 256, 257, 2048, 2816];
const ROW_COUNTS = [1, 2, 3, 4, 5, 7, 8, 9];
const TOKEN_COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17];

type FloatType = "f32" | "f16" | "bf16";

export const floatMatmulCases: readonly KernelCase[] = [
  floatMatmul("f32"),
  floatMatmul("f16"),
  floatMatmul("bf16"),
  {
    name: "matmul_long_scratch_bytes",
    sweep: (arena) => assertEquals(arena.kernels.matmul_long_scratch_bytes() % 128, 0),
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
  {
    name: "matmul_long_f32",
    sweep: sweepLong,
    pages: 120,
    legalCall: (arena) => [
      ...[1, arena.place(4096), 1280, 2, 300, arena.place(4096), 304, 2, arena.place(64), 4],
      arena.place(arena.kernels.matmul_long_scratch_bytes()),
    ],
    addresses: [1, 5, 8, 10],
    counts: [2, 3, 4, 6, 7, 9],
  },
];

/** Types by ggml's number, and what computes the same. */
const LONG_TYPES = [[0, "f32"], [1, "f16"], [30, "bf16"]] as const;
/** Rows and tokens of parts of tiles; more tokens than are packed at a time, more rows. */
const LONG_SHAPES = [
  ...[[1, 16, 1], [3, 40, 5], [65, 1210, 6], [7, 2152, 9], [130, 172, 4], [1, 4304, 3]] as const,
  ...[[18, 16384, 32], [563, 170, 7]] as const,
];

/** The same bits as of the kernels that widen in registers. */
function sweepLong(arena: TestArena): void {
  for (const [type, name] of LONG_TYPES) {
    for (const [rows, k, n] of LONG_SHAPES) {
      arena.reset();
      const rng = new Rng(rows + k);
      const padded = alignUp(k, 16);
      const { data } = encodeFloats(name, randomFloats(rng, rows * padded, 1));
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const rowStride = bytes.length / rows;
      for (let r = 0; r < rows; r++) {
        bytes.fill(0, (r * padded + k) * rowStride / padded, (r + 1) * rowStride);
      }
      const wAt = arena.place(bytes.length);
      arena.bytes.set(bytes, wAt);
      const xAt = arena.put(randomFloats(rng, n * padded, 1), 4);
      const [out, expected] = [0, 1].map(() => arena.place(4 * n * rows, 4));
      const scratch = arena.place(arena.kernels.matmul_long_scratch_bytes());
      const of = [wAt, rowStride, rows, k, xAt, padded, n] as const;
      arena.kernels[`matmul_${name}_f32`](...of, expected, rows);
      arena.run(
        () => arena.kernels.matmul_long_f32(type, ...of, out, rows, scratch),
        [out, 4 * n * rows],
        [scratch, arena.kernels.matmul_long_scratch_bytes()],
      );
      const words = (at: number) => new Uint32Array(arena.floats(at, n * rows).slice().buffer);
      assertEquals(words(out), words(expected), `${name} ${rows} · ${k} · ${n}`);
    }
  }
}

interface Shape {
  readonly type: FloatType;
  readonly k: number;
  readonly rows: number;
  readonly n: number;
  /** Size of the weights: 2^-16 makes f16 ones subnormal. */
  readonly size: number;
}

function floatMatmul(type: FloatType): KernelCase {
  return {
    name: `matmul_${type}_f32`,
    sweep(arena) {
      for (const k of WIDTHS) {
        for (const size of [0, 2 ** -16, 1]) {
          sweepShape(arena, { type, k, rows: k > 500 ? 5 : 9, n: 5, size });
          sweepShape(arena, { type, k, rows: k > 500 ? 5 : 9, n: 1, size });
        }
      }
      for (const rows of ROW_COUNTS) {
        for (const n of TOKEN_COUNTS) sweepShape(arena, { type, k: 80, rows, n, size: 1 });
      }
      sweepShape(arena, { type, k: 64, rows: 150, n: 6, size: 1 });
      sweepAgreement(arena, type);
    },
    legalCall: (arena) => [
      arena.place(4096),
      1280,
      2,
      300,
      arena.place(4096),
      304,
      2,
      arena.place(64),
      4,
    ],
    addresses: [0, 4, 7],
    counts: [1, 2, 3, 5, 6, 8],
  };
}

/** Runs the kernel over w [rows, k] and x [n, k]; [n, rows]. */
function product(arena: TestArena, shape: Shape, w: Float32Array, x: Float32Array): Float32Array {
  const { type, k, rows, n } = shape;
  const padded = alignUp(k, 16);
  const weightBytes = type === "f32" ? 4 : 2;
  const rowStride = alignUp(padded * weightBytes, 64);
  const wAt = arena.place(rows * rowStride);
  arena.bytes.fill(0, wAt, wAt + rows * rowStride);
  for (let r = 0; r < rows; r++) {
    const { data } = encodeFloats(type, w.subarray(r * k, r * k + k));
    arena.bytes.set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      wAt + r * rowStride,
    );
  }
  const xStride = padded + 4;
  const xRows = new Float32Array(n * xStride).fill(7.5); // finite beyond k, must not count
  for (let t = 0; t < n; t++) xRows.set(x.subarray(t * k, t * k + k), t * xStride);
  const xAt = arena.put(xRows, 4);
  const outStride = rows + 3;
  const out = arena.place(4 * ((n - 1) * outStride + rows), 4);
  const written = Array.from({ length: n }, (_, t) => [out + 4 * t * outStride, 4 * rows] as const);
  const kernel = arena.kernels[`matmul_${type}_f32`];
  arena.run(() => kernel(wAt, rowStride, rows, k, xAt, xStride, n, out, outStride), ...written);
  const result = new Float32Array(n * rows);
  written.forEach(([at], t) => result.set(arena.floats(at, rows), t * rows));
  return result;
}

function sweepShape(arena: TestArena, shape: Shape): void {
  const { type, k, rows, n, size } = shape;
  const seed = k * 1000 + rows * 20 + n;
  const rng = new Rng(seed);
  arena.reset();
  const w = encodeFloats(type, randomFloats(rng, rows * k, size)).exact;
  const x = randomFloats(rng, n * k);
  const got = product(arena, shape, w, x);
  const label = `matmul_${type}_f32 k ${k} rows ${rows} n ${n} size ${size}, seed ${seed}`;
  assertClose(got, matmul(w, x, k), 1e-11, label);
}

/** A token's results do not depend on how many tokens or rows are computed with it. */
function sweepAgreement(arena: TestArena, type: FloatType): void {
  const rng = new Rng(6);
  const shape = { type, k: 333, rows: 7, n: 6, size: 1 };
  const { k, rows, n } = shape;
  const w = encodeFloats(type, randomFloats(rng, rows * k)).exact;
  const x = randomFloats(rng, n * k);
  arena.reset();
  const together = product(arena, shape, w, x);
  for (let t = 0; t < n; t++) {
    arena.reset();
    const alone = product(arena, { ...shape, n: 1 }, w, x.subarray(t * k, t * k + k));
    assertEquals(alone, together.slice(t * rows, t * rows + rows));
  }
}
