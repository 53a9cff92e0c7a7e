import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createReport, formatReport } from "../../../src/cli/train/report.ts";
import type { LayerSummary, MatrixForm } from "../../../src/train/mod.ts";

const MATRIX: MatrixForm = { type: "F16", rows: 32, columns: 32 };
const LAYER = {
  ...{ inputLength: 32, neuronCount: 32, blockCount: 1, usedCount: 1 },
  ...{ isMixture: false, gateRowBytes: 64 },
};
const MIXTURE = { ...LAYER, isMixture: true, blockCount: 6, usedCount: 2 };

function block(samples: number) {
  const isTrained = samples >= 256;
  const share = isTrained ? 0.25 : 1;
  const quality = { recall: 0.98, precision: 0.4, predictedShare: share, firedShare: 0.1 };
  return { quality, samples, isTrained };
}

function layer(blocks: LayerSummary["blocks"], costBytes = 10): LayerSummary {
  const [{ quality }] = blocks;
  const tried = [{ rank: 32, costBytes }];
  return { blocks, quality, rank: 32, costBytes, gateBytes: 20, tried, fc1: MATRIX, fc2: MATRIX };
}

const ABOUT = { bytes: 1 << 20, seconds: 2 };

Deno.test("formatReport() names experts that have learned nothing, the rarest first", () => {
  const counts = [300, 9, 255, 8, 7, 6];
  const trainable = { layers: [LAYER, MIXTURE], sharedNeurons: 64 };
  const results = [layer([block(900)]), layer(counts.map(block))];
  const report = createReport(results, { ...ABOUT, trainable });
  assertEquals(report.layers[0].experts, undefined);
  assertEquals(report.layers[1].experts!.map(({ is_trained }) => is_trained), [
    ...[true, false, false, false, false, false],
  ]);
  assertEquals(report.layers.map((each) => each.predictor_bytes), [4096, 6 * 4096]);
  const said = formatReport(report, "out.gguf");
  assertMatch(said, /note: 5 of 6 experts were chosen by fewer than 256 tokens/);
  const rarest = "layer 1 expert 5: 6, layer 1 expert 4: 7, layer 1 expert 3: 8";
  assertStringIncludes(said, `(${rarest}, layer 1 expert 1: 9, and 1 more)`);
  assertMatch(said, /note: the 64 neurons of a layer that every token uses get no predictors/);
});

Deno.test("formatReport() has no notes where there is nothing to note, and says who costs more", () => {
  const trainable = { layers: [LAYER, LAYER], sharedNeurons: 0 };
  const good = createReport([layer([block(900)]), layer([block(900)])], { ...ABOUT, trainable });
  assertEquals(/note:/.test(formatReport(good, "out.gguf")), false);
  const costly = createReport([layer([block(900)], 20), layer([block(900)])], {
    ...{ ...ABOUT, trainable },
  });
  assertMatch(formatReport(costly, "out.gguf"), /note: in 1 of 2 layers a token costs more/);
});
