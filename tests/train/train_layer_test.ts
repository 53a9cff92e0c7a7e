import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { type LayerTraining, trainLayer } from "../../src/train/mod.ts";
import { rankLadder } from "../../src/train/train_layer.ts";
import { loadKernelModuleSync } from "../../wasm/mod.ts";
import { madeUpLayer } from "./made_up_layer.ts";

const module = loadKernelModuleSync();

const TRAINING: LayerTraining = {
  rank: 32,
  recall: 0.95,
  epochs: 12,
  seed: 3,
  types: ["F16"],
  gateRowBytes: 64,
};

/** What 8 dimensions decide, 32 hidden units can tell. */
const SEPARABLE = madeUpLayer({
  inputLength: 32,
  neuronCount: 96,
  count: 4000,
  usedDimensions: 8,
  threshold: 1.2,
});

for (const type of ["F16", "Q8_0", "Q4_0"] as const) {
  Deno.test(`trainLayer() learns a rule, stored as ${type}`, () => {
    const { predictor, rank } = trainLayer(SEPARABLE, { ...TRAINING, types: [type] }, module);
    const { recall, precision, predictedShare, firedShare } = predictor.quality;
    assertEquals([rank, predictor.fc1.type, predictor.fc2.type], [32, type, type]);
    assertGreater(recall, 0.95);
    assertGreater(firedShare, 0.08);
    assertLess(predictedShare, type === "Q4_0" ? 0.25 : 0.2);
    assertGreater(precision, type === "Q4_0" ? 0.45 : 0.55);
    assertEquals([predictor.fc1.rows, predictor.fc1.columns], [32, 32]);
    assertEquals([predictor.fc2.rows, predictor.fc2.columns], [96, 32]);
  });
}

Deno.test("trainLayer() stores what reaches the recall that is asked for", () => {
  for (const recall of [0.8, 0.99]) {
    const { predictor: { quality } } = trainLayer(SEPARABLE, { ...TRAINING, recall }, module);
    assertGreater(quality.recall, recall - 1e-9);
    assertLess(quality.recall, recall + 0.02);
  }
});

Deno.test("trainLayer() gives the same bytes for the same seed, others for another", () => {
  const options = { ...TRAINING, epochs: 2 };
  const [first, again, other] = [options, options, { ...options, seed: 4 }].map((each) =>
    trainLayer(SEPARABLE, each, module).predictor
  );
  assertEquals([again.fc1.bytes, again.fc2.bytes], [first.fc1.bytes, first.fc2.bytes]);
  assert(first.fc1.bytes.some((byte, i) => byte !== other.fc1.bytes[i]));
});

Deno.test("trainLayer() takes the rank that costs least", () => {
  const samples = madeUpLayer({
    ...{ inputLength: 64, neuronCount: 96, count: 3000 },
    ...{ usedDimensions: 8, threshold: 1.2 },
  });
  const training = { ...TRAINING, epochs: 4, rank: "auto" } as const;
  for (const [gateRowBytes, rank] of [[16, 32], [1_000_000, 64]]) {
    const result = trainLayer(samples, { ...training, gateRowBytes }, module);
    assertEquals(result.tried.map((each) => each.rank), [32, 64]);
    assertEquals(result.rank, rank, `gates of ${gateRowBytes} bytes`);
    assertEquals(result.gateBytes, 96 * gateRowBytes);
    assertEquals(result.costBytes, Math.min(...result.tried.map(({ costBytes }) => costBytes)));
  }
});

Deno.test("trainLayer() stores a matrix in the type that takes fewest bytes in memory", () => {
  const types = ["Q8_0", "F16"] as const;
  for (const [rank, type] of [[32, "F16"], [256, "Q8_0"]] as const) {
    const training = { ...TRAINING, types, rank, epochs: 1 };
    const { predictor, costBytes } = trainLayer(SEPARABLE, training, module);
    assertEquals([predictor.fc1.type, predictor.fc2.type], ["F16", type]);
    const ofFc2 = 96 * (type === "F16" ? 2 * rank : 272);
    const ofGate = 2 * predictor.quality.predictedShare * 96 * 64;
    assertEquals(costBytes, ofFc2 + rank * 64 + ofGate);
  }
});

Deno.test("rankLadder() doubles up to the layer's own width", () => {
  const layer = { ...SEPARABLE, inputLength: 256, neuronCount: 700 };
  assertEquals(rankLadder(layer), [32, 64, 128, 256]);
  assertEquals(rankLadder({ ...layer, inputLength: 16, neuronCount: 8 }), [32]);
  assertEquals(rankLadder({ ...layer, inputLength: 8192 }).at(-1), 2048);
});

Deno.test("trainLayer() stores fc1 as F16 where rows do not end on a block", () => {
  const samples = madeUpLayer({
    ...{ inputLength: 20, neuronCount: 40, count: 200 },
    ...{ usedDimensions: 4, threshold: 0.5 },
  });
  const { predictor } = trainLayer(samples, { ...TRAINING, types: ["Q8_0"], epochs: 1 }, module);
  assertEquals([predictor.fc1.type, predictor.fc2.type], ["F16", "Q8_0"]);
});

Deno.test("trainLayer() ends when it is told to", () => {
  const stop = new Error("enough");
  let batches = 0;
  assertThrows(
    () =>
      trainLayer(SEPARABLE, TRAINING, module, () => {
        if (++batches === 3) throw stop;
      }),
    Error,
    "enough",
  );
  assertEquals(batches, 3);
});
