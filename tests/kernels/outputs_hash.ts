/**
 * Prints a hash over the outputs of every kernel on fixed inputs, for the test that V8's flags
 * change no bit. The loop makes the functions hot, so that the optimised code is what is hashed.
 */
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES } from "../../src/memory/kv_layout.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { QUANT_TYPES } from "../../src/rank/plan/weight_types.ts";
import { Rng } from "../support/rng.ts";
import { TestArena } from "./arena.ts";
import { encodeFloats, packRow } from "./cases_rows.ts";
import { randomBlocks, randomFloats } from "./data.ts";

const K = 800;
const ROWS = 37;

function main(): void {
  const arena = new TestArena(256);
  const hashes = [];
  for (const round of [1, 2]) {
    for (const n of [1, 7]) {
      hashes.push(`q8 ${hash(quantisedProducts(arena, n, round))}`);
      hashes.push(`float ${hash(floatProducts(arena, n, round))}`);
      hashes.push(`steps ${hash(steps(arena, n, round))}`);
      for (const type of ["i16", "f32"] as const) {
        hashes.push(`attention ${hash(attention(arena, type, n, round))}`);
      }
    }
  }
  console.log(hashes.join("\n"));
}

function quantisedProducts(arena: TestArena, n: number, seed: number): Uint8Array[] {
  const rng = new Rng(seed);
  return QUANT_TYPES.flatMap((type) => {
    arena.reset();
    const { kernels } = arena;
    const x = arena.put(randomFloats(rng, n * K));
    const acts = arena.place(kernels.q8_bytes(n, K));
    const rows = Array.from(
      { length: ROWS },
      () => packRow(arena, type, randomBlocks(rng, type, K, "random").bytes),
    );
    const w = arena.place(rows.length * rows[0].length);
    rows.forEach((row, r) => arena.bytes.set(row, w + r * row.length));
    const out = arena.place(4 * n * ROWS);
    kernels.quantize_q8(x, K, n, K, acts);
    const { id } = dtypeByName(type)!;
    const { matmul_q8, matmul_q8_few } = arena.kernelsByFours;
    const products = [kernels.matmul_q8, kernels.matmul_q8_few, matmul_q8, matmul_q8_few];
    return products.map((multiply) => {
      for (let i = 0; i < 40; i++) {
        multiply(id, w, rows[0].length, ROWS, K, acts, n, out, ROWS);
      }
      return arena.slice(out, 4 * n * ROWS);
    });
  });
}

function floatProducts(arena: TestArena, n: number, seed: number): Uint8Array[] {
  const rng = new Rng(seed);
  return (["f32", "f16", "bf16"] as const).map((type) => {
    arena.reset();
    const { data } = encodeFloats(type, randomFloats(rng, ROWS * K));
    const [w, x] = [arena.put(data), arena.put(randomFloats(rng, n * K))];
    const out = arena.place(4 * n * ROWS);
    const rowBytes = data.byteLength / ROWS;
    for (let i = 0; i < 40; i++) {
      arena.kernels[`matmul_${type}_f32`](w, rowBytes, ROWS, K, x, K, n, out, ROWS);
    }
    return arena.slice(out, 4 * n * ROWS);
  });
}

function steps(arena: TestArena, n: number, seed: number): Uint8Array[] {
  const rng = new Rng(seed);
  arena.reset();
  const { kernels } = arena;
  const [x, y, weight] = [n * K, n * K, K].map((count) => arena.put(randomFloats(rng, count)));
  const [out, ids] = [arena.place(4 * n * K), arena.place(160)];
  const outputs: Uint8Array[] = [];
  for (let i = 0; i < 60; i++) {
    kernels.rms_norm_f32(x, K, weight, out, K, n, K, 1e-5);
    kernels.rope_f32(out, K, n, 8, 100, 64, y, i % 2);
    kernels.add_bias_f32(out, K, weight, n, K);
    kernels.add_f32(out, K, y, K, n, K);
    kernels.silu_mul_f32(out, y, K, x, K, n, K);
    const [best, count] = [kernels.argmax_f32(out, n * K), kernels.top_k_f32(out, n * K, 40, ids)];
    outputs.push(new Uint8Array(Uint32Array.of(best, count).buffer), arena.slice(ids, 160));
    outputs.push(arena.slice(out, 4 * n * K), arena.slice(x, 4 * n * K));
  }
  return outputs;
}

function attention(arena: TestArena, type: "i16" | "f32", n: number, seed: number): Uint8Array[] {
  const rng = new Rng(seed);
  arena.reset();
  const { kernels } = arena;
  const [heads, groupSize, headDim, p0] = [6, 3, 64, 100];
  const width = heads * headDim;
  const cacheWidth = (heads / groupSize) * headDim;
  const q = arena.put(randomFloats(rng, n * width));
  const kvHeads = heads / groupSize;
  const pieceBytes = KV_BLOCK_POSITIONS * headDim * (type === "i16" ? 2 : 4) +
    (type === "i16" ? KV_SCALES_BYTES : 0);
  const blocks = Math.ceil((p0 + n) / KV_BLOCK_POSITIONS);
  const cacheBytes = blocks * kvHeads * pieceBytes;
  const table = arena.put(Uint32Array.from({ length: blocks }, (_, block) => block));
  const [k, v] = (["keys", "values"] as const).map((what) => {
    const cache = arena.put(randomFloats(rng, (p0 + n) * cacheWidth));
    const stored = arena.place(cacheBytes);
    // deno-fmt-ignore
    kernels[`store_${what}_${type}`](
      cache, cacheWidth, stored, table, blocks, 0, p0 + n, kvHeads, headDim,
    );
    return stored;
  });
  const out = arena.place(4 * n * width);
  const scratch = arena.place(kernels.attention_scratch_bytes(n, heads, groupSize, headDim));
  for (let i = 0; i < 30; i++) {
    // deno-fmt-ignore
    kernels[`attention_${type}`](
      q, width, k, v, kvHeads, table, blocks, out, width, scratch,
      n, p0, heads, 0, groupSize, headDim, headDim, 0, 0.125, 7 * (n & 1), 0, 0, 0, 0, 0, 0,
    );
  }
  return [arena.slice(out, 4 * n * width)];
}

/** FNV-1a over 32-bit words. */
function hash(parts: readonly Uint8Array[]): string {
  let h = 0x811c9dc5;
  for (const part of parts) {
    for (const word of new Uint32Array(part.buffer, part.byteOffset, part.byteLength / 4)) {
      h = Math.imul(h ^ word, 0x01000193) >>> 0;
    }
  }
  return h.toString(16).padStart(8, "0");
}

main();
