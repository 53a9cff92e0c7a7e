/**
 * Rows that a layer keeps which convolves over the last few tokens: rings of sequences, and ends of
 * the blocks that keys and values have, as src/memory/convolution_layout.ts lays them. Only kernels
 * write and read them.
 */
import { check } from "../src/base/check.ts";
import { convolutionBytes, ringRows } from "../src/memory/convolution_layout.ts";
import { KV_BLOCK_POSITIONS } from "../src/memory/kv_layout.ts";
import type { Gpu } from "./device.ts";

export interface ConvolutionShape {
  /** Channels. */
  readonly width: number;
  readonly taps: number;
  readonly sequences: number;
  /** Of positions, that all sequences share. */
  readonly blocks: number;
  /** The most tokens of a step, or that a sequence goes back by. */
  readonly tokens: number;
}

export interface ConvolutionRows extends ConvolutionShape {
  /** f32 [sequences, ringRows, width]. */
  readonly rings: GPUBuffer;
  readonly ringRows: number;
  /** f32 [blocks, taps − 1, width]. */
  readonly ends: GPUBuffer;
}

/** Of both buffers. */
export function convolutionRowsBytes(shape: ConvolutionShape): number {
  const { rings, ends } = bytesOf(shape);
  return rings + ends;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room, or none in one piece. */
export async function createConvolutionRows(
  gpu: Gpu,
  label: string,
  shape: ConvolutionShape,
): Promise<ConvolutionRows> {
  const { taps, tokens } = shape;
  check(taps >= 2 && taps <= KV_BLOCK_POSITIONS, `a convolution over ${taps} tokens`);
  const bytes = bytesOf(shape);
  const usage = GPUBufferUsage.STORAGE;
  const rings = await gpu.createBuffer(`${label} rings`, bytes.rings, usage);
  const ends = await gpu.createBuffer(`${label} ends`, bytes.ends, usage);
  return { ...shape, rings, ends, ringRows: ringRows(tokens, taps) };
}

function bytesOf({ taps, tokens, width, sequences, blocks }: ConvolutionShape) {
  const { ringBytes, endsBytes } = convolutionBytes({ taps, chunkTokens: tokens, width });
  return { rings: sequences * ringBytes, ends: blocks * endsBytes };
}
