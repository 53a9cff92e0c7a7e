/** Whose step is next where several texts are filled in, on the test's own thread. */
import { assert, assertEquals, assertGreater, assertInstanceOf } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { createLeader, type RequestLeader } from "../../src/engine/create_leader.ts";
import { FillLeader } from "../../src/engine/fill_leader.ts";
import type { EngineRequest, EngineResult } from "../../src/engine/types.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import type { Control } from "../../src/memory/control.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { controlWords } from "../../src/memory/control_layout.ts";
import { describeModel } from "../../src/model/mod.ts";
import { RankRunner } from "../../src/rank/open_rank.ts";
import { controlSize } from "../../src/rank/plan/control_size.ts";
import { planRanks } from "../../src/rank/plan/plan.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";

const CONTEXT = 256;
/** Ids come one by one, in order. */
const ONE_BY_ONE = { blockTokens: 1, stepTokens: 1, order: "confidence" } as const;

interface Opened {
  readonly leader: RequestLeader;
  readonly control: Control;
  /** How each request has ended, by slot. */
  readonly ends: (EngineResult | unknown)[];
  begin(slot: number, request?: Partial<EngineRequest>): void;
  /** Ids of each of so many slots, after a step more each time. */
  steps(count: number, slots: number): number[][];
}

/** A leader of three sequences, whose keys and values have room for so many blocks of 32. */
async function open(path: string, kvBlocks: number): Promise<Opened> {
  const file = openGguf(path);
  const model = describeModel(file);
  const module = await loadKernelModule();
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const plans = planRanks(model, file.tensors, {
    ...{ rankCount: 1, sequences: 3, kvBlocks, kvType: "auto" },
    ...{ contextLength: CONTEXT, chunkTokens: CONTEXT },
    sizes: instantiateKernels(module, memory),
  });
  const runner = RankRunner.open({
    ...{ rankIndex: 0, plans, config: model.config, module, gpu: null, streams: null },
    ...{ tensors: file.tensors, parts: file.parts, observation: null },
    memories: [plans[0].arenas.map(createArenaMemory)],
    controlBuffer: new SharedArrayBuffer(4 * controlWords(controlSize(plans[0]))),
  }, () => {});
  const leader = createLeader(runner);
  const { control } = runner;
  const ends: (EngineResult | unknown)[] = [];
  return {
    ...{ leader, control, ends },
    begin(slot, request = {}) {
      control.openSlot(slot);
      const end = (how: unknown) => void (ends[slot] = how);
      leader.begin(
        {
          ...{ ids: [5, 6, 7], maxTokens: 4, sampling: { temperature: 0 }, endIds: [] },
          ...{ fill: ONE_BY_ONE, ...request },
        },
        slot,
        { done: end, failed: end },
      );
    },
    steps: (count, slots) =>
      Array.from({ length: count }, () => {
        leader.step();
        return Array.from({ length: slots }, (_, slot) => control.outputCount(slot));
      }),
  };
}

function reasons(ends: Opened["ends"]): (string | undefined)[] {
  return ends.map((end) => (end as EngineResult | undefined)?.finishReason);
}

Deno.test("FillLeader lets requests take turns, step by step, the urgent ones first", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { leader, ends, begin, steps } = await open(path, 30);
    assert(leader instanceof FillLeader);
    begin(0);
    assertEquals(steps(1, 1), [[1]]);
    begin(1, { maxTokens: 2 });
    assertEquals(steps(3, 2), [[2, 0], [2, 1], [3, 1]]);
    begin(2, { priority: 5, maxTokens: 3 });
    assertEquals(steps(3, 3), [[3, 1, 1], [3, 1, 2], [3, 1, 3]]);
    assertEquals(steps(2, 3), [[3, 2, 3], [4, 2, 3]]);
    assertEquals(reasons(ends), ["length", "length", "length"]);
    assertEquals(leader.hasWork, false);
  }));

Deno.test("FillLeader lets who finds no room wait, and takes nobody in before", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { leader, control, ends, begin, steps } = await open(path, 8);
    const long = Array.from({ length: 200 }, (_, i) => 5 + i);
    begin(0, { ids: long, maxTokens: 2 });
    begin(1, { ids: long, maxTokens: 1 });
    begin(2, { maxTokens: 1 });
    assertEquals(steps(1, 3), [[1, 0, 0]]);
    assertEquals(control.kvTokens, 224);
    assertEquals(steps(3, 3), [[2, 0, 0], [2, 1, 0], [2, 1, 1]]);
    assertEquals([leader.hasWork, control.kvTokens], [false, 0]);
    assertEquals(reasons(ends), ["length", "length", "length"]);
  }));

Deno.test("FillLeader ends who leaves, whether they run or wait, before another step", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { leader, control, ends, begin, steps } = await open(path, 8);
    const long = Array.from({ length: 200 }, (_, i) => 5 + i);
    begin(0, { ids: long });
    begin(1, { ids: long });
    begin(2, { maxTokens: 0 });
    steps(1, 1);
    control.cancel(0);
    control.cancel(1);
    // The last one wants nothing.
    assertEquals(steps(1, 3), [[1, 0, 0]]);
    assertEquals(reasons(ends), ["cancelled", "cancelled", "length"]);
    assertEquals([leader.hasWork, control.kvTokens], [false, 0]);
    begin(0);
    assertEquals(steps(4, 1).at(-1), [4]);
  }));

