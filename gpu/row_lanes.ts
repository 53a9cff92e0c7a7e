/**
 * How many invocations share a row in products of one token (ops/one_token.ts): what is best
 * differs from adapter to adapter, and is tried once by the autotune.
 */
import type { Gpu } from "./device.ts";

/** By shader. */
export const ROW_JOBS = ["heads", "gated", "joined"] as const;
export type RowJob = (typeof ROW_JOBS)[number];
export type RowLanes = Readonly<Record<RowJob, number>>;

/** Rows (of `gated`: neurons) of a workgroup; 32 are a piece of 8 bits. */
export const WORKGROUP_ROWS: RowLanes = { heads: 4, gated: 32, joined: 32 };

/** The best ones of an H100. */
export const DEFAULT_ROW_LANES: RowLanes = { heads: 32, gated: 8, joined: 32 };

/** What can be tried, ascending. */
const LANES: Readonly<Record<RowJob, readonly number[]>> = {
  heads: [8, 16, 32],
  gated: [4, 8, 16, 32],
  joined: [8, 16, 32],
};

/** Workgroup memory of an invocation, for its sums; and of all together. */
const LANE_BYTES = 8;
const ROOM_BYTES = 2560;

/** Workgroup memory that a product takes at most, but for a copy of what it reads. */
export function workgroupBytes(job: RowJob, lanes: number): number {
  return lanes * WORKGROUP_ROWS[job] * LANE_BYTES + ROOM_BYTES;
}

/** Those numbers of invocations of a row that workgroups of an adapter can have. */
export function usableRowLanes(job: RowJob, { limits }: Pick<Gpu, "limits">): readonly number[] {
  const { maxComputeInvocationsPerWorkgroup: most, maxComputeWorkgroupStorageSize: bytes } = limits;
  return LANES[job].filter((lanes) => {
    return lanes * WORKGROUP_ROWS[job] <= most && workgroupBytes(job, lanes) <= bytes;
  });
}

/** The wanted number, or the next smaller one that the adapter can have. */
export function rowLanesFor(gpu: Pick<Gpu, "limits" | "rowLanes">, job: RowJob): number {
  const usable = usableRowLanes(job, gpu);
  return usable.findLast((lanes) => lanes <= gpu.rowLanes[job]) ?? usable[0];
}
