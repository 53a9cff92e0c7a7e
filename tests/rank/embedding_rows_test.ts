import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SharedText } from "../../src/memory/shared_text.ts";
import { COUNT_FIELDS, DISK_BYTES, DISK_READS } from "../../src/rank/plan/counts.ts";
import { EmbeddingRows } from "../../src/rank/stream/embedding_rows.ts";
import type { RankPlan } from "../../src/rank/plan/plan_types.ts";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { byteAt, type FakeDiskOptions } from "../support/fake_disk.ts";
import { World } from "../io/read_world.ts";

/** Rows of 20 halves, which are packed to 32; in the file behind 4 GiB, at an odd place. */
const [COLUMNS, FILE_ROW_BYTES, ROW_STRIDE_BYTES, ROWS_AT_ONCE] = [20, 40, 64, 3];
const FILE_OFFSET = 2 ** 32 + 1234;
const [TARGET, RAW] = [4096, 4096 + ROWS_AT_ONCE * ROW_STRIDE_BYTES];
const PLAN = {
  embedding: {
    ...{ type: "F16", layout: "rows", isTransposed: false },
    ...{ rows: { start: 500, end: 1000 }, columns: { start: 0, end: COLUMNS } },
    ...{ offsetBytes: TARGET, rowStrideBytes: ROW_STRIDE_BYTES },
  },
  embeddingInFile: {
    ...{ fileOffsetBytes: FILE_OFFSET, fileRowBytes: FILE_ROW_BYTES },
    ...{ rowsAtOnce: ROWS_AT_ONCE, rawOffsetBytes: RAW },
  },
  workspaces: [{ normedQ8: 8192 }],
} as unknown as RankPlan;

const MODULE = await loadKernelModule();

function rowsIn(disk?: FakeDiskOptions) {
  const world = new World({ disk });
  const counts = new Float64Array(COUNT_FIELDS);
  const failure = new SharedText();
  const kernels = instantiateKernels(MODULE, world.memories[0][0]);
  const rows = new EmbeddingRows({
    ...{ plan: PLAN, queue: world.queues[0] },
    ...{ kernels, counts, failure },
  });
  const bring = (wanted: readonly number[]) => {
    for (const row of wanted) rows.ask(row);
    world.queues[0].flush();
    world.serveAll();
    return rows.bring();
  };
  return { world, counts, failure, rows, bring };
}

/** Row `row` of the table lies packed at a place. */
function assertRow(world: World, place: number, row: number): void {
  const at = TARGET + place * ROW_STRIDE_BYTES;
  const expected = Uint8Array.from({ length: ROW_STRIDE_BYTES }, (_, i) => {
    return i < FILE_ROW_BYTES ? byteAt(FILE_OFFSET + row * FILE_ROW_BYTES + i) : 0;
  });
  assertEquals(world.arena(0, 0).slice(at, at + ROW_STRIDE_BYTES), expected, `row ${row}`);
}

Deno.test("EmbeddingRows brings rows in the order in which they are asked for, and counts them", () => {
  const { world, counts, rows, bring } = rowsIn();
  world.arena(0, 0).fill(0xaa);
  for (const wanted of [[7, 499, 7], [0], [3, 2, 1]]) {
    assertEquals(bring(wanted), true);
    wanted.forEach((row, place) => assertRow(world, place, row));
  }
  assertEquals([counts[DISK_READS], counts[DISK_BYTES]], [7, 7 * FILE_ROW_BYTES]);
  assertEquals([rows.bring(), world.disk.reads.length], [true, 7]); // nothing was asked for
});

Deno.test("EmbeddingRows brings rows that lie behind one another with one read", () => {
  const { world, counts, bring } = rowsIn();
  assertEquals(bring([8, 9, 10]), true);
  [8, 9, 10].forEach((row, place) => assertRow(world, place, row));
  assertEquals([counts[DISK_READS], counts[DISK_BYTES]], [1, 3 * FILE_ROW_BYTES]);
});

Deno.test("EmbeddingRows has places for so many rows, and says when they are full", () => {
  const { rows } = rowsIn();
  for (let row = 0; row < ROWS_AT_ONCE; row++) {
    assertEquals(rows.isFull, false);
    rows.ask(2 * row);
  }
  assertEquals(rows.isFull, true);
  assertThrows(() => rows.ask(9), Error, "rows were brought");
});

Deno.test("EmbeddingRows.bring() leaves why a row could not be read, and goes on with others", () => {
  // The second read, and its second try.
  const fault = (read: number) => read === 1 || read === 2 ? "refused" : "none";
  const { world, failure, bring } = rowsIn({ fault });
  assertEquals(bring([5, 90, 30]), false);
  const text = failure.take();
  assertStringIncludes(text, `byte ${FILE_OFFSET + 90 * FILE_ROW_BYTES} of`);
  assertStringIncludes(text, "EIO");
  assertEquals([bring([90]), failure.take()], [true, ""]);
  assertRow(world, 0, 90);
});
