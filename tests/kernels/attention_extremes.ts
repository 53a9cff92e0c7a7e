/** Attention over numbers that are none, and the largest sums of integers that it can meet. */
import { assert } from "@std/assert";
import { alignUp } from "../../src/base/check.ts";
import { KV_BLOCK_POSITIONS, KV_SCALES_BYTES } from "../../src/memory/kv_layout.ts";
import { attention } from "../../src/reference/ops.ts";
import { Rng } from "../support/rng.ts";
import type { TestArena } from "./arena.ts";
import { assertClose, randomFloats } from "./data.ts";

export type CacheType = "i16" | "f32";

/**
 * Queries and keys whose elements are all as large as the largest: their integer products are the
 * largest sums there can be, of either sign. One that is too large for its integer has the other.
 */
export function sweepLargest(arena: TestArena, type: CacheType): void {
  const positions = KV_BLOCK_POSITIONS;
  for (const headDim of [4, 128, 256, 576]) {
    arena.reset();
    const { kernels } = arena;
    const table = arena.put(Uint32Array.of(0));
    const count = positions * headDim;
    const keys = Float32Array.from(
      { length: count },
      (_, i) => i % (2 * headDim) < headDim ? 1 : -1,
    );
    const values = randomFloats(new Rng(headDim), count);
    const [keysAt, valuesAt] = (["keys", "values"] as const).map((what) => {
      const cache = arena.place(positions * alignUp(headDim, 16) * 4 + KV_SCALES_BYTES);
      const from = arena.put(what === "keys" ? keys : values);
      const store = kernels[`store_${what}_${type}`];
      store(from, headDim, cache, table, 1, 0, positions, 1, headDim);
      return cache;
    });
    const q = new Float32Array(headDim).fill(1);
    const [qAt, out] = [arena.put(q), arena.place(headDim * 4)];
    const scratch = arena.place(kernels.attention_scratch_bytes(1, 1, 1, headDim));
    const scale = 1 / headDim;
    // deno-fmt-ignore
    kernels[`attention_${type}`](
      qAt, headDim, keysAt, valuesAt, 1, table, 1, out, headDim, scratch,
      1, positions - 1, 1, 0, 1, headDim, headDim, 0, scale, 0, 0, 0, 0, 0, 0, 0,
    );
    const shape = { p0: positions - 1, heads: 1, kvHeads: 1, groupSize: 1, headDim, scale };
    const expected = attention({ q, k: keys, v: values }, shape);
    assertClose(arena.floats(out, headDim), expected, 1e-6, `largest ${type} ${headDim}`);
  }
}

/** What is not finite must not come out as a number: three positions, the second one is bad. */
export function sweepBadNumber(
  arena: TestArena,
  type: CacheType,
  bad: number,
  where: "query" | "key" | "value",
): void {
  const [headDim, positions] = [16, 3];
  arena.reset();
  const { kernels } = arena;
  const table = arena.put(Uint32Array.of(0));
  const rows = () => randomFloats(new Rng(1), positions * headDim);
  const place = (what: "keys" | "values", x: Float32Array) => {
    const cache = arena.place(KV_BLOCK_POSITIONS * headDim * 4 + KV_SCALES_BYTES);
    const from = arena.put(x);
    kernels[`store_${what}_${type}`](from, headDim, cache, table, 1, 0, positions, 1, headDim);
    return cache;
  };
  const [query, key, value] = [rows().subarray(0, headDim), rows(), rows()];
  ({ query, key: key.subarray(headDim), value: value.subarray(headDim) })[where][3] = bad;
  const [q, keys, values] = [arena.put(query), place("keys", key), place("values", value)];
  const out = arena.place(headDim * 4);
  const scratch = arena.place(kernels.attention_scratch_bytes(1, 1, 1, headDim));
  // deno-fmt-ignore
  kernels[`attention_${type}`](
    q, headDim, keys, values, 1, table, 1, out, headDim, scratch,
    1, positions - 1, 1, 0, 1, headDim, headDim, 0, 0.25, 0, 0, 0, 0, 0, 0, 0,
  );
  const got = arena.floats(out, headDim);
  assert(got.some((x) => !Number.isFinite(x)), `attention_${type}: ${bad} in a ${where} is hidden`);
}
