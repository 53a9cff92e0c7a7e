import { assert, assertEquals } from "@std/assert";
import { openPacked } from "../../src/bundle/mod.ts";
import { canReadByKernel } from "../../src/io/mod.ts";
import { usedBytes } from "../../src/planner/mod.ts";
import { readsPastFileCache } from "../../src/llm/file_cache.ts";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { readsByKernel } from "../../src/llm/packed_readers.ts";
import { planLoad, type PlannedLoad } from "../../src/llm/plan_load.ts";
import { describeModel } from "../../src/model/mod.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { loadKernelModule } from "../../wasm/mod.ts";

const MODULE = await loadKernelModule();
const TINY = { architecture: "bamboo", type: "Q4_0" } as const;

Deno.test({
  name: "readsPastFileCache() is true by itself where nobody may ask what memory is free",
  permissions: { sys: false },
  fn() {
    const use = { isResident: true, fileBytes: 1, takenBytes: 1 };
    assertEquals(readsPastFileCache("auto", use), true);
    assertEquals(readsPastFileCache("on", use), false);
  },
});

Deno.test("readsPastFileCache() uses the cache for files that fit beside their model", () => {
  const use = { isResident: true, fileBytes: 40, takenBytes: 60, availableBytes: 100 };
  const short = { ...use, availableBytes: 99 };
  const streamed = { ...use, isResident: false };
  for (const mode of ["auto", undefined] as const) {
    assertEquals([use, short, streamed].map((of) => readsPastFileCache(mode, of)), [
      false,
      true,
      true,
    ]);
  }
});

Deno.test("readsPastFileCache() does as it is told, whatever there is room for", () => {
  for (const isResident of [true, false]) {
    for (const availableBytes of [0, 1e9]) {
      const use = { isResident, fileBytes: 40, takenBytes: 60, availableBytes };
      assert(!readsPastFileCache("on", use));
      assert(readsPastFileCache("off", use));
    }
  }
});

function planned(path: string, options: LoadOptions): PlannedLoad {
  const packed = openPacked(path);
  const { file } = packed;
  return planLoad({ file, packed, model: describeModel(file) }, MODULE, { threads: 1, ...options });
}

/** With so much free memory. */
function withMemory(available: number, use: () => void): void {
  const ask = Deno.systemMemoryInfo;
  try {
    Deno.systemMemoryInfo = () => ({ ...ask(), available });
    use();
  } finally {
    Deno.systemMemoryInfo = ask;
  }
}

Deno.test("planLoad() reads through the file cache what will be resident and has room", () =>
  withPacked(TINY, (_, packed) => {
    const streaming = FEW_SLOTS;
    const whole = { ...FEW_SLOTS, residentUnits: 2 };
    // Where the kernel could read, a few threads stand in for it.
    const many = canReadByKernel(packed) ? 4 : 8;
    const cases: [LoadOptions, number][] = [
      [{}, 4],
      [{ streaming: whole }, many],
      [{ ioWorkers: 3 }, 3],
    ];
    for (const [options, readers] of cases) {
      const { isDirect, ioWorkers } = planned(packed, options);
      assertEquals([isDirect, ioWorkers], [false, readers]);
      assert(planned(packed, { ...options, fileCache: "off" }).isDirect);
    }
    for (const options of [{ streaming }, { streaming: { ...whole, residentUnits: 1 } }]) {
      assert(planned(packed, options).isDirect);
      const { isDirect, ioWorkers } = planned(packed, { ...options, fileCache: "on" });
      assertEquals([isDirect, ioWorkers], [false, 8]);
    }
    withMemory(1e9, () => assert(!planned(packed, { streaming: whole }).isDirect));
    withMemory(1e8, () => assert(planned(packed, { streaming: whole }).isDirect));
    withMemory(1e8, () => assert(!planned(packed, { streaming: whole, fileCache: "on" }).isDirect));
    return Promise.resolve();
  }));

// Without `--allow-ffi` the kernel reads for nobody: `deno task test:ffi` has it.
const mayCall = Deno.permissions.querySync({ name: "ffi" }).state === "granted";

const notHere = mayCall ? "" : " [skipped: deno task test:ffi runs it]";

Deno.test(
  `readsByKernel() is never where the file cache is used${notHere}`,
  { ignore: !mayCall },
  () =>
    withPacked(TINY, (_, path) => {
      const isPossible = canReadByKernel(path);
      assertEquals(readsByKernel({ path }, {}), isPossible);
      assertEquals(readsByKernel({ path }, { fileCache: "off" }), isPossible);
      assertEquals(readsByKernel({ path }, { fileCache: "on" }), false);
      // A model that is loaded through it is loaded by threads, too.
      assertEquals(planned(path, {}).ioWorkers, 4);
      assertEquals(planned(path, { fileCache: "off" }).ioWorkers, isPossible ? 0 : 4);
      // There is no memory for threads that read: without the kernel the model is refused.
      if (isPossible) assert(planned(path, { memoryBytes: bytesOf(path) }).isDirect);
      return Promise.resolve();
    }),
);

/** What the model takes in memory when nobody but the kernel reads. */
function bytesOf(path: string): number {
  const { plans } = planned(path, { fileCache: "off" });
  return usedBytes(plans, { units: openPacked(path).units.length, ioWorkers: 0 });
}
