import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import {
  type PredictorMatrix,
  type TrainedPredictor,
  writePredictors,
} from "../../src/train/mod.ts";
import { tinyModel } from "../support/tiny_model.ts";

function matrix(rows: number, columns: number, value: number): PredictorMatrix {
  const bytes = encodeWeights("F16", new Float32Array(rows * columns).fill(value));
  return { type: "F16", rows, columns, bytes };
}

function predictor(rank: number, value: number): TrainedPredictor {
  const quality = { recall: 1, precision: 1, predictedShare: 1, firedShare: 1 };
  return { fc1: matrix(rank, 64, value), fc2: matrix(96, rank, value), quality };
}

Deno.test("writePredictors() replaces the predictors that a file has", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const [plain, first, second] = ["plain", "first", "second"].map((name) => `${folder}/${name}`);
    Deno.writeFileSync(plain, tinyModel({ architecture: "bamboo" }));
    await writePredictors({
      input: plain,
      out: first,
      predictors: [predictor(32, 1), predictor(64, 2)],
    });
    const bytes = await writePredictors({
      ...{ input: first, out: second },
      predictors: [predictor(64, 3), predictor(32, 4)],
    });
    assertEquals(bytes, Deno.statSync(second).size);
    const file = openGguf(second);
    const names = [...openGguf(plain).tensors.keys()];
    const added = ["0.fc1", "0.fc2", "1.fc1", "1.fc2"].map((name) => `blk.${name}.weight`);
    assertEquals([...file.tensors.keys()], [...names, ...added]);
    assertEquals(file.metadata.get("powerinfer.sparse_threshold"), 0);
    const fc2 = file.tensors.get("blk.0.fc2.weight")!;
    assertEquals([fc2.type, fc2.dims], ["F16", [64, 96]]);
    using reader = TensorReader.open(file);
    assertEquals(reader.readAll(fc2), predictor(64, 3).fc2.bytes);
    await assertRejects(
      () => writePredictors({ input: second, out: second, predictors: [] }),
      UsageError,
      "it is the file that is read",
    );
    assertEquals([...Deno.readDirSync(folder)].length, 3);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
