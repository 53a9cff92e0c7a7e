/** Quantised activations, and the products of quantised rows with them. */
import { assert, assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { QUANT_TYPES, type QuantType } from "../../src/rank/plan/weight_types.ts";
import { dequantizeQ8, matmul, quantizeQ8 } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { Kernels } from "../../wasm/kernels.ts";
import type { TestArena } from "./arena.ts";
import type { KernelCase } from "./cases.ts";
import { packRow } from "./cases_rows.ts";
import {
  activationsFor,
  assertClose,
  type Flavour,
  FLAVOURS,
  randomBlocks,
  randomFloats,
} from "./data.ts";

const WIDTHS = [1, 31, 32, 33, 172, 255, 256, 257, 2048, 2816];
const ROW_COUNTS = [1, 2, 3, 4, 5, 7, 8, 9];
const TOKEN_COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17];

export const quantisedMatmulCases: readonly KernelCase[] = [
  {
    name: "q8_bytes",
    sweep(arena) {
      const { q8_bytes } = arena.kernels;
      for (const n of TOKEN_COUNTS) {
        for (const k of WIDTHS) {
          const bytes = q8_bytes(n, k);
          assert(bytes >= n * k && bytes % 32 === 0, `q8_bytes(${n}, ${k}) = ${bytes}`);
        }
      }
      assert(q8_bytes(2 ** 20, 2 ** 20) > 2 ** 40, "sizes beyond 4 GiB do not wrap");
    },
    legalCall: () => [],
    addresses: [],
    counts: [],
  },
  {
    name: "quantize_q8",
    sweep: sweepQuantize,
    legalCall: (arena) => [arena.place(3000), 300, 2, 300, arena.place(9000)],
    addresses: [0, 4],
    counts: [1, 2, 3],
  },
  ...QUANT_TYPES.map((type) => quantisedMatmul(type)),
  quantisedMatmul("Q4_0", "matmul_q8_two_streams"),
  quantisedMatmul("Q4_0", "matmul_q8_few"),
];

/**
 * The tile's layout is the kernels' business, so it is read back through identity rows: row i of
 * the matrix has a single 1 in column i.
 */
function sweepQuantize(arena: TestArena): void {
  const rng = new Rng(4);
  for (const k of [1, 31, 32, 33, 64, 172, 255, 256, 257, 300]) {
    for (const n of [1, 2, 4, 5]) {
      arena.reset();
      const x = randomFloats(rng, n * k, 10 ** (rng.int(9) - 4));
      x.fill(0, 0, Math.min(k, 32));
      const acts = quantiseActivations(arena, x, { n, k, xStride: k + 3 });
      const identity = Array.from({ length: k }, (_, i) => identityRow(k, i));
      const expected = new Float32Array(n * k);
      for (let t = 0; t < n; t++) {
        expected.set(dequantizeQ8(quantizeQ8(x.subarray(t * k, t * k + k))), t * k);
      }
      const got = product(arena, "Q8_0", identity, { acts, n, k });
      assertClose(got, expected, 1e-13, `quantize_q8 n ${n} k ${k}`);
    }
  }
}

/** Q8_0 blocks of a row of k weights, all zero but a 1 at `index`. */
function identityRow(k: number, index: number): Uint8Array {
  const blocks = new Uint8Array(Math.ceil(k / 32) * 34);
  const block = (index >> 5) * 34;
  blocks[block + 1] = 0x3c; // f16 1
  blocks[block + 2 + (index & 31)] = 1;
  return blocks;
}

/** Places x [n, k] with a stride, quantises it; the address of the tile. */
function quantiseActivations(
  arena: TestArena,
  x: Float32Array,
  { n, k, xStride }: { n: number; k: number; xStride: number },
): number {
  const from = arena.place(4 * ((n - 1) * xStride + k), 4);
  for (let t = 0; t < n; t++) {
    arena.bytes.set(new Uint8Array(x.slice(t * k, t * k + k).buffer), from + 4 * t * xStride);
  }
  const bytes = arena.kernels.q8_bytes(n, k);
  const acts = arena.place(bytes);
  arena.run(() => arena.kernels.quantize_q8(from, xStride, n, k, acts), [acts, bytes]);
  return acts;
}

