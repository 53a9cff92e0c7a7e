import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { chooseLongSteps, type LongStepsDecision } from "../../src/llm/choose_long_steps.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { DEFAULT_PROFILE, type GpuProfile } from "../../src/planner/mod.ts";
import type { GpuOptions } from "../../src/rank/plan/plan.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";

/** Uploads a layer of the tiny model (73,728 bytes) in 0.1 ms. */
const FAST: GpuProfile = {
  ...{ adapter: "D", copyGBps: 800, decodeGBps: 600, stepMs: 0, prefillGFlops: 1e6 },
  uploadGBps: 0.73728,
};
const NOTHING: GpuOptions = { heads: 1, neurons: [1], hasOutput: false, layers: 0 };
const MUCH = 1e12;

async function decide(
  options: LoadOptions,
  { measured, share = NOTHING, hostBytes = MUCH, of = {} }: {
    measured?: GpuProfile;
    share?: GpuOptions;
    hostBytes?: number;
    of?: TinyModelOptions;
  } = {},
): Promise<LongStepsDecision> {
  let decision!: LongStepsDecision;
  await withTinyFile({ blockCount: 5, ...of }, (path) => {
    const file = openGguf(path);
    const profile = { ...DEFAULT_PROFILE, ...measured === undefined ? {} : { gpu: measured } };
    const by = { threads: 2, profile, ...options };
    decision = chooseLongSteps({ file, model: describeModel(file) }, by, share, hostBytes);
    return Promise.resolve();
  });
  return decision;
}

Deno.test("chooseLongSteps() begins where an upload is measured to be faster than threads", async () => {
  // A token takes two threads 18,432 / 148e9 s a layer: 0.1 ms are 803 of them, 1.2 times that.
  const pays = await decide({ chunkTokens: 1024 }, { measured: FAST });
  assertEquals(pays.longSteps!.layers, 5);
  const { fromTokens } = pays.longSteps!;
  assert(fromTokens > 960 && fromTokens < 1000, `${fromTokens}`);
  assertMatch(pays.reason, /expected in .* instead of/);
  const faster = await decide({}, { measured: { ...FAST, uploadGBps: 7.3728 } });
  assertLess(faster.longSteps!.fromTokens, 101);
});

Deno.test("chooseLongSteps() brings nothing where that does not pay, and says why", async () => {
  const experts: TinyModelOptions = { architecture: "llama-moe" };
  const cases: [Parameters<typeof decide>, RegExp][] = [
    [[{ chunkTokens: 512 }, { measured: FAST }], /0 ms, which 512 tokens at once do not pay/],
    [[{}, { measured: { ...FAST, prefillGFlops: 1 } }], /do not pay/],
    [[{}, {}], /never measured/],
    [[{}, { measured: { ...FAST, uploadGBps: undefined } }], /never measured/],
    [[{ gpuStreamFrom: 0 }, { measured: FAST }], /switched off/],
    [[{ gpuStreamFrom: 8 }, { share: { ...NOTHING, layers: 5 } }], /there are none/],
    [[{ gpuStreamFrom: 8 }, { of: experts }], /experts/],
    [[{ gpuStreamFrom: 8 }, { of: { architecture: "openelm", blockCount: 3 } }], /layers differ/],
    [[{ gpuStreamFrom: 8 }, { hostBytes: 1000 }], /no memory/],
  ];
  for (const [args, reason] of cases) {
    const { longSteps, reason: found } = await decide(...args);
    assertEquals(longSteps, null);
    assertMatch(found, reason);
  }
});

Deno.test("chooseLongSteps() does as it is told, never with one token", async () => {
  const told = await decide({ gpuStreamFrom: 8 });
  assertEquals(told.longSteps, { fromTokens: 8, layers: 5 });
  assertEquals((await decide({ gpuStreamFrom: 1 })).longSteps!.fromTokens, 2);
  const some = await decide({ gpuStreamFrom: 8 }, { share: { ...NOTHING, layers: 3 } });
  assertEquals(some.longSteps!.layers, 2, "of the first layers, which it has nothing of");
  const hot = await decide({ gpuStreamFrom: 8 }, {
    share: { ...NOTHING, layers: 5, neurons: [0.2, 0.5] },
  });
  assertEquals(hot.longSteps!.layers, 5);
});