Deno.test("FillLeader takes nothing of a step that was aborted, and lets the next one end", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { control, ends, begin, steps } = await open(path, 30);
    begin(1, { maxTokens: 1 });
    steps(1, 2);
    const [expected] = control.outputIds(1);
    begin(0);
    begin(1, { maxTokens: 1 });
    steps(1, 1);
    // Somebody leaves as soon as it was looked who has left: while the other one's step runs.
    const notice = control.noticeCancels;
    control.noticeCancels = (mayAbort) => {
      notice.call(control, mayAbort);
      control.cancel(0);
    };
    control.outputIds(1)[0] = -1;
    assertEquals(steps(2, 2), [[1, 0], [1, 1]]);
    assertEquals(control.outputIds(1)[0], expected);
    assertEquals(reasons(ends), ["cancelled", "length"]);
  }));

Deno.test("FillLeader lets the next step be aborted, too, where nobody was left of the last", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { control, ends, begin, steps } = await open(path, 30);
    const mayAbort: (boolean | undefined)[] = [];
    const { noticeCancels: notice, join } = control;
    control.noticeCancels = (may) => (mayAbort.push(may), notice.call(control, may));
    // The only one leaves while its step runs.
    control.join = () => {
      control.join = join;
      control.cancel(0);
      return join.call(control);
    };
    begin(0);
    assertEquals(steps(1, 1), [[0]]);
    begin(1, { maxTokens: 1 });
    assertEquals(steps(1, 2), [[0, 1]]);
    assertEquals(mayAbort, [true, true]);
    assertEquals(reasons(ends), ["cancelled", "length"]);
  }));

Deno.test("FillLeader fails the request whose logits are no numbers, and no other", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    damageEmbedding(path, 9);
    const { control, ends, begin, steps } = await open(path, 30);
    begin(0, { ids: [5, 9, 7] });
    begin(1, { maxTokens: 2 });
    assertEquals(steps(3, 2), [[0, 0], [0, 1], [0, 2]]);
    assertInstanceOf(ends[0], RequestError);
    assertEquals((ends[1] as EngineResult).finishReason, "length");
    assertEquals(control.kvTokens, 0);
  }));

Deno.test("FillLeader ends everything where a rank fails, and says how long an answer took", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { leader, control, ends, begin, steps } = await open(path, 8);
    const long = Array.from({ length: 200 }, (_, i) => 5 + i);
    begin(0, { maxTokens: 1 });
    steps(1, 1);
    assertGreater((ends[0] as EngineResult).timings.promptMs, 0);
    begin(0, { ids: long });
    begin(1, { ids: long });
    const broken = new Error("out of order");
    control.join = () => {
      throw broken;
    };
    // One that runs, one that waits.
    steps(1, 1);
    assertEquals(ends, [broken, broken]);
    assertEquals([leader.hasWork, control.kvTokens], [false, 0]);
  }));

Deno.test("ranks say that they get on within a layer of a long text, not at its joins alone", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { control, begin, steps } = await open(path, 8);
    const beatsOf = (tokens: number) => {
      const before = control.heartbeat;
      begin(0, { ids: Array.from({ length: tokens - 1 }, (_, i) => 5 + i), maxTokens: 1 });
      steps(1, 1);
      return control.heartbeat - before;
    };
    const [short, long] = [beatsOf(64), beatsOf(200)];
    // Two layers, each of four times as many as attend at once.
    assertEquals(long - short, 2 * 3);
  }));

Deno.test("FillLeader does errands between steps, and ends all that is under way when it is told", () =>
  withTinyFile({ architecture: "llada" }, async (path) => {
    const { leader, ends, begin, steps } = await open(path, 8);
    const told: unknown[] = [];
    const end = {
      done: (how: unknown) => told.push(how),
      failed: (how: unknown) => told.push(how),
    };
    const errand = function* () {
      yield;
      return "all";
    };
    leader.errands.add(errand(), end);
    assertEquals(leader.hasWork, true);
    steps(2, 1);
    assertEquals([told, leader.hasWork], [["all"], false]);
    const long = Array.from({ length: 200 }, (_, i) => 5 + i);
    begin(0, { ids: long });
    begin(1, { ids: long });
    steps(1, 1);
    leader.errands.add(errand(), end);
    const closed = new Error("closed");
    leader.failAll(closed);
    assertEquals([ends, told.at(-1), leader.hasWork], [[closed, closed], closed, false]);
  }));

/** Makes an embedding of the F32 model at `path` NaN. */
function damageEmbedding(path: string, id: number): void {
  const { offsetBytes, dims: [width] } = openGguf(path).tensors.get("token_embd.weight")!;
  const row = new Uint8Array(new Float32Array(width).fill(NaN).buffer);
  using file = Deno.openSync(path, { write: true });
  file.seekSync(offsetBytes + id * row.length, Deno.SeekMode.Start);
  file.writeSync(row);
}
