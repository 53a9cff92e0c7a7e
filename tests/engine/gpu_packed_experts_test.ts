/**
 * A GPU beside threads that stream a packed mixture: of each expert it has the most frequent
 * neurons, and both sides send tokens to the same experts. Small models made from a seed, beside
 * the threads alone.
 */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { u32 } from "../../src/gguf/mod.ts";
import {
  compareBeside,
  F32_NMSE,
  PREDICTED_NMSE,
  QUANT_NMSE,
  WAYS,
} from "../support/beside_gpu.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { withModel } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import { hearAlone, hearTogether, someRequests } from "../support/some_requests.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import type { TinyFamilyName } from "../support/tiny_families.ts";
import { TINY_MODELS, type TinyModelOptions } from "../support/tiny_model.ts";

sizesAsData();

/** A family whose experts have stripes of several clusters; shared: of what all tokens use. */
function wide(
  architecture: TinyFamilyName,
  { shared = 0, ...more }: TinyModelOptions & { shared?: number } = {},
): TinyModelOptions {
  const { experts, architecture: name = architecture } = TINY_MODELS[architecture];
  // Few of them; groups are as they are.
  const few = experts!.count > 8 ? {} : { count: 3, used: 2 };
  const changes = { experts: { ...experts!, ...few, length: LENGTH, ...shared > 0 && { shared } } };
  return {
    ...{ architecture, type: "F32", changes },
    metadata: [
      [`${name}.expert_feed_forward_length`, u32(LENGTH)],
      ...experts!.leading ? [[`${name}.feed_forward_length`, u32(2048)] as const] : [],
      ...shared > 0 ? [[`${name}.expert_shared_feed_forward_length`, u32(shared)] as const] : [],
    ],
    ...more,
  };
}

const LENGTH = 1024;

gpuTest(
  "a packed dReLU mixture answers the same with experts' hot neurons on a GPU",
  () =>
    compareBeside(
      wide("drelu-moe"),
      [["slots", 0, 1], ["slots", .5, 1], ["slots", 1, 1], ["stage", .3, 2]],
      F32_NMSE,
    ),
);

gpuTest(
  "experts that are chosen before attention, or beside one of all tokens, do so",
  async () => {
    await compareBeside(wide("smallthinker"), [["slots", .5, 2]], F32_NMSE);
    // Neurons that all fire.
    await compareBeside(wide("qwen2moe", { shared: 2048 }), [["stage", .5, 1]], F32_NMSE);
    await compareBeside(wide("deepseek2-grouped", { shared: 2048 }), [["memory", .5, 1]], F32_NMSE);
  },
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
