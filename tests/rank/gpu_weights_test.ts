/** How a rank's matrices are cut on their way to a GPU; no GPU is asked. */
import { assertEquals } from "@std/assert";
import type { Gpu, MatrixHome } from "../../gpu/mod.ts";
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
