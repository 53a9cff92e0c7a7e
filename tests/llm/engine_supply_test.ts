import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import type { GpuPart } from "../../src/llm/mod.ts";
import { EngineSupply, firstThatFits, type OpenEngine } from "../../src/llm/engine_supply.ts";

const WHOLE: GpuPart = {
  isByFrequency: false,
  share: { heads: 1, neurons: [1], hasOutput: true, layers: 4 },
  ...{ isAlone: true, mayBeSoftware: false, priority: "normal" },
};
const HALF: GpuPart = { ...WHOLE, isAlone: false, share: { ...WHOLE.share, neurons: [0.5] } };

/** An error as it comes from another thread. */
function fromThread(name: string): WorkerError {
  const cause = new Error("why");
  cause.name = name;
  return new WorkerError("engine: why", { cause });
}

/** What starting with each of the tries ends with: an error's name, or "". */
async function tried(tries: readonly (GpuPart | null)[], ends: readonly string[]) {
  const asked: (GpuPart | null)[] = [];
  const notices: string[] = [];
  const start = (part: GpuPart | null) => {
    const end = ends[asked.push(part) - 1];
    return end === "" ? Promise.resolve("started") : Promise.reject(fromThread(end));
  };
  await firstThatFits(tries, start, ({ text }) => notices.push(text));
  return { asked, notices };
}

Deno.test("firstThatFits() takes less of the GPU where its memory is too small, at last none", async () => {
  const full = "GpuOutOfMemoryError";
  assertEquals((await tried([WHOLE, HALF, null], [""])).asked, [WHOLE]);
  assertEquals((await tried([WHOLE, HALF, null], [full, ""])).asked, [WHOLE, HALF]);
  const { asked, notices } = await tried([WHOLE, HALF, null], [full, full, ""]);
  assertEquals(asked, [WHOLE, HALF, null]);
  assertStringIncludes(notices[0], "with less of it on the GPU");
  assertStringIncludes(notices[1], "without the GPU");
  const roomy = await tried([{ ...WHOLE, contexts: 4 }, WHOLE, HALF], [full, full, ""]);
  assertStringIncludes(roomy.notices[0], "with the room of one context on the GPU");
  assertStringIncludes(roomy.notices[1], "with less of it on the GPU");
  await assertRejects(() => tried([WHOLE, HALF], [full, full]), WorkerError);
});

Deno.test("firstThatFits() does without a GPU that is gone, where it may", async () => {
  for (const gone of ["GpuUnavailableError", "GpuLostError"]) {
    assertEquals((await tried([WHOLE, HALF, null], [gone, ""])).asked, [WHOLE, null]);
    await assertRejects(() => tried([WHOLE, HALF], [gone]), WorkerError);
  }
  await assertRejects(() => tried([WHOLE, null], ["ModelFormatError", ""]), WorkerError);
});

// fault 56: the GPU is lost.
Deno.test("EngineSupply starts another engine where the GPU failed, and no other failure is its", async () => {
  const engineOf = (failure: Error | null) => {
    const engine = { failure, closed: 0, close: () => Promise.resolve(void engine.closed++) };
    return engine;
  };
  const open = (engine: ReturnType<typeof engineOf>, gpu: GpuPart | null) =>
    ({ engine, gpu }) as unknown as OpenEngine;
  const lost = engineOf(fromThread("GpuLostError"));
  const fresh = engineOf(null);
  let starts = 0;
  const supply = new EngineSupply(open(lost, WHOLE), () => {
    starts++;
    return Promise.resolve(open(fresh, null));
  });
  assertEquals([supply.failure, supply.gpu], [null, WHOLE]);
  const both = await Promise.all([supply.ready(), supply.ready()]);
  assertEquals(both as unknown[], [fresh, fresh]);
  assertEquals(await supply.ready() as unknown, fresh);
  assertEquals(starts, 1);
  assertEquals([lost.closed, supply.gpu], [1, null]);
  await supply.close();
  assertEquals(fresh.closed, 1);
  const broken = engineOf(new WorkerError("a thread died"));
  const other = new EngineSupply(open(broken, null), () => Promise.reject(new Error("not asked")));
  assertEquals(other.failure, broken.failure);
  assertEquals(await other.ready() as unknown, broken);
});
