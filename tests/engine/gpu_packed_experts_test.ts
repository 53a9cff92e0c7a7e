/**
 * A GPU beside threads that stream a packed mixture: of each expert it has the most frequent
 * neurons, and both sides send tokens to the same experts. Small models made from a seed, beside
 * the threads alone.
 */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import {
  compareBeside,
  F32_NMSE,
  PREDICTED_NMSE,
  QUANT_NMSE,
  WAYS,
} from "../support/beside_gpu.ts";
import { deepOnly, IS_DEEP } from "../support/deep.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { withModel } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import { hearAlone, hearTogether, someRequests } from "../support/some_requests.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { wideExperts as wide } from "../support/wide_experts.ts";

sizesAsData();

gpuTest(
  "a packed dReLU mixture answers the same with experts' hot neurons on a GPU",
  () =>
    compareBeside(
      wide("drelu-moe"),
      // All and none of the neurons: of dense ones in gpu_packed_test.ts.
      [["slots", .5, 1], ["stage", .3, 2], ...deepOnly(["slots", 0, 1], ["slots", 1, 1])],
      F32_NMSE,
    ),
);

gpuTest(
  "experts that are chosen before attention, or beside one of all tokens, do so",
  async () => {
    await compareBeside(wide("smallthinker"), [["slots", .5, 2]], F32_NMSE);
    // Neurons that all fire.
    await compareBeside(wide("qwen2moe", { shared: 2048 }), [["stage", .5, 1]], F32_NMSE);
    if (!IS_DEEP) return; // groups and latents: gpu_test.ts
    await compareBeside(wide("deepseek2-grouped", { shared: 2048 }), [["memory", .5, 1]], F32_NMSE);
  },
);

gpuTest(
  "companions of experts stay the threads' where both sides have neurons of each expert",
  () =>
    compareBeside(
      wide("grovemoe"),
      [["stage", .5, 2], ...deepOnly(["memory", 1, 1], ["memory", .3, 1])],
      F32_NMSE,
    ),
);

gpuTest(
  "predictors of experts name what threads read, and leave a GPU what is its own",
  () =>
    compareBeside(
      wide("drelu-moe", { embeddingLength: 128, predictor: { rank: 8 } }),
      [["predicted", .5, 2]],
      PREDICTED_NMSE,
    ),
);

gpuTest(
  "experts' neurons of quantised types come to a GPU out of a packed file",
  () => compareBeside(wide("drelu-moe", { type: "Q4_0" }), [["slots", .3, 1]], QUANT_NMSE),
);

gpuTest(
  "several requests of a packed mixture are answered beside a GPU as each is alone",
  () =>
    withPacked(wide("drelu-moe"), async (_, path) => {
      const requests = someRequests(3, 8).map((each) => ({ ...each, ids: each.ids.slice(-20) }));
      const options = {
        gpu: "force",
        hotShare: .5,
        threads: 1,
        ioWorkers: 2,
        ...WAYS.slots,
      } as const;
      await withModel(path, { ...options, parallel: 1 }, async (alone) => {
        const expected = await hearAlone(alone, requests);
        await withModel(path, { ...options, parallel: 3 }, async (model) => {
          assertEquals(await hearTogether(model, requests), expected);
        });
      });
    }),
);
