/**
 * Keys and values of one layer: a buffer each, [place][head][dimension]. Places come in blocks of
 * 32 positions, which sequences share out among themselves (step_input.ts has the tables). Kernels
 * write new rows in place; the buffers cannot be copied from or to, so that nothing ever is.
 */
import { alignUp, check } from "../src/base/check.ts";
import { KV_BLOCK_POSITIONS } from "../src/memory/kv_layout.ts";
import type { Gpu } from "./device.ts";

export interface KvShape {
  /** Tokens that fit, of all sequences; rounded up to blocks. */
  readonly positions: number;
  /** Tokens of a sequence, at most; left out: as many as fit. */
  readonly contextLength?: number;
  readonly kvHeads: number;
  /** Multiple of 4. */
  readonly headDim: number;
  /** How a number is kept: "f16" rounds. */
  readonly type: "f16" | "f32";
}

export interface KvCache extends KvShape {
  readonly contextLength: number;
  readonly keys: GPUBuffer;
  readonly values: GPUBuffer;
  readonly bytes: number;
}

/** Of both buffers. */
export function kvCacheBytes({ positions, kvHeads, headDim, type }: KvShape): number {
  const places = alignUp(positions, KV_BLOCK_POSITIONS);
  return 2 * places * kvHeads * headDim * (type === "f16" ? 2 : 4);
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room, or none in one piece. */
export async function createKvCache(gpu: Gpu, label: string, shape: KvShape): Promise<KvCache> {
  check(shape.headDim % 4 === 0, `heads of ${shape.headDim} dimensions are not by fours`);
  const bytes = kvCacheBytes(shape);
  const usage = GPUBufferUsage.STORAGE;
  const { contextLength = shape.positions } = shape;
  const keys = await gpu.createBuffer(`${label} keys`, bytes / 2, usage);
  try {
    const values = await gpu.createBuffer(`${label} values`, bytes / 2, usage);
    return { ...shape, contextLength, keys, values, bytes };
  } catch (error) {
    gpu.destroyBuffer(keys);
    throw error;
  }
}

/** Gives a cache's memory back. */
export function destroyKvCache(gpu: Gpu, { keys, values }: KvCache): void {
  gpu.destroyBuffer(keys);
  gpu.destroyBuffer(values);
}
