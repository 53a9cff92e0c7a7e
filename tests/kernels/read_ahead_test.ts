/**
 * Computes with rows of all types that end where the memory ends, and lists of them that do, which
 * traps where anything behind is read: under `deno task test:safe`, which the suite runs, where V8
 * checks bounds. With the flags for speed these tests say nothing.
 */
import { assert } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES } from "../../src/memory/kv_layout.ts";
import {
  blockWeights,
  byColumnsRowBytes,
  canLieByColumns,
  packedRowBytes,
  QUANT_TYPES,
  type QuantType,
  typeId,
  WRITTEN_OUT_TYPES,
} from "../../src/rank/plan/weight_types.ts";
import { instantiateKernels, type Kernels, loadKernelModuleSync } from "../../wasm/mod.ts";

const PAGE_BYTES = 65536;
const PAGES = 16;
const MEMORY_BYTES = PAGES * PAGE_BYTES;
/** Of superblocks, one and some: every type's blocks divide them. */
const WIDTHS = [256, 1280];
/** From the end of a row to the next one: far more than is read ahead of. */
const GAPS = [0, 4096];
const ROW_COUNTS = [1, 2, 3, 4, 5, 8, 9, 13, 14, 15, 16, 17, 28];
const OUT = PAGE_BYTES / 2;
const ACTS = PAGE_BYTES;

/** use: computes with rows of all types, up to the memory's last byte; the rest is free. */
function computeAtTheEnd(
  use: (
    kernels: Kernels,
    at: readonly [type: number, w: number, stride: number, rows: number, k: number],
    memory: WebAssembly.Memory,
  ) => void,
  types: readonly QuantType[] = QUANT_TYPES,
): void {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  for (const sumsByFours of [false, true]) {
    const kernels = instantiateKernels(loadKernelModuleSync(), memory, { sumsByFours });
    for (const type of types) {
      for (const k of WIDTHS) {
        for (const gap of GAPS) {
          const bytes = packedRowBytes(type, k), stride = bytes + gap;
          for (const rows of ROW_COUNTS) {
            const w = MEMORY_BYTES - (rows - 1) * stride - bytes;
            assert(ACTS + kernels.q8_bytes(17, k) < w, "activations lie before the rows");
            use(kernels, [typeId(type), w, stride, rows, k], memory);
          }
        }
      }
    }
  }
}

Deno.test("rows are read ahead of, and panels fetched, within their matrix", () => {
  computeAtTheEnd((kernels, at) => {
    const rows = at[3];
    for (const multiply of [kernels.matmul_q8, kernels.matmul_q8_two_streams]) {
      multiply(...at, ACTS, 1, OUT, 1);
    }
    for (const n of [2, 3, 5]) kernels.matmul_q8_few(...at, ACTS, n, OUT, rows);
    // By panels.
    for (const n of [2, 17]) kernels.matmul_q8(...at, ACTS, n, OUT, rows);
  });
});

Deno.test("rows of a list are fetched within their matrix", () => {
  computeAtTheEnd((kernels, at, memory) => {
    const rows = at[3];
    for (const count of [0, 1, 7, 8, 9, 15, 16, 17]) {
      const list = new Uint32Array(memory.buffer, 0, count);
      for (let i = 0; i < count; i++) list[i] = i % 3 === 0 ? rows - 1 : i % rows;
      kernels.matmul_q8_rows(...at, ACTS, 0, count, OUT);
    }
  });
});

Deno.test("a list that ends where the memory does is read within it", () => {
  computeAtTheEnd((kernels, [type, w, stride, rows, k]) => {
    for (const count of [1, 7, 8, 9]) {
      const before = w - 4 * count, list = MEMORY_BYTES - 4 * count;
      kernels.matmul_q8_rows(type, before, stride, rows, k, ACTS, list, count, OUT);
    }
  });
});

Deno.test("dequantize_row_q() reads a row and no more", () => {
  computeAtTheEnd((kernels, [type, w, stride, rows, k]) => {
    kernels.dequantize_row_q(type, w + (rows - 1) * stride, k, OUT, 0);
  });
});

