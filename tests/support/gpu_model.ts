/**
 * Models that run on a GPU, be it a software one, in tests. Where there is no adapter at all, tests
 * are skipped and say so.
 */
import { describeGpu } from "../../gpu/mod.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { DEFAULT_PROFILE } from "../../src/planner/mod.ts";
import { notDeep } from "./deep.ts";
import { hasShared } from "./shared.ts";
import { tunedAsReal } from "./tuning.ts";

const { available, reason, adapter } = await describeGpu();

/**
 * A test that needs a GPU adapter, and perhaps a file of the shared folder; a deep one is left
 * out of the gate for a reason.
 */
export function gpuTest(
  name: string,
  run: () => void | Promise<void>,
  { shared, deep }: { shared?: string; deep?: string } = {},
): void {
  const missing = !available
    ? `no GPU: ${reason}`
    : shared !== undefined && !hasShared(shared)
    ? `no shared/${shared}`
    : notDeep(deep);
  const skipped = missing === null ? name : `${name} [skipped: ${missing}]`;
  Deno.test({ name: skipped, ignore: missing !== null, fn: run });
}

/** A GPU does all of it. */
export const GPU_ALONE: LoadOptions = { gpu: "force" };

/** The same by the shaders that real GPUs do fastest: integer products of inputs in 8 bits. */
export const GPU_ALONE_TUNED: LoadOptions = {
  ...GPU_ALONE,
  profile: { ...DEFAULT_PROFILE, gpu: tunedProfile() },
};

/** As `doctor` would write it of this adapter, if these shaders were its fastest. */
function tunedProfile() {
  return {
    ...{ adapter: "tests", copyGBps: 1, decodeGBps: 1, stepMs: 1, prefillGFlops: 1 },
    tuning: adapter && tunedAsReal(adapter),
  };
}

/** A GPU has the heads and this share of the neurons; so many threads have the rest. */
export function besideThreads(hotShare: number, threads = 1): LoadOptions {
  return { gpu: "force", besideGpu: true, hotShare, threads };
}
