/** A rank on a GPU whose logits are awaited, as a page has to. */
import { assertEquals, assertThrows } from "@std/assert";
import { openGpu } from "../../gpu/mod.ts";
import { Program } from "../../gpu/program.ts";
import { Control } from "../../src/memory/control.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { missingGpu } from "../support/gpu.ts";
import { GPU_ALONE } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel, withTinyFile } from "../support/loaded_model.ts";
import { openLoneRank } from "../support/lone_gpu_rank.ts";
import { PageModel } from "../support/page_model.ts";
import { randomIds } from "../support/rng.ts";
import { pipelinesAsDispatched } from "../support/stand_ins.ts";

const IDS = randomIds(37, { end: 512, seed: 7 });

pipelinesAsDispatched();

awaitedTest("a rank on a GPU gives the same bits when logits are awaited", async () => {
  await withTinyFile({ seed: 3, type: "Q4_0" }, async (path) => {
    const model = await PageModel.open(await Deno.readFile(path), await loadKernelModule());
    await withModel(path, GPU_ALONE, async (quick) => {
      assertEquals(await model.logits(IDS), await allLogits(quick, IDS));
      assertEquals(await model.greedyIds(IDS, 16), await greedyIds(quick, IDS, 16));
    });
  });
});

awaitedTest("a rank on a GPU refuses a step before logits have arrived", async () => {
  await withTinyFile({ seed: 3 }, async (path) => {
    const model = await PageModel.open(await Deno.readFile(path), await loadKernelModule());
    model.startStep(IDS.slice(0, 4), 0, 1);
    assertThrows(() => model.startStep(IDS.slice(4, 5), 4, 1), Error, "have arrived");
  });
});

awaitedTest("between two tokens lie one write and one join until commands go out", async () => {
  const shape = { seed: 3, type: "Q4_0", blockCount: 9, contextLength: 64 } as const;
  await withTinyFile(shape, async (path) => {
    const gpu = await openGpu({ adapter: "fallback-allowed" });
    const { decode } = await openLoneRank(path, gpu, true);
    const events: string[] = [];
    const { queue } = gpu.device;
    const note = (of: object, method: string) => {
      const original = Reflect.get(of, method);
      Reflect.set(of, method, function (this: unknown, ...args: unknown[]) {
        events.push(method);
        return Reflect.apply(original, this, args);
      });
    };
    const { join } = Control.prototype;
    note(queue, "submit");
    note(queue, "writeBuffer");
    note(Control.prototype, "join");
    try {
      for (let position = 0; position < 8; position++) {
        events.length = 0;
        decode(position);
        if (position === 0) continue; // what it brings was not foreseen
        assertEquals(events.slice(0, 3), ["join", "writeBuffer", "submit"]);
        assertEquals(events.lastIndexOf("writeBuffer") > events.lastIndexOf("submit"), true);
      }
    } finally {
      Control.prototype.join = join;
    }
  });
});

awaitedTest("a rank on a GPU computes no neurons in steps too short for its own", async () => {
  await withTinyFile({ seed: 3, blockCount: 3, feedForwardLength: 320 }, async (path) => {
    const gpu = await openGpu({ adapter: "fallback-allowed" });
    const { run: runRank } = await openLoneRank(path, gpu, false, { hotShare: [0, 0.4] });
    const { run } = Program.prototype;
    let lists = 0;
    Program.prototype.run = function (this: Program, ...args) {
      lists++;
      return run.apply(this, args);
    };
    const listsOf = (position: number, ids: readonly number[]) => {
      lists = 0;
      runRank([{ slot: 0, position, ids }]);
      return lists;
    };
    try {
      // Of each layer heads, and neurons from two tokens on; then the output.
      assertEquals([listsOf(0, [5, 6]), listsOf(2, [7]), listsOf(3, [8, 9])], [7, 4, 7]);
    } finally {
      Program.prototype.run = run;
    }
  });
});

/** Devices go with the process: tests/support/gpu.ts says why. */
function awaitedTest(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name: missingGpu === null ? name : `${name} [skipped: ${missingGpu}]`,
    ignore: missingGpu !== null,
    ...{ sanitizeResources: false, sanitizeOps: false, fn },
  });
}
