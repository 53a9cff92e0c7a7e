import { assert } from "@std/assert";
import { measureGpu } from "../../src/cli/doctor/gpu_speeds.ts";
import { gpuTest } from "../support/gpu_model.ts";

gpuTest("measureGpu() gives rates that a profile can keep", async () => {
  // Wider than high, as what is measured of real GPUs.
  const work = { rows: 256, columns: 512, matrices: 2, copyBytes: 1 << 20, rounds: 2 };
  const rates = await measureGpu({ mayBeSoftware: true, work });
  for (const rate of [rates.copyGBps, rates.decodeGBps, rates.prefillGFlops, rates.uploadGBps!]) {
    assert(rate > 1e-4 && rate < 1e6, `${JSON.stringify(rates)}`);
  }
  assert(rates.stepMs >= 0 && rates.adapter !== "");
});
