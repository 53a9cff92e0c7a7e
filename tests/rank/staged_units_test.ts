/** Whole units that are brought into places, with a reader that reads nothing. */
import { assert, assertEquals } from "@std/assert";
import { openModelFile } from "../../src/bundle/mod.ts";
import { DONE, type Reads, SECTOR_BYTES_MAX } from "../../src/io/mod.ts";
import { describeForUse } from "../../src/llm/plan_load.ts";
import { planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { SharedText } from "../../src/memory/shared_text.ts";
import { Streaming } from "../../src/rank/stream/streaming.ts";
import type { Kernels } from "../../wasm/kernels.ts";
import { loadKernelModule } from "../../wasm/mod.ts";
import { withPacked } from "../support/packed_model.ts";
import type { Streamed } from "../../src/rank/bound/bound_blocks.ts";
import { CACHE_HITS, CACHE_MISSES, COUNT_FIELDS } from "../../src/rank/plan/counts.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import { StagedUnits } from "../../src/rank/stream/staged_units.ts";
import { UnitPlaces } from "../../src/rank/stream/unit_places.ts";
import type { UnitReader } from "../../src/rank/load/unit_reader.ts";

const PLACE_BYTES = 4096;
const MODULE = await loadKernelModule();

/** Units of two arenas: 0 to 2 of the first, 3 of the second. */
function stage({ placeCount = 3 } = {}) {
  const asked: string[] = [], cleared: number[] = [];
  let isThere = true;
  const reader = {
    read: (unit: OwnUnit) => (asked.push(`read ${unit.count}`), isThere),
    clear: (unit: OwnUnit) => void cleared.push(unit.count),
    prefetch: (unit: OwnUnit) => void asked.push(`ahead ${unit.count}`),
    failure: "it is gone",
  } as unknown as UnitReader;
  const units = new Map(
    [0, 1, 2, 3].map((unit) => [unit, { count: 10 + unit, arena: unit === 3 ? 1 : 0 } as OwnUnit]),
  );
  const counts = new Float64Array(COUNT_FIELDS);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const arena = { memory, reader, units, counts, placeBytes: PLACE_BYTES };
  const places = new UnitPlaces(placeCount, 4);
  const staged = new StagedUnits([{ ...arena, places }]);
  return {
    staged,
    counts,
    setThere: (is: boolean) => isThere = is,
    /** Units whose places were made ready for others' neurons. */
    cleared,
    /** What was asked of the reader since the last call. */
    asked: () => asked.splice(0),
  };
}

function block(unit: number): Streamed {
  const matrix = (offsetBytes: number) => ({ offsetBytes, columnStrideBytes: 0 });
  const bound = () => ({ gate: matrix(0), up: matrix(1024), down: matrix(2048) });
  const streamed = { unit, gateParts: [], factors: 0, staged: bound(), inPlace: bound() };
  return streamed as unknown as Streamed;
}

Deno.test("StagedUnits reads a unit once as long as it has its place, and says where it is", () => {
  const { staged, counts, asked } = stage();
  const [first, second] = [block(0), block(1)];
  assertEquals(staged.bring(first, 0, -1, false), "");
  assertEquals(staged.bring(second, 0, -1, false), "");
  assertEquals(staged.bring(first, 0, -1, false), "");
  assertEquals(asked(), ["read 10", "read 11"]);
  assertEquals([counts[CACHE_HITS], counts[CACHE_MISSES]], [10, 21]);
  const places = [first, second].map((
    { inPlace: { gate, up, down } },
  ) => [gate!.offsetBytes, up.offsetBytes, down.offsetBytes]);
  assertEquals(places, [[0, 1024, 2048], [4096, 5120, 6144]]);
});

Deno.test("StagedUnits clears a place of what another unit has left where a GPU has columns", () => {
  const { staged, cleared } = stage({ placeCount: 2 });
  for (const unit of [0, 1, 0, 2]) assertEquals(staged.bring(block(unit), 0, -1, false), "");
  assertEquals(cleared.slice(0, 2), [10, 11]);
  assertEquals(cleared.at(-1), 12, "before it is read");
});

Deno.test("StagedUnits reads again what could not be read, and says why it could not", () => {
  const { staged, asked, setThere } = stage();
  setThere(false);
  assertEquals(staged.bring(block(2), 0, -1, false), "it is gone");
  setThere(true);
  assertEquals(staged.bring(block(2), 0, -1, false), "");
  assertEquals(staged.bring(block(2), 0, -1, false), "");
  assertEquals(asked(), ["read 12", "read 12"]);
});

Deno.test("StagedUnits asks ahead for what is not there, and not for another arena's", () => {
  const { staged, asked } = stage();
  staged.bring(block(0), 0, 1, false);
  staged.bring(block(1), 0, 0, false);
  staged.bring(block(0), 0, 3, false);
  assertEquals(asked(), ["read 10", "ahead 11", "read 11"]);
});

Deno.test("StagedUnits reads everything anew where there is one place", () => {
  const { staged, counts, asked } = stage({ placeCount: 1 });
  for (let i = 0; i < 2; i++) staged.bring(block(1), 0, 2, false);
  assertEquals(asked(), ["read 11", "ahead 12", "read 11", "ahead 12"]);
  assertEquals([counts[CACHE_HITS], counts[CACHE_MISSES]], [0, 0]);
});

Deno.test("Streaming.bring() asks ahead for nothing that is in memory as a whole", () =>
  withPacked({ architecture: "qwen2moe", type: "Q4_0" }, (_, path) => {
    const { file, packed } = openModelFile(path);
    const streaming = { residentUnits: 0, hasResidentGates: false, slotCount: 0, stagePlaces: 3 };
    const options = { threads: 1, contextLength: 64, gpu: "off" } as const;
    const [plan] = planModel({ file, model: describeForUse(file), packed }, MODULE, {
      ...options,
      streaming: { ...streaming, keepsCommon: true },
    });
    const memories = plan.arenas.map(createArenaMemory);
    const { units } = packed!;
    const asked = new Set<number>();
    const queue = {
      ask: (_: number, at: number) => {
        const unit = units.findIndex(({ offsetBytes, neurons, bundleBytes }) =>
          at + SECTOR_BYTES_MAX > offsetBytes && at < offsetBytes + neurons * bundleBytes
        );
        return asked.add(unit).size;
      },
      wait: () => DONE,
    };
    const kernels = memories.map(() => ({ scatter_rows: () => {} }) as unknown as Kernels);
    const it = new Streaming({
      ...{ plan, packed: { path, units }, memories, kernels, failure: new SharedText() },
      queue: queue as unknown as Reads,
    });
    const shared = units.findIndex(({ expert }) => expert === "shared");
    const bring = (unit: number, next: number) => {
      asked.clear();
      const rows = { layout: "rows", rowCount: units[unit].neurons, columnCount: 0 };
      const strides = { offsetBytes: 0, rowStrideBytes: 1, columnStrideBytes: 1 };
      const matrix = () => ({ ...rows, ...strides });
      const bound = () => ({ gate: matrix(), up: matrix(), down: matrix() });
      const block = { unit, gateParts: [], factors: 0, staged: bound(), inPlace: bound() };
      it.bring(block as unknown as Streamed, 0, next, false);
      return asked;
    };
    assert(!bring(shared - 1, shared).has(shared), "what every token needs is in memory");
    assert(bring(shared - 2, shared + 1).has(shared + 1), "the next layer's first is not");
    return Promise.resolve();
  }));
