/**
 * A GPU beside threads that stream a packed model: it has the heads and the most frequent neurons
 * of each stripe, which the threads neither read nor compute. Small models made from a seed, beside
 * the threads alone.
 */
import "../support/thread_pool.ts";
import {
  compareBeside as compare,
  F32_NMSE,
  PREDICTED_NMSE,
  QUANT_NMSE,
} from "../support/beside_gpu.ts";
import { deepOnly, IS_DEEP } from "../support/deep.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";

sizesAsData();

gpuTest(
  "a packed model in F32 answers the same with its heads and hot neurons on a GPU",
  () =>
    compare(
      { architecture: "bamboo", type: "F32" },
      [
        ...[["slots", 0, 1], ["slots", 1, 1], ["stage", .5, 2]] as const,
        ...deepOnly(["slots", .5, 1], ["memory", .5, 1]),
      ],
      F32_NMSE,
    ),
);

gpuTest("predictors name what threads read, and leave to a GPU what is its own", async () => {
  await compare(
    { architecture: "bamboo", type: "F32", embeddingLength: 128, predictor: { rank: 8 } },
    [["predicted", .5, 2]],
    PREDICTED_NMSE,
  );
});

function typeOfPredictors(name: string) {
  return name.includes("fc2") ? "Q8_0" as const : undefined;
}

gpuTest("neurons of quantised types come to a GPU out of a packed file", async () => {
  await compare({ architecture: "relu-llama", type: "Q4_0" }, [["slots", .5, 1]], QUANT_NMSE);
  // Neurons that all fire; down that lies neuron by neuron.
  await compare({ architecture: "llama", type: "Q8_0" }, [["stage", .5, 1]], QUANT_NMSE);
  const byNeuron = { architecture: "bamboo", type: "Q4_0", magic: "PWRI" } as const;
  await compare(byNeuron, [["slots", .5, 1]], QUANT_NMSE);
  // Predictors that lie by columns, of which rows are picked.
  const byColumns = { predictor: { rank: 32 }, typeOf: typeOfPredictors };
  const wide = { embeddingLength: 128, ...byColumns };
  await compare(
    { architecture: "bamboo", type: "Q4_0", ...wide },
    [["predicted", .5, 1]],
    QUANT_NMSE,
  );
  if (!IS_DEEP) return; // Q4_K beside threads that have all in memory: gpu_hot_test.ts
  const superblocks = { embeddingLength: 256, feedForwardLength: 4096, blockCount: 1 };
  await compare(
    { architecture: "bamboo", type: "Q4_K", ...superblocks },
    [["slots", .25, 1]],
    QUANT_NMSE,
  );
});
