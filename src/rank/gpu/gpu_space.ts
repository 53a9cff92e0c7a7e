/**
 * What a step needs between its weights on the GPU: pieces of one buffer, all f32 [tokens, stride].
 * Knows no model beyond its widths.
 */
import { attentionScratchBytes, type Gpu, type Rows } from "../../../gpu/mod.ts";
import { alignUp } from "../../base/check.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { RankPlan } from "../plan_types.ts";
import { lengthOf } from "../shard.ts";

/** Where a binding may begin. */
const ALIGN_BYTES = 256;
/** Floats that kernels read at a time. */
const STRIDE_UNIT = 4;

export interface GpuSpace {
  /** [n, embeddingStride]: the stream, what blocks read of it, what they leave for it. */
  readonly residual: Rows;
  readonly normed: Rows;
  readonly partial: Rows;
  /** Queries, keys and values of own heads side by side, and what attention gives. */
  readonly heads: Rows;
  readonly attention: Rows;
  /** Gate and up of own neurons side by side, and what they give. */
  readonly neurons: Rows;
  readonly hidden: Rows;
  /** [logitsRows, own rows of the output]. */
  readonly logits: Rows;
  /** Of the attention kernels. */
  readonly scratch: GPUBuffer;
  /** Floats from token to token of the residual stream, as in the rank's arena. */
  readonly embeddingStride: number;
}

/** @throws {GpuOutOfMemoryError} when the GPU has no room for it. */
export async function createSpace(
  gpu: Gpu,
  { plan, config }: { plan: RankPlan; config: ModelConfig },
): Promise<GpuSpace> {
  const { chunkTokens: n, logitsRows, contextLength, strides, layers } = plan;
  const most = (of: (layer: RankPlan["layers"][number]) => number) => Math.max(...layers.map(of));
  const heads = most((layer) => lengthOf(layer.heads));
  const kvHeads = most((layer) => lengthOf(layer.kvHeads));
  const neurons = most(({ feedForward }) =>
    feedForward.kind === "dense" ? lengthOf(feedForward.up.rows) : 0
  );
  const { headDim } = config;
  const pieces: { name: keyof typeof widths; rows: number }[] = [];
  const widths = {
    residual: strides.embedding,
    normed: strides.embedding,
    partial: strides.embedding,
    heads: (heads + 2 * kvHeads) * headDim,
    attention: heads * headDim,
    neurons: 2 * neurons,
    hidden: neurons,
    logits: lengthOf(plan.output.rows),
  };
  let sizeBytes = 0;
  const offsets = new Map<string, number>();
  for (const name of Object.keys(widths) as (keyof typeof widths)[]) {
    const rows = name === "logits" ? logitsRows : n;
    pieces.push({ name, rows });
    offsets.set(name, sizeBytes);
    sizeBytes = alignUp(sizeBytes + pieceBytes(rows, widths[name]), ALIGN_BYTES);
  }
  const buffer = await gpu.createBuffer(
    "activations",
    sizeBytes,
    GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  );
  const rowsOf = (name: keyof typeof widths): Rows => ({
    buffer,
    offsetBytes: offsets.get(name)!,
    sizeBytes: pieceBytes(pieces.find((piece) => piece.name === name)!.rows, widths[name]),
    stride: strideOf(widths[name]),
  });
  const scratchBytes = attentionScratchBytes({
    heads: Math.max(1, heads),
    headDim,
    positions: contextLength,
    maxTokens: n,
  });
  return {
    residual: rowsOf("residual"),
    normed: rowsOf("normed"),
    partial: rowsOf("partial"),
    heads: rowsOf("heads"),
    attention: rowsOf("attention"),
    neurons: rowsOf("neurons"),
    hidden: rowsOf("hidden"),
    logits: rowsOf("logits"),
    scratch: await gpu.createBuffer("attention scratch", Math.max(ALIGN_BYTES, scratchBytes)),
    embeddingStride: strides.embedding,
  };
}

/** Nothing takes a little, so that it can be bound. */
function strideOf(width: number): number {
  return alignUp(Math.max(1, width), STRIDE_UNIT);
}

function pieceBytes(rows: number, width: number): number {
  return rows * strideOf(width) * 4;
}
