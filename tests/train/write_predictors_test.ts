import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { encodeWeights } from "../../src/quantize/mod.ts";
import {
  type LayerPredictors,
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

function dense(predictor: TrainedPredictor): LayerPredictors {
  return {
    expertCount: null,
    fc1: predictor.fc1,
    fc2: predictor.fc2,
    pieces: (which) => [predictor[which].bytes],
  };
}

Deno.test("writePredictors() replaces the predictors that a file has", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const [plain, first, second] = ["plain", "first", "second"].map((name) => `${folder}/${name}`);
    Deno.writeFileSync(plain, tinyModel({ architecture: "bamboo" }));
    await writePredictors({
      input: plain,
      out: first,
      layers: [dense(predictor(32, 1)), dense(predictor(64, 2))],
    });
    const bytes = await writePredictors({
      ...{ input: first, out: second },
      layers: [dense(predictor(64, 3)), dense(predictor(32, 4))],
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
      () => writePredictors({ input: second, out: second, layers: [] }),
      UsageError,
      "it is the file that is read",
    );
    assertEquals([...Deno.readDirSync(folder)].length, 3);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("writePredictors() writes those of experts one behind the other, in place of what is there", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const [input, out] = ["input", "out"].map((name) => `${folder}/${name}`);
    const shape = { architecture: "drelu-moe", feedForwardLength: 96 } as const;
    Deno.writeFileSync(input, tinyModel({ ...shape, predictor: { rank: 4 } }));
    const bytesOf = (first: number, which: "fc1" | "fc2") =>
      [0, 1, 2, 3].map((expert) => predictor(32, first + expert)[which].bytes);
    const experts = (first: number): LayerPredictors => ({
      ...dense(predictor(32, first)),
      expertCount: 4,
      pieces: (which) => bytesOf(first, which),
    });
    await writePredictors({ input, out, layers: [experts(1), experts(5)] });
    const file = openGguf(out);
    const without = openGguf(input);
    assertEquals(new Set(file.tensors.keys()), new Set(without.tensors.keys()));
    const [fc1, fc2] = ["fc1", "fc2"].map((name) =>
      file.tensors.get(`blk.1.ffn_${name}_exps.weight`)!
    );
    assertEquals([fc1.dims, fc2.dims], [[64, 32, 4], [32, 96, 4]]);
    using reader = TensorReader.open(file);
    const bytes = bytesOf(5, "fc2").flatMap((each) => [...each]);
    assertEquals(reader.readAll(fc2), Uint8Array.from(bytes));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
