/** How a rank's matrices are cut on their way to a GPU; no GPU is asked. */
import { assertEquals } from "@std/assert";
import type { Gpu, GpuMatrix, MatrixHome } from "../../gpu/mod.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { GpuLoader } from "../../src/rank/gpu/gpu_weights.ts";
import type { MatrixPlan } from "../../src/rank/plan/plan_types.ts";
import { withTinyFile } from "../support/loaded_model.ts";

/** Makes no buffer, and allows none above so many bytes. */
function homeOf(bytes: number): MatrixHome {
  return {
    limits: { maxBufferSize: bytes, maxStorageBufferBindingSize: bytes },
    nothing: {} as GPUBuffer,
    createBuffer: () => Promise.resolve({} as GPUBuffer),
    destroyBuffer: () => {},
    write: () => {},
  };
}

Deno.test("GpuLoader.stack() has each expert's rows in one buffer", async () => {
  await withTinyFile({ architecture: "llama-moe", type: "F32" }, async (path) => {
    const { parts, tensors } = openGguf(path);
    using reader = TensorReader.open({ parts });
    const onProgress = () => {};
    const loader = new GpuLoader({ gpu: {} as Gpu, tensors, reader, onProgress });
    const upOf = (expert: number): MatrixPlan => ({
      ...{ tensor: "blk.0.ffn_up_exps.weight", type: "F32", isTransposed: false },
      rows: { start: 64 * expert, end: 64 * (expert + 1) },
      columns: { start: 0, end: 64 },
      ...{ picked: null, bias: null, layout: "rows" },
      ...{ rowStrideBytes: 0, offsetBytes: 0, scratchOffsetBytes: 0 },
    });
    const cut = async (experts: number) => {
      // 156 rows of 256 bytes.
      const ups = [0, 1, 2, 3].map(upOf);
      const { matrix } = await loader.stack(ups, { home: homeOf(40_000), experts });
      return matrix.parts.map(({ rows }) => rows);
    };
    assertEquals(await cut(4), [128, 128]);
    assertEquals(await cut(1), [156, 100]);
  });
});

Deno.test("GpuLoader.stacks() takes what several matrices have of a packed unit one after the other", async () => {
  await withTinyFile({ architecture: "llama-moe", type: "F32" }, async (path) => {
    const { parts, tensors } = openGguf(path);
    using reader = TensorReader.open({ parts });
    const written: string[] = [];
    const units = {
      write(matrix: GpuMatrix, { ofUnit }: MatrixPlan, firstRow: number) {
        written.push(`${ofUnit!.unit} ${ofUnit!.part} ${matrix.rows} ${firstRow}`);
      },
    };
    const loader = new GpuLoader({ gpu: {} as Gpu, tensors, reader, units, onProgress() {} });
    const planOf = (unit: number, part: "gate" | "up" | "down"): MatrixPlan => ({
      ...{ tensor: "blk.0.ffn_up_exps.weight", type: "F32", isTransposed: false },
      rows: { start: 0, end: part === "down" ? 64 : 8 },
      columns: { start: 0, end: part === "down" ? 8 : 64 },
      ...{ picked: null, bias: null, layout: "rows" },
      ...{ rowStrideBytes: 0, offsetBytes: 0, scratchOffsetBytes: 0 },
      ofUnit: { unit, part, ofStripe: 8 },
    });
    const projections = [5, 7].flatMap((unit) => [planOf(unit, "gate"), planOf(unit, "up")]);
    const downs = [planOf(5, "down"), planOf(7, "down")];
    const by = { home: homeOf(40_000), experts: 2 };
    const stacks = await loader.stacks([projections, downs], by);
    assertEquals(stacks.map(({ matrix }) => matrix.rows), [32, 128]);
    const of = (unit: number, [first, second, down]: number[]) => [
      `${unit} gate 32 ${first}`,
      `${unit} up 32 ${second}`,
      `${unit} down 128 ${down}`,
    ];
    assertEquals(written, [...of(5, [0, 8, 0]), ...of(7, [16, 24, 64])]);
  });
});