Deno.test("columns that count, and their factors, are fetched within their matrix", () => {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const kernels = instantiateKernels(loadKernelModuleSync(), memory);
  const x = 0;
  const types = QUANT_TYPES.filter((type) => canLieByColumns(type, 64));
  assert(types.length > 3, `${types.length} types`);
  for (const type of types) {
    for (const k of [32, 288, 544]) {
      for (const rows of [64, 320]) {
        const width = alignUp(k, blockWeights(type));
        const w = MEMORY_BYTES - rows * byColumnsRowBytes(type, width);
        assert(ACTS + kernels.q8_bytes(1, k) < w, "activations lie before the columns");
        // The last column alone, some, all: whole groups that are fetched side by side, and others.
        for (const step of [k, 31, 3, 1]) {
          const values = new Float32Array(memory.buffer, x, k).fill(0);
          for (let i = k - 1; i >= 0; i -= step) values[i] = 1;
          kernels.quantize_q8(x, k, 1, k, ACTS);
          const read = kernels.matmul_q8_columns(typeId(type), w, rows, k, ACTS, 1, OUT, rows);
          assert(read === Math.ceil(k / step), `${read} columns of ${k}, ${type}`);
        }
      }
    }
  }
});

Deno.test("products by neurons read their rows and no more", () => {
  // What is written out is multiplied by whole rows alone.
  const types = QUANT_TYPES.filter((type) =>
    !(WRITTEN_OUT_TYPES as readonly string[]).includes(type)
  );
  computeAtTheEnd((kernels, at, memory) => {
    const [type, , , rows, d] = at, x = 0, scratch = ACTS;
    new Float32Array(memory.buffer, x, 2 * rows).fill(1);
    assert(kernels.neurons_scratch_bytes(d) <= 6 * PAGE_BYTES, "scratch lies before the rows");
    for (const n of [1, 2]) {
      kernels.matmul_neurons(...at, x, rows, n, OUT, d, scratch);
    }
    assert(kernels.matmul_fired_neurons(...at, 0, x, rows, OUT, scratch) === rows, `${type}`);
  }, types);
});

Deno.test("attention fetches keys and values within their cache", () => {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const kernels = instantiateKernels(loadKernelModuleSync(), memory);
  const n = 3, p0 = 61, blocks = 2, table = 0, q = PAGE_BYTES, out = 2 * PAGE_BYTES;
  new Uint32Array(memory.buffer, table, blocks).set([1, 0]);
  const scratch = 4 * PAGE_BYTES, other = 8 * PAGE_BYTES;
  for (const [dim, valueDim] of [[4, 4], [40, 12], [64, 64], [72, 72], [96, 4]]) {
    for (const kvHeads of [1, 2, 3]) {
      for (const groupSize of [1, 3]) {
        const heads = kvHeads * groupSize;
        const run = (type: "i16" | "f32", keys: number, values: number, count: number) => {
          // deno-fmt-ignore
          kernels[`attention_${type}`](
            q, heads * dim, keys, values, kvHeads, table, blocks, out, heads * dim, scratch,
            count, p0, heads, 0, groupSize, dim, valueDim, 0, 1, 0, 0, 0, 0, 0, 0, 0,
          );
        };
        assert(kernels.attention_scratch_bytes(n, heads, groupSize, dim) <= other - scratch);
        for (const type of ["i16", "f32"] as const) {
          const pieces = blocks * kvHeads;
          for (const count of [1, n]) {
            run(
              type,
              other,
              MEMORY_BYTES - pieces * pieceBytes(type, alignUp(valueDim, 16)),
              count,
            );
            run(type, MEMORY_BYTES - pieces * pieceBytes(type, dim), other, count);
          }
        }
      }
    }
  }
});

/** Of a head's keys of a block, or of its values, whose dimensions are rounded up to 16. */
function pieceBytes(type: "i16" | "f32", dim: number): number {
  return type === "f32" ? dim * KV_BLOCK_POSITIONS * 4 : dim * KV_BLOCK_POSITIONS * 2 +
    KV_SCALES_BYTES;
}
