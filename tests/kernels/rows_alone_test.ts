/**
 * Rows by themselves and side by side: the bits of a token are the same whatever else its step
 * carries, so that answers are the same alone, in a batch, and behind a prefix that is reused.
 */
import { assertEquals } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { packedRowBytes, QUANT_TYPES, typeId } from "../../src/rank/plan/weight_types.ts";
import { loadKernelModuleSync } from "../../wasm/mod.ts";
import { Rng } from "../support/rng.ts";
import { TestArena } from "./arena.ts";
import { randomBlocks, randomFloats } from "./data.ts";

const module = loadKernelModuleSync();
const TOKENS = 19;
const ROWS = 37;

for (const type of QUANT_TYPES) {
  Deno.test(`matmul_q8() of ${type} gives a row the same bits alone and beside others`, () => {
    for (const k of [256, 288, 1024]) {
      const { blockElements } = dtypeByName(type)!;
      if (k % blockElements !== 0) continue;
      const arena = new TestArena(64, module);
      const { kernels } = arena;
      const rng = new Rng(k);
      const rowBytes = packedRowBytes(type, k);
      const w = arena.place(ROWS * rowBytes);
      const scratch = arena.place(640);
      for (let r = 0; r < ROWS; r++) {
        const { bytes } = randomBlocks(rng, type, k, "random");
        const from = arena.put(bytes);
        const blocks = k / blockElements;
        kernels.repack(
          ...[typeId(type), from, bytes.length, w + r * rowBytes, rowBytes, 1, blocks, scratch] as [
            ...[number, number, number, number, number, number, number, number],
          ],
        );
      }
      const x = arena.put(randomFloats(rng, TOKENS * k));
      const acts = arena.place(kernels.q8_bytes(TOKENS, k));
      const out = arena.place(4 * TOKENS * ROWS);
      for (const name of ["matmul_q8", "matmul_q8_few"] as const) {
        assertRowsAlone(arena, out, ROWS, (first, n) => {
          kernels.quantize_q8(x + 4 * first * k, k, n, k, acts);
          // All of them are computed in the usual way.
          const multiply = n === TOKENS ? kernels.matmul_q8 : kernels[name];
          multiply(typeId(type), w, rowBytes, ROWS, k, acts, n, out, ROWS);
        });
      }
    }
  });
}

for (const type of ["f32", "f16", "bf16"] as const) {
  Deno.test(`matmul_${type}_f32() gives a row the same bits alone and beside others`, () => {
    for (const k of [16, 100, 512]) {
      const arena = new TestArena(64, module);
      const rng = new Rng(k);
      const stride = alignUp(k, 16);
      const words = stride * ROWS * (type === "f32" ? 2 : 1);
      // Numbers of ordinary size, whatever the type.
      const w = type === "f32"
        ? arena.put(randomFloats(rng, stride * ROWS))
        : arena.put(Uint16Array.from({ length: words }, () => 0x3800 + rng.int(0x400)));
      const x = arena.put(randomFloats(rng, TOKENS * stride));
      const out = arena.place(4 * TOKENS * ROWS);
      const rowBytes = stride * (type === "f32" ? 4 : 2);
      assertRowsAlone(arena, out, ROWS, (first, n) => {
        const from = x + 4 * first * stride;
        arena.kernels[`matmul_${type}_f32`](w, rowBytes, ROWS, k, from, stride, n, out, ROWS);
      });
    }
  });
}

for (const type of ["i16", "f32"] as const) {
  Deno.test(`attention_${type}() gives a token the same bits alone and in a chunk`, () => {
    for (const [headDim, groupSize, window] of [[16, 1, 0], [64, 4, 0], [100, 3, 40]]) {
      for (const p0 of [0, 29, 64, 200]) {
        const arena = new TestArena(64, module);
        const { kernels } = arena;
        const rng = new Rng(p0 + headDim);
        const kvHeads = 2, heads = kvHeads * groupSize, width = heads * headDim;
        const positions = p0 + TOKENS, blocks = Math.ceil(positions / 32);
        const table = arena.put(Uint32Array.from({ length: blocks }, (_, i) => blocks - 1 - i));
        const [keys, values] = (["keys", "values"] as const).map((what) => {
          const cache = arena.place(blocks * kvHeads * (32 * alignUp(headDim, 16) * 4 + 128));
          const from = arena.put(randomFloats(rng, positions * kvHeads * headDim));
          const store = kernels[`store_${what}_${type}`];
          store(from, kvHeads * headDim, cache, table, blocks, 0, positions, kvHeads, headDim);
          return cache;
        });
        const q = arena.put(randomFloats(rng, TOKENS * width, 3));
        const out = arena.place(4 * TOKENS * width);
        const scratch = arena.place(
          kernels.attention_scratch_bytes(TOKENS, heads, groupSize, headDim),
        );
        // deno-fmt-ignore
        assertRowsAlone(arena, out, width, (first, n) =>
          kernels[`attention_${type}`](
            q + 4 * first * width, width, keys, values, kvHeads, table, blocks, out, width, scratch,
            n, p0 + first, heads, 0, groupSize, headDim, headDim, window, 0.125,
            0, 0, 0, 0, 0, 0, 0,
          )
        );
      }
    }
  });
}

/** run: computes `n` rows from the token `first` on, to the beginning of out f32 [n, width]. */
function assertRowsAlone(
  arena: TestArena,
  out: number,
  width: number,
  run: (first: number, n: number) => void,
): void {
  run(0, TOKENS);
  const together = arena.floats(out, TOKENS * width);
  for (const n of [1, 2, 3, 4, 5, 8, 13]) {
    for (let first = 0; first + n <= TOKENS; first += n) {
      run(first, n);
      const expected = together.slice(first * width, (first + n) * width);
      assertEquals(arena.floats(out, n * width), expected, `${n} tokens from ${first} on`);
    }
  }
}
