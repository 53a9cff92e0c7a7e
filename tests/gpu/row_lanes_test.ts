/** Which numbers of invocations of a row are tried on an adapter. */
import { assertEquals } from "@std/assert";
import { ROW_JOBS, rowLanesFor, usableRowLanes } from "../../gpu/row_lanes.ts";

const limits = (invocations: number, storageBytes: number) => ({
  limits: {
    maxComputeInvocationsPerWorkgroup: invocations,
    maxComputeWorkgroupStorageSize: storageBytes,
  } as GPUSupportedLimits,
});

Deno.test("usableRowLanes() are all that workgroups of an adapter have room for", () => {
  const of = (...sizes: [number, number]) =>
    ROW_JOBS.map((job) => usableRowLanes(job, limits(...sizes)));
  assertEquals(of(1024, 32768), [[8, 16, 32], [4, 8, 16, 32], [8, 16, 32]]);
  // As little as WebGPU has, or less of either.
  assertEquals(of(256, 16384), [[8, 16, 32], [4, 8], [8]]);
  assertEquals(of(128, 16384), [[8, 16, 32], [4], []]);
  assertEquals(of(1024, 6656), [[8, 16, 32], [4, 8, 16], [8, 16]]);
});

Deno.test("rowLanesFor() is the wanted number, or the next smaller one that there is room for", () => {
  const rowLanes = { heads: 32, gated: 16, joined: 16 };
  const of = (invocations: number) =>
    ROW_JOBS.map((job) => rowLanesFor({ ...limits(invocations, 32768), rowLanes }, job));
  assertEquals([of(1024), of(256)], [[32, 16, 16], [32, 8, 8]]);
});
