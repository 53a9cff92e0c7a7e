import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { assertGreater, assertLess, assertRejects, assertThrows } from "@std/assert";
import {
  type BlockSamples,
  type LayerTraining,
  PredictorTrainer,
  SampleRecorder,
  SAMPLES_MIN,
  trainLayer,
} from "../../src/train/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { rankLadder } from "../../src/train/train_layer.ts";
import { loadKernelModuleSync } from "../../wasm/mod.ts";
import { Rng } from "../support/rng.ts";
import { madeUpLayer } from "./made_up_layer.ts";
import { product } from "./product.ts";

const module = loadKernelModuleSync();

/** A layer's result by one trainer. */
async function trained(blocks: readonly BlockSamples[], training: LayerTraining) {
  const trainer = new PredictorTrainer(module);
  return await trainLayer(
    blocks,
    training,
    (samples, options) => Promise.resolve(trainer.train(samples, options)),
  );
}

/** The same of a dense layer, whose only block stands for all. */
async function trainedDense(samples: BlockSamples, training: LayerTraining) {
  const result = await trained([samples], training);
  return { ...result, predictor: result.blocks[0].predictor };
}

const TRAINING: LayerTraining = {
  rank: 32,
  recall: 0.95,
  epochs: 12,
  seed: 3,
  types: ["F16"],
  gateRowBytes: 64,
  usedCount: 1,
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
  Deno.test(`trainLayer() learns a rule, stored as ${type}`, async () => {
    const { predictor, rank } = await trainedDense(SEPARABLE, { ...TRAINING, types: [type] });
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

Deno.test("trainLayer() stores what reaches the recall that is asked for", async () => {
  for (const recall of [0.8, 0.99]) {
    const { quality } = await trainedDense(SEPARABLE, { ...TRAINING, recall });
    assertGreater(quality.recall, recall - 1e-9);
    assertLess(quality.recall, recall + 0.02);
  }
});

Deno.test("PredictorTrainer.train() gives the same bytes for the same seed, others for another", () => {
  const options = { ...TRAINING, rank: 32, epochs: 2 };
  const trainer = new PredictorTrainer(module);
  const first = trainer.train(SEPARABLE, options);
  // Larger ones leave nothing behind in the memory.
  trainer.train(SEPARABLE, { ...options, rank: 96, seed: 9, epochs: 1 });
  const again = trainer.train(SEPARABLE, options);
  const other = trainer.train(SEPARABLE, { ...options, seed: 4 });
  assertEquals([again.fc1.bytes, again.fc2.bytes], [first.fc1.bytes, first.fc2.bytes]);
  assert(first.fc1.bytes.some((byte, i) => byte !== other.fc1.bytes[i]));
});

Deno.test("trainLayer() takes the rank that costs least", async () => {
  const samples = madeUpLayer({
    ...{ inputLength: 64, neuronCount: 96, count: 3000 },
    ...{ usedDimensions: 8, threshold: 1.2 },
  });
  const training = { ...TRAINING, epochs: 4, rank: "auto" } as const;
  for (const [gateRowBytes, rank] of [[16, 32], [1_000_000, 64]]) {
    const result = await trainedDense(samples, { ...training, gateRowBytes });
    assertEquals(result.tried.map((each) => each.rank), [32, 64]);
    assertEquals(result.rank, rank, `gates of ${gateRowBytes} bytes`);
    assertEquals(result.gateBytes, 96 * gateRowBytes);
    assertEquals(result.costBytes, Math.min(...result.tried.map(({ costBytes }) => costBytes)));
  }
});

Deno.test("trainLayer() stores a matrix in the type that takes fewest bytes in memory", async () => {
  const types = ["Q8_0", "F16"] as const;
  for (const [rank, type] of [[32, "F16"], [256, "Q8_0"]] as const) {
    const training = { ...TRAINING, types, rank, epochs: 1 };
    const { predictor, costBytes } = await trainedDense(SEPARABLE, training);
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

Deno.test("trainLayer() stores fc1 as F16 where rows do not end on a block", async () => {
  const samples = madeUpLayer({
    ...{ inputLength: 20, neuronCount: 40, count: SAMPLES_MIN },
    ...{ usedDimensions: 4, threshold: 0.5 },
  });
  const { predictor } = await trainedDense(samples, { ...TRAINING, types: ["Q8_0"], epochs: 1 });
  assertEquals([predictor.fc1.type, predictor.fc2.type], ["F16", "Q8_0"]);
});

Deno.test("PredictorTrainer.train() ends when it is told to", () => {
  const stop = new Error("enough");
  let batches = 0;
  assertThrows(
    () =>
      new PredictorTrainer(module).train(SEPARABLE, { ...TRAINING, rank: 32 }, () => {
        if (++batches === 3) throw stop;
      }),
    Error,
    "enough",
  );
  assertEquals(batches, 3);
});

/** Three experts of like size, each with neurons of its own: many tokens, a few, too few. */
const EXPERTS = [2000, 1000, SAMPLES_MIN - 1].map((count, expert) =>
  madeUpLayer({
    ...{ inputLength: 32, neuronCount: 96, count, seed: 20 + expert },
    ...{ usedDimensions: 8, threshold: 1.2 },
  })
);

Deno.test("trainLayer() lets the predictor of an expert with too few tokens name all neurons", async () => {
  const training = { ...TRAINING, types: ["Q8_0", "F16"], epochs: 6, usedCount: 2 } as const;
  const { blocks, quality, rank, costBytes, gateBytes } = await trained(EXPERTS, training);
  assertEquals(blocks.map(({ isTrained }) => isTrained), [true, true, false]);
  assertEquals(blocks.map(({ samples }) => samples), [2000, 1000, SAMPLES_MIN - 1]);
  for (const { predictor } of blocks.slice(0, 2)) {
    assertGreater(predictor.quality.recall, 0.95);
    assertLess(predictor.quality.predictedShare, 0.4);
  }
  // All matrices go into one tensor each.
  const forms = blocks.map(({ predictor: { fc1, fc2 } }) =>
    [fc1, fc2].map(({ type, rows, columns, bytes }) => [type, rows, columns, bytes.length])
  );
  assertEquals([forms[1], forms[2]], [forms[0], forms[0]]);
  const { predictor: { fc1, fc2, quality: ofAll } } = blocks[2];
  assertEquals([ofAll.recall, ofAll.predictedShare], [1, 1]);
  assertAlmostEquals(ofAll.firedShare, 0.115, 0.02);
  const [first, second] = [fc1, fc2].map(({ type, bytes }) => dequantize(type, bytes));
  for (const x of [1, -1, 0]) {
    const input = Float32Array.from({ length: 32 }, (_, i) => x * (i + 1));
    const hidden = product(first, input).map((value) => Math.max(0, value));
    const scores = product(second, hidden);
    assert(scores.every((score) => x === 0 ? score === 0 : score > 10), `${scores}`);
  }
  // Each expert counts as often as it was chosen.
  const shares = blocks.map(({ predictor, samples }) => samples * predictor.quality.predictedShare);
  const share = shares.reduce((sum, each) => sum + each) / (3000 + SAMPLES_MIN - 1);
  assertAlmostEquals(quality.predictedShare, share, 1e-12);
  assertEquals([rank, gateBytes], [32, 2 * 96 * 64]);
  assertAlmostEquals(costBytes, 2 * (32 * 64 + 96 * 64) + 2 * share * gateBytes, 1e-6);
});

Deno.test("PredictorTrainer.train() learns the same of an expert's rows among others' as of its own", () => {
  const size = { inputLength: 32, neuronCount: 96, blockCount: 2, usedCount: 1 };
  const [own, other] = [
    new SampleRecorder({ ...size, blockCount: 1 }, 300),
    new SampleRecorder(size, 600),
  ];
  const rng = new Rng(6);
  for (let s = 0; s < 600; s++) {
    const isOwn = s % 3 === 1 || s % 6 === 0;
    const input = Float32Array.from({ length: 32 }, () => rng.normal());
    const fired = Uint8Array.from({ length: 96 }, (_, j) => input[j % 32] > 1 ? 1 : 0);
    const none = new Uint8Array(96).fill(1);
    if (isOwn) own.add(input, fired);
    const both = Uint8Array.from(isOwn ? [...none, ...fired] : [...none, ...none]);
    other.add(
      input.map((value) => isOwn ? value : 3 * value),
      both,
      isOwn ? Uint8Array.of(0, 1) : Uint8Array.of(1, 0),
    );
  }
  const options = { ...TRAINING, rank: 32, epochs: 1 };
  const [alone, among] = [own.samples()[0], other.samples()[1]].map((samples) =>
    new PredictorTrainer(module).train(samples, options)
  );
  assertEquals(own.samples()[0].count, 300);
  assertEquals(among, alone);
});

Deno.test("trainLayer() gives all experts the rank with which a token costs least", async () => {
  const training = { ...TRAINING, rank: "auto", epochs: 2, usedCount: 2 } as const;
  const wide = EXPERTS.map((each) => ({ ...each, inputLength: 32 }));
  const { rank, blocks, tried } = await trained(wide, training);
  assertEquals(tried.map((each) => each.rank), [32]);
  assertEquals(blocks.map(({ predictor }) => predictor.fc1.rows), [rank, rank, rank]);
});

Deno.test("trainLayer() ends with the first predictor that fails", async () => {
  await assertRejects(
    () =>
      trainLayer(
        EXPERTS,
        TRAINING,
        (samples) => Promise.reject(new Error(`${samples.count}`)),
      ),
    Error,
    "2000",
  );
});
