/**
 * Attention over chunks of positions in one dispatch: whichever of a tile's workgroups ends last
 * puts its chunks together, to the bits that a dispatch of its own would leave.
 */
import type { ExprLike } from "../../src/shapes/mod.ts";
import { COUNTERS_MAX } from "../device.ts";
import { KERNEL_LIST } from "../kernels.ts";
import type { Constants } from "../pipelines.ts";
import type { ProgramBuilder } from "../program.ts";
import { bindRows } from "../rows.ts";
import {
  type AttentionArgs,
  bindSinks,
  type Chunks,
  COMBINE_LANES,
  constantsOf,
  inputsOf,
  sinkConstants,
} from "./attention_common.ts";
import { MANY_TOKENS } from "./matmul.ts";

const KERNEL = "attention_last";

/** Whether it is wanted, and there are bindings and counters for it; tileRows: of a workgroup. */
export function canEndByLast(
  { gpu, input: { sequences } }: ProgramBuilder,
  { groupSize, cache: { kvHeads } }: AttentionArgs,
  tileRows: number,
): boolean {
  if (!gpu.endsByLast) return false;
  const { bindings } = KERNEL_LIST[KERNEL];
  const buffers = bindings.length - 1; // one is uniform
  const tiles = Math.max(
    sequences * Math.ceil(groupSize / tileRows),
    Math.ceil((MANY_TOKENS - 1) * groupSize / tileRows),
  );
  return gpu.limits.maxStorageBuffersPerShaderStage >= buffers && tiles * kvHeads <= COUNTERS_MAX;
}

/** Attention by chunks, to its end. */
export function addByLast(
  builder: ProgramBuilder,
  args: AttentionArgs,
  { chunk, chunks, constants, int8, workgroups }: Chunks & {
    readonly constants: Constants;
    readonly int8: GPUBuffer | null;
    readonly workgroups: readonly [ExprLike, ExprLike, ExprLike];
  },
): void {
  const { to, scratch } = args;
  builder.add({
    kernel: KERNEL,
    constants: {
      ...constantsOf(builder, args),
      ...{ CHUNK: chunk, CHUNKS: chunks, COMBINE_LANES, TO_INT8: int8 !== null },
      ...{ TO_START: (to.column ?? 0) / 4, TO_STRIDE: to.stride / 4, ...constants },
      ...sinkConstants(args),
    },
    bindings: [
      ...inputsOf(builder, args),
      { buffer: scratch },
      builder.input.records,
      bindRows(to),
      { buffer: int8 ?? builder.gpu.sink },
      bindSinks(builder, args),
      { buffer: builder.gpu.counters },
    ],
    ...int8 ? { keeps: to } : {},
    workgroups,
  });
}
