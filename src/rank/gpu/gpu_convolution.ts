/**
 * A layer that convolves, on the GPU, in the place of heads: what makes its rows is projected as
 * queries, keys and values are. Knows plans; not what becomes of what it gives.
 */
import {
  type ConvolutionRows,
  createConvolutionRows,
  type ProgramBuilder,
  shortConvolution,
} from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import { lengthOf } from "../plan/shard.ts";
import type { HeadsStep } from "./gpu_heads.ts";
import type { GpuSpace } from "./gpu_space.ts";
import { loadProducts, type Product, type Stacked } from "./gpu_weights.ts";
import { convolutionShape } from "../plan/kept_shapes.ts";
import { multiplyAny } from "./layer_operations.ts";
import type { LayerLoading } from "./layer_weights.ts";

export interface ConvolutionWeights {
  /** What gates, and the two that make rows. */
  readonly projections: readonly Product[];
  /** [channels, taps]. */
  readonly weights: GPUBuffer;
  readonly kept: ConvolutionRows;
  readonly output: Stacked;
}

/**
 * Of own channels; null: none, or the layer attends.
 * @throws {GpuOutOfMemoryError} when the GPU has no room for it.
 */
export async function loadConvolution(input: LayerLoading): Promise<ConvolutionWeights | null> {
  const { plan, loader, gpu, config: { headDim }, index } = input;
  const { convolution, heads, query, key, value, attentionOutput } = plan;
  if (convolution === null || lengthOf(heads) === 0) return null;
  check(query !== null && key !== null && value !== null, "a layer that convolves makes rows");
  check(attentionOutput !== null, "what it gives is merged");
  const shape = { taps: convolution.taps, width: lengthOf(heads) * headDim, ...input };
  return {
    projections: await loadProducts(loader, [query, key, value]),
    weights: await loader.vector(convolution.weights),
    kept: await createConvolutionRows(gpu, `blk.${index}`, convolutionShape(shape)),
    output: await loader.stack([attentionOutput]),
  };
}

/** space.attention = what own channels give. */
export function addConvolution(
  builder: ProgramBuilder,
  { projections, weights, kept }: ConvolutionWeights,
  { heads, attention }: GpuSpace,
  { x }: HeadsStep,
): void {
  for (const { stacked, column } of projections) {
    multiplyAny(builder, stacked, { x, to: { ...heads, column } });
  }
  shortConvolution(builder, { x: heads, to: attention, weights, kept });
}
