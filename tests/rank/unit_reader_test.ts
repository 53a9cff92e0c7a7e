/** What a reader of units does before it reads. */
import { assertEquals } from "@std/assert";
import type { Kernels } from "../../wasm/kernels.ts";
import type { Reads } from "../../src/io/mod.ts";
import type { Matrix } from "../../src/rank/bound/matrix.ts";
import { UnitReader } from "../../src/rank/load/unit_reader.ts";
import { COUNT_FIELDS } from "../../src/rank/plan/counts.ts";
import type { OwnUnit } from "../../src/rank/plan/own_units.ts";
import type { StreamPlan, StreamWorkspacePlan } from "../../src/rank/plan/stream_types.ts";

const AT = 1024, STRIDE = 8, COLUMNS = 6;

/** Memory of ones, of which down's columns that have no neuron here are made zeros. */
function cleared(columns: readonly number[], layout: Matrix["layout"]): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(memory.buffer).fill(1);
  const reader = new UnitReader({
    ...{ arena: 0, memory, kernels: {} as Kernels, queue: {} as Reads },
    space: { order: 0, neuronCount: COLUMNS } as StreamWorkspacePlan,
    stream: { rawBytes: 4096, pieceBytes: 4096 } as StreamPlan,
    counts: new Float64Array(COUNT_FIELDS),
  });
  const strides = layout === "columns"
    ? { columnStrideBytes: STRIDE, rowStrideBytes: 1 }
    : { columnStrideBytes: 1, rowStrideBytes: STRIDE };
  const own = { columns: Uint32Array.from(columns), count: columns.length, columnCount: COLUMNS };
  reader.clear(
    own as unknown as OwnUnit,
    { layout, offsetBytes: AT, ...strides } as unknown as Matrix,
  );
  return bytes;
}

for (const layout of ["columns", "neurons"] as const) {
  Deno.test(`UnitReader.clear() makes zeros of a GPU's columns alone, by ${layout}`, () => {
    const bytes = cleared([1, 2, 4], layout);
    const zeros = Array.from(bytes.keys()).filter((at) => bytes[at] === 0);
    const expected = [0, 3, 5].flatMap((column) =>
      Array.from({ length: STRIDE }, (_, i) => AT + column * STRIDE + i)
    );
    assertEquals(zeros, expected);
    assertEquals(cleared([0, 1, 2, 3, 4, 5], layout).every((byte) => byte === 1), true);
  });
}
