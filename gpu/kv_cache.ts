/**
 * Keys and values of one layer: a buffer each, [place][head][dimension], or one where values are a
 * part of keys. Places come in blocks of
 * 32 positions, which sequences share out among themselves (step_input.ts has the tables). Kernels
 * write new rows in place; the buffers cannot be copied from or to, so that nothing ever is.
 */
import { alignUp, check } from "../src/base/check.ts";
import { KV_BLOCK_POSITIONS } from "../src/memory/kv_layout.ts";
import type { Gpu } from "./device.ts";
import { bindNowhere } from "./rows.ts";

export interface KvShape {
  /** Tokens that fit, of all sequences; rounded up to blocks. */
  readonly positions: number;
  /** Tokens of a sequence, at most; left out: as many as fit. */
  readonly contextLength?: number;
  readonly kvHeads: number;
  /** Of keys; multiple of 4. */
  readonly headDim: number;
  /** Of values; multiple of 4; left out: as many as of keys. */
  readonly valueDim?: number;
  /** Values are the last dimensions of keys, and take no room; left out: they are apart. */
  readonly sharesKeys?: boolean;
  /** How a number is kept: "f16" rounds. */
  readonly type: "f16" | "f32";
}

export interface KvCache extends KvShape {
  readonly contextLength: number;
  readonly valueDim: number;
  readonly keys: GPUBuffer;
  /** That of keys where values are a part of them. */
  readonly values: GPUBuffer;
  readonly bytes: number;
}

/** Heads of queries, of which no cache keeps anything. */
export interface QueriesAlone {
  readonly kvHeads: 0;
  readonly headDim: number;
}

/** What shaders that write keys and values are told; queries alone have values of any width. */
export function headConstants(cache: KvCache | QueriesAlone) {
  const { kvHeads, headDim } = cache;
  const of = "keys" in cache ? cache : { valueDim: headDim, type: null };
  return {
    KV_HEADS: kvHeads,
    HEAD_DIM: headDim,
    VALUE_DIM: of.valueDim,
    IS_F32: of.type === "f32",
  };
}

/** Keys and values for whoever writes them; of queries alone places that nobody reads. */
export function bindCache(
  { sink }: Gpu,
  cache: KvCache | QueriesAlone,
): [GPUBufferBinding, GPUBufferBinding] {
  return "keys" in cache ? [{ buffer: cache.keys }, { buffer: cache.values }] : bindNowhere(sink);
}

/** Of both buffers. */
export function kvCacheBytes(shape: KvShape): number {
  const { keys, values } = bytesOf(shape);
  return keys + values;
}

function bytesOf(
  { positions, kvHeads, headDim, valueDim = headDim, sharesKeys = false, type }: KvShape,
): { keys: number; values: number } {
  const rowBytes = alignUp(positions, KV_BLOCK_POSITIONS) * kvHeads * (type === "f16" ? 2 : 4);
  return { keys: rowBytes * headDim, values: sharesKeys ? 0 : rowBytes * valueDim };
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room, or none in one piece. */
export async function createKvCache(gpu: Gpu, label: string, shape: KvShape): Promise<KvCache> {
  const { headDim, valueDim = headDim, sharesKeys = false, contextLength = shape.positions } =
    shape;
  check(headDim % 4 === 0, `heads of ${headDim} dimensions are not by fours`);
  check(valueDim % 4 === 0, `values of ${valueDim} dimensions are not by fours`);
  check(!sharesKeys || valueDim <= headDim, "values that keys have are not longer");
  const bytes = bytesOf(shape);
  const usage = GPUBufferUsage.STORAGE;
  const keys = await gpu.createBuffer(`${label} keys`, bytes.keys, usage);
  const made = { ...shape, contextLength, valueDim, keys, bytes: bytes.keys + bytes.values };
  if (sharesKeys) return { ...made, values: keys };
  try {
    return { ...made, values: await gpu.createBuffer(`${label} values`, bytes.values, usage) };
  } catch (error) {
    gpu.destroyBuffer(keys);
    throw error;
  }
}

/** Gives a cache's memory back. */
export function destroyKvCache(gpu: Gpu, { keys, values }: KvCache): void {
  gpu.destroyBuffer(keys);
  if (values !== keys) gpu.destroyBuffer(values);
}
