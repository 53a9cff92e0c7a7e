import { assertEquals } from "@std/assert";
import { openTensors, readControlVector, steerModel } from "../../src/adapter/mod.ts";
import { openGguf, parseGguf, TensorReader } from "../../src/gguf/mod.ts";
import { withFile } from "../support/loaded_model.ts";
import { tinyControlVector } from "../support/tiny_control_vector.ts";
import { tinyModel } from "../support/tiny_model.ts";

Deno.test("a direction is read in pieces, too, as the sum of what vectors have for it", () => {
  const model = tinyModel({ blockCount: 2 });
  const bytes = tinyControlVector(model);
  const own = TensorReader.ofBytes(bytes).readAll(parseGguf(bytes).tensors.get("direction.1")!);
  const thrice = new Float32Array(own.buffer).map((value) => 3 * value);
  return withFile(model, (path) =>
    withFile(bytes, (vectorPath) => {
      const vector = readControlVector(openGguf(vectorPath));
      const used = [{ vector, scale: 1 }, { vector, scale: 2 }];
      const file = steerModel(openGguf(path), used);
      const direction = file.tensors.get("direction.1")!;
      using reader = openTensors(file);
      const found = new Float32Array(64);
      for (const start of [0, 20, 60]) {
        const end = Math.min(64, start + 40);
        const into = new Uint8Array(found.buffer, 4 * start, 4 * (end - start));
        reader.read(direction, 4 * start, into);
        assertEquals(found.subarray(start, end), thrice.subarray(start, end));
      }
      return Promise.resolve();
    }));
});