/** Runs matmul over rows given as file blocks; [n, rows]. */
function product(
  arena: TestArena,
  type: QuantType,
  fileRows: readonly Uint8Array[],
  { acts, n, k }: { acts: number; n: number; k: number },
): Float32Array {
  const rows = fileRows.length;
  const packed = fileRows.map((row) => packRow(arena, type, row));
  const rowStride = alignUp(packed[0].length, 64);
  const w = arena.place(rows * rowStride);
  packed.forEach((row, r) => arena.bytes.set(row, w + r * rowStride));
  const outStride = rows + 3;
  const out = arena.place(4 * ((n - 1) * outStride + rows), 4);
  const written = Array.from({ length: n }, (_, t) => [out + 4 * t * outStride, 4 * rows] as const);
  const { id } = dtypeByName(type)!;
  const forms = [acts, arena.kernels.q8_bytes(n, k)] as const; // its room behind the activations
  const resultOf = (multiply: Kernels["matmul_q8"]) => {
    // What another kernel left there would be right.
    for (const [at, bytes] of written) arena.bytes.fill(0xff, at, at + bytes);
    arena.run(
      () => multiply(id, w, rowStride, rows, k, acts, n, out, outStride),
      forms,
      ...written,
    );
    const result = new Float32Array(n * rows);
    written.forEach(([at], t) => result.set(arena.floats(at, rows), t * rows));
    return result;
  };
  const { kernels, kernelsByFours } = arena;
  const result = resultOf(kernels.matmul_q8);
  assertEquals(resultOf(kernels.matmul_q8_two_streams), result, "two streams, the bits of four");
  assertEquals(resultOf(kernels.matmul_q8_few), result, "registers, the bits of forms");
  assertEquals(resultOf(kernelsByFours.matmul_q8), result, "fours, the bits of pairs");
  assertEquals(resultOf(kernelsByFours.matmul_q8_two_streams), result, "both, the same bits");
  assertEquals(resultOf(kernelsByFours.matmul_q8_few), result, "fours in registers, the same bits");
  return result;
}

/** Types of 8 bits: a few tokens go through panels of 128 KiB of their rows, one by one. */
const WIDE: readonly QuantType[] = ["Q8_0", "IQ4_NL"];

function quantisedMatmul(
  type: QuantType,
  name: "matmul_q8" | "matmul_q8_two_streams" | "matmul_q8_few" = "matmul_q8",
): KernelCase {
  return {
    name,
    label: type,
    sweep(arena) {
      for (const k of WIDTHS) {
        for (const flavour of FLAVOURS) {
          const rows = k > 500 && flavour !== "random" ? 3 : 9;
          sweepShape(arena, { type, k, rows, n: k > 500 ? 5 : 9, flavour });
          sweepShape(arena, { type, k, rows, n: 1, flavour });
        }
      }
      for (const rows of ROW_COUNTS) {
        for (const n of TOKEN_COUNTS) {
          sweepShape(arena, { type, k: 288, rows, n, flavour: "random" });
        }
      }
      sweepShape(arena, { type, k: 256, rows: 150, n: 6, flavour: "random" }); // several panels
      if (WIDE.includes(type)) {
        sweepShape(arena, { type, k: 256, rows: 500, n: 3, flavour: "random" });
      }
      sweepAgreement(arena, type);
    },
    legalCall: (arena) => [
      dtypeByName(type)!.id,
      arena.place(2048),
      640,
      2,
      300,
      arena.place(arena.kernels.q8_bytes(2, 300)),
      2,
      arena.place(64),
      4,
    ],
    addresses: [1, 5, 7],
    counts: [2, 3, 4, 6, 8],
  };
}

function sweepShape(
  arena: TestArena,
  { type, k, rows, n, flavour }: {
    type: QuantType;
    k: number;
    rows: number;
    n: number;
    flavour: Flavour;
  },
): void {
  const seed = k * 1000 + rows * 20 + n;
  const rng = new Rng(seed);
  arena.reset();
  const x = activationsFor(rng, n * k, flavour);
  const acts = quantiseActivations(arena, x, { n, k, xStride: k + 1 });
  const blocks = Array.from(
    { length: rows },
    () => randomBlocks(rng, type, k, flavour),
  );
  const w = new Float64Array(rows * k);
  blocks.forEach((row, r) => w.set(row.weights.subarray(0, k), r * k));
  const exact = new Float64Array(n * k);
  for (let t = 0; t < n; t++) {
    exact.set(dequantizeQ8(quantizeQ8(x.subarray(t * k, t * k + k))), t * k);
  }
  const got = product(arena, type, blocks.map((row) => row.bytes), { acts, n, k });
  const label = `matmul_q8 ${type} k ${k} rows ${rows} n ${n}, ${flavour}, seed ${seed}`;
  assertClose(got, matmul(w, exact, k), 1e-11, label);
}

/** A token's results do not depend on how many tokens or rows are computed with it. */
function sweepAgreement(arena: TestArena, type: QuantType): void {
  const rng = new Rng(5);
  const [k, rows, n] = [1056, 7, 6];
  const x = randomFloats(rng, n * k);
  const blocks = Array.from(
    { length: rows },
    () => randomBlocks(rng, type, k, "random").bytes,
  );
  arena.reset();
  const together = product(arena, type, blocks, {
    acts: quantiseActivations(arena, x, { n, k, xStride: k }),
    n,
    k,
  });
  for (let t = 0; t < n; t++) {
    arena.reset();
    const one = x.slice(t * k, t * k + k);
    const acts = quantiseActivations(arena, one, { n: 1, k, xStride: k });
    const alone = product(arena, type, blocks, { acts, n: 1, k });
    assertEquals(alone, together.slice(t * rows, t * rows + rows));
  }
}
