/** Control vectors of every tiny family, against the reference; and which families have none. */
import "../support/thread_pool.ts";
import { assert, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import { openForUse } from "../../src/llm/mod.ts";
import { describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";
import { tinyControlVector } from "../support/tiny_control_vector.ts";
import { TINY_MODELS, TINY_PROMPT, tinyModel, type TinyModelName } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 20);
/** Layers of these have several streams, are used several times, answer a source, or leave sums. */
const REFUSED: readonly TinyModelName[] = [
  ...["kimi-k3", "qwen4exp", "gemma3n", "nanbeige", "nanbeige-plain", "hrm_text"] as const,
  ...["hy_v4", "hy_v4-chosen", "deepseek4", "t5", "t5-gated", "minimax-01"] as const,
];

for (const architecture of Object.keys(TINY_MODELS) as TinyModelName[]) {
  deepTest(
    `a model of ${architecture} is steered as the reference says, or not at all`,
    REFUSED.includes(architecture) || architecture === "bert"
      ? undefined
      : "tests/llm/control_vectors_test.ts has layers that end in different ways",
    () => compare(architecture),
  );
}

async function compare(architecture: TinyModelName): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const [path, vector] = [join(folder, "tiny.gguf"), join(folder, "vector.gguf")];
    const model = tinyModel({ architecture, seed: 36 });
    await Deno.writeFile(path, model);
    await Deno.writeFile(vector, tinyControlVector(model, { layers: [1] }));
    const options = {
      controlVectors: [{ path: vector, scale: 0.7 }],
      ...{ threads: 2, chunkTokens: 7, kvType: "f32" as const, gpu: "off" as const },
    };
    if (REFUSED.includes(architecture)) {
      assertStringIncludes(refusalOf(path, options), "Cannot use this control vector: the model");
      return;
    }
    const { file } = openForUse(path, options);
    const { isEncoder } = describeModel(file).config;
    const pooling = file.metadata.get(`${file.metadata.get("general.architecture")}.pooling_type`);
    const slowly = (of: typeof file) => {
      const reference = new ReferenceModel(of);
      if (!isEncoder) return reference.forward(IDS);
      if (pooling === 4) return Float32Array.of(reference.score(IDS));
      return Float32Array.from(reference.vector(IDS, pooling === 2 ? "first" : "mean"));
    };
    const exact = slowly(file);
    assert(nmse(slowly(openForUse(path).file), exact) > 1e-4, "it changes something");
    await withModel(path, options, async (model) => {
      const found = !isEncoder
        ? await allLogits(model, IDS)
        : pooling === 4
        ? Float32Array.of((await model.rank([IDS]))[0])
        : (await model.embed([IDS]))[0];
      const error = nmse(found, exact);
      assert(error < 1e-11, `NMSE ${error}`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function refusalOf(path: string, options: Parameters<typeof openForUse>[1]): string {
  try {
    describeModel(openForUse(path, options).file);
  } catch (error) {
    if (error instanceof UnsupportedModelError) return error.message;
    throw error;
  }
  return "nothing";
}
