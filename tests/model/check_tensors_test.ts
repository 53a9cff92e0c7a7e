import { assert, assertEquals, assertRejects } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { encodeGguf, openGguf } from "../../src/gguf/mod.ts";
import { dtypeByName } from "../../src/model/dtypes.ts";
import { checkTensors } from "../../src/model/mod.ts";
import { RANDOM_TYPES } from "../../src/synth/synth_types.ts";
import { withTinyFile } from "../support/loaded_model.ts";

// fault 19: scales that a flipped bit made NaN or infinite.
for (
  const type of [
    ...["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K"] as const,
    ...RANDOM_TYPES,
  ]
) {
  Deno.test(`checkTensors() finds a scale of ${type} that is no number, and says where`, () =>
    withTinyFile({ type, feedForwardLength: 256, embeddingLength: 256 }, async (path) => {
      const file = openGguf(path);
      const result = await checkTensors(file);
      assertEquals(result, { tensors: file.tensors.size, skipped: [] });
      const { offsetBytes, sizeBytes } = file.tensors.get("blk.1.ffn_down.weight")!;
      const { blockBytes } = dtypeByName(type)!;
      const at = offsetBytes + sizeBytes - blockBytes;
      const bytes = await Deno.readFile(path);
      // A scale is a block's first half, of some types its last one; all ones are NaN.
      const scale = { F32: 2, Q6_K: 208, TQ1_0: 52, TQ2_0: 64 }[type as string] ?? 0;
      bytes.fill(0xff, at + scale, at + scale + 2);
      if (type === "IQ1_M") bytes.fill(0xff, at + 48, at + 56); // its quarters
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(
        () => checkTensors(file),
        ModelFormatError,
        'tensor "blk.1.ffn_down.weight"',
      );
      assertEquals([error.offsetBytes, error.path], [at, path]);
    }));
}

Deno.test("checkTensors() reads large tensors in pieces, names what it skips, and can be ended", async () => {
  const path = await Deno.makeTempFile();
  try {
    const rows = 3000;
    const data = new Float32Array(rows * 300).fill(1);
    data[data.length - 1] = Infinity;
    const last = data.subarray(data.length - 300);
    const tensor = (name: string, values: Float32Array<ArrayBuffer>) => ({
      name,
      type: "F32",
      dims: [300, values.length / 300],
      pieces: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
    });
    const ids = { name: "ids", type: "I32", dims: [1], pieces: () => [new Uint8Array(4)] };
    await Deno.writeFile(path, encodeGguf({ metadata: [], tensors: [ids, tensor("t", data)] }));
    const progress: number[] = [];
    const error = await assertRejects(
      () => checkTensors(openGguf(path), { onProgress: (done) => progress.push(done) }),
      ModelFormatError,
      "is Infinity",
    );
    const { offsetBytes } = openGguf(path).tensors.get("t")!;
    assertEquals(error.offsetBytes, offsetBytes + data.byteLength - 4);
    assert(progress.length >= 3, `${progress}`);
    last.fill(0);
    await Deno.writeFile(path, encodeGguf({ metadata: [], tensors: [ids, tensor("t", data)] }));
    assertEquals(await checkTensors(openGguf(path)), { tensors: 1, skipped: ["ids"] });
  } finally {
    await Deno.remove(path);
  }
});
