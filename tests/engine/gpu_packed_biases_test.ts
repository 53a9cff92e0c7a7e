/**
 * A GPU beside threads that stream a packed model whose neurons have biases: each neuron's own is
 * where the neuron is, and what is added once is added by one side. Small models made from a seed,
 * beside the threads alone.
 */
import "../support/thread_pool.ts";
import { assertEquals } from "@std/assert";
import { compareBeside, F32_NMSE, QUANT_NMSE, WAYS } from "../support/beside_gpu.ts";
import { deepOnly } from "../support/deep.ts";
import { gpuTest } from "../support/gpu_model.ts";
import { withModel } from "../support/loaded_model.ts";
import { withPacked } from "../support/packed_model.ts";
import { hearAlone, hearTogether, someRequests } from "../support/some_requests.ts";
import { sizesAsData } from "../support/sizes_as_data.ts";
import { wideExperts } from "../support/wide_experts.ts";

sizesAsData();

gpuTest(
  "neurons with biases of their own answer the same with hot ones on a GPU",
  async () => {
    await compareBeside(
      { architecture: "llama-biased", type: "F32" },
      [["stage", .5, 2], ...deepOnly(["memory", .3, 1], ["stage", 1, 1])],
      F32_NMSE,
    );
    // Without gates.
    await compareBeside({ architecture: "gpt2", type: "F32" }, [["stage", .5, 1]], F32_NMSE);
  },
);

gpuTest(
  "experts with biases answer the same with their hot neurons on a GPU",
  () =>
    compareBeside(
      wideExperts("gpt-oss"),
      [
        ...[["stage", .3, 2], ["memory", 1, 2]] as const,
        ...deepOnly(["stage", 0, 1], ["stage", .5, 1], ["stage", 1, 1], ["memory", .5, 1]),
      ],
      F32_NMSE,
    ),
);

gpuTest(
  "experts with biases in MXFP4 come to a GPU out of a packed file",
  () => compareBeside(wideExperts("gpt-oss", { type: "MXFP4" }), [["stage", .5, 1]], QUANT_NMSE),
);

gpuTest(
  "several requests of experts with biases are answered beside a GPU as each is alone",
  () =>
    withPacked(wideExperts("gpt-oss"), async (_, path) => {
      const requests = someRequests(3, 8).map((each) => ({ ...each, ids: each.ids.slice(-20) }));
      const options = {
        gpu: "force",
        ...{ hotShare: .5, threads: 1, ioWorkers: 2 },
        ...WAYS.stage,
      } as const;
      await withModel(path, { ...options, parallel: 1 }, async (alone) => {
        const expected = await hearAlone(alone, requests);
        await withModel(path, { ...options, parallel: 3 }, async (model) => {
          assertEquals(await hearTogether(model, requests), expected);
        });
      });
    }),
);
