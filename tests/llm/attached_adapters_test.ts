/**
 * Adapters beside a model's weights: each gives what it gives in the weights, whoever else is in
 * the same steps, and what is kept of prompts is never another one's.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { ModelFormatError, RequestError, UnsupportedModelError } from "../../src/base/errors.ts";
import {
  attachObstacle,
  type GenerateRequest,
  type LanguageModel,
  type LoadedModel,
  loadModel,
  type LoadOptions,
} from "../../src/llm/mod.ts";
import { nmse } from "../support/compare.ts";
import { deepTest } from "../support/deep.ts";
import { allLogits, withModel } from "../support/loaded_model.ts";
import { someRequests } from "../support/some_requests.ts";
import { tinyAdapter, type TinyAdapterOptions } from "../support/tiny_adapter.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 24);

interface Files {
  readonly folder: string;
  readonly path: string;
  /** Both adapters, named. */
  readonly options: Pick<LoadOptions, "namedAdapters">;
}

/** A tiny model, and adapters "poet" and "clerk" (half of it), for as long as `use` runs. */
async function withFiles(
  form: TinyModelOptions,
  adapters: readonly [TinyAdapterOptions, TinyAdapterOptions],
  use: (files: Files) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const model = tinyModel({ seed: 36, contextLength: 300, ...form });
    const path = join(folder, "tiny.gguf");
    await Deno.writeFile(path, model);
    const files = ["poet", "clerk"].map((id) => join(folder, `${id}.gguf`));
    for (const [index, options] of adapters.entries()) {
      await Deno.writeFile(files[index], tinyAdapter(model, { seed: 5 + index, ...options }));
    }
    const namedAdapters = [
      { id: "poet", adapter: { path: files[0] } },
      { id: "clerk", adapter: { path: files[1], scale: 0.5 } },
    ];
    await use({ folder, path, options: { namedAdapters } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Names of the adapter's matrices of models that fuse some. */
const FUSED = /^blk\.\d+\.(attn_qkv|attn_output|ffn_(up|down))\.weight$/;
const ATTENTION = /^blk\.\d+\.attn_([qkv]|output)\.weight$/;

/**
 * Models of all kinds of products that adapters add to; threads by which heads are shared out, one
 * of which has none; ranks that fill what is read and ranks that do not.
 */
const FORMS: readonly (readonly [TinyModelOptions, TinyAdapterOptions, LoadOptions, number])[] = [
  [{}, { rank: 16 }, { threads: 1 }, 1e-11],
  [{ architecture: "qwen2" }, { rank: 5, type: "F16" }, { threads: 3, chunkTokens: 7 }, 1e-11],
  [{ architecture: "phi3" }, { targets: FUSED, rank: 3 }, { threads: 2 }, 1e-11],
  [{ architecture: "gemma2" }, { rank: 17, type: "BF16" }, { threads: 3 }, 1e-11],
  [{ architecture: "gpt2" }, { targets: FUSED }, { threads: 2, chunkTokens: 7 }, 1e-11],
  [{ architecture: "falcon" }, { targets: FUSED }, { threads: 2 }, 1e-11],
  [{ architecture: "olmo2" }, {}, { threads: 2 }, 1e-11],
  [{ architecture: "qwen2moe" }, { targets: ATTENTION }, { threads: 2 }, 1e-11],
  [{ architecture: "granitehybrid" }, { targets: ATTENTION }, { threads: 2 }, 1e-11],
  // As far as activations that are rounded for quantised matrices alone are: 3e-4.
  [{ type: "Q4_0" }, { rank: 32, alpha: 64, type: "Q8_0" }, { threads: 2 }, 1e-3],
];
for (const [index, [form, adapter, load, bound]] of FORMS.entries()) {
  const { architecture = "llama", type = "F32" } = form;
  deepTest(
    `loadModel() adds beside the weights what an adapter adds in them: ${architecture}, ${type}`,
    [1, 3, 5, 6].includes(index) ? "in the gate llama, phi3, gpt2 and two mixtures are" : undefined,
    () =>
      withFiles(form, [adapter, { rank: 2 }], async ({ path, options }) => {
        const [{ adapter: poet }] = options.namedAdapters!;
        const logits = async (more: LoadOptions, of: (model: LoadedModel) => LoadedModel) => {
          let all: Float32Array = new Float32Array(0);
          await withModel(path, { ...load, ...more }, async (model) => {
            all = await allLogits(of(model), IDS);
          });
          return all;
        };
        const base = await logits({}, (model) => model);
        const merged = await logits({ adapters: [poet] }, (model) => model);
        assert(nmse(base, merged) > 10 * bound, "the adapter changes something");
        const named = options.namedAdapters!.slice(0, 1);
        const beside = await logits({ namedAdapters: named }, (model) => model.adapted[0]);
        const error = nmse(beside, merged);
        assert(error < bound, `NMSE ${error}`);
      }),
  );
}

/** Every request of each of these models. */
function askedOf(models: readonly LanguageModel[], requests: readonly GenerateRequest[]) {
  return requests.map((request, index) => ({ model: models[index % models.length], request }));
}

type Asked = ReturnType<typeof askedOf>;

async function answersAlone(asked: Asked) {
  const answers: (readonly number[])[] = [];
  for (const { model, request } of asked) answers.push((await model.generate(request).result).ids);
  return answers;
}

async function answersTogether(asked: Asked) {
  const results = asked.map(({ model, request }) => model.generate(request).result);
  return (await Promise.all(results)).map(({ ids }) => ids);
}

for (
  const [form, load] of [
    [{ type: "Q4_0" }, { threads: 2 }],
    [{ architecture: "granitehybrid", type: "Q8_0" }, { threads: 3, chunkTokens: 7 }],
  ] as const
) {
  const name = `generate() of a model and its adapters gives the same alone and in a batch`;
  Deno.test(`${name}: ${form.type}`, () =>
    withFiles(form, [{ targets: ATTENTION }, { targets: ATTENTION, rank: 16 }], async (files) => {
      const { path, options } = files;
      const requests = someRequests(9, 24);
      let alone: (readonly number[])[] = [];
      await withModel(path, { ...load, ...options, parallel: 1 }, async (model) => {
        alone = await answersAlone(askedOf([model, ...model.adapted], requests));
      });
      await withModel(path, { ...load, ...options, parallel: 9 }, async (model) => {
        const asked = askedOf([model, ...model.adapted], requests);
        assertEquals(await answersTogether(asked), alone, "cold");
        const reversed = await answersTogether(asked.toReversed());
        assertEquals(reversed, alone.toReversed(), "prompts are in the cache");
        assertEquals(await answersAlone(asked), alone, "alone again");
      });
      // The model's own answers are those that it gives without adapters.
      await withModel(path, { ...load, parallel: 1 }, async (model) => {
        const own = askedOf([model], requests.filter((_, index) => index % 3 === 0));
        const wanted = alone.filter((_, index) => index % 3 === 0);
        assertEquals(await answersAlone(own), wanted, "without adapters");
      });
    }));
}

/** Tokens of its prompt that a model had computed before. */
async function cachedTokens(model: LanguageModel, ids: readonly number[], more = {}) {
  const request = { ids, maxTokens: 1, sampling: { temperature: 0 }, ...more };
  return (await model.generate(request).result).timings.cachedTokens;
}

const LONG = Array.from({ length: 100 }, (_, i) => 3 + (i * 37) % 480);

Deno.test("what is remembered of a prompt belongs to the model and so much of each adapter", () =>
  withFiles(
    {},
    [{}, {}],
    ({ path, options }) =>
      withModel(path, { threads: 2, parallel: 3, ...options }, async (model) => {
        const [poet, clerk] = model.adapted;
        for (const each of [model, poet, clerk]) {
          assertEquals(await cachedTokens(each, LONG), 0, each.id);
          assertEquals(await cachedTokens(each, LONG), 99, each.id);
        }
        const asked = (id: number, scale: number) => ({ adapters: [{ id, scale }] });
        assertEquals(await cachedTokens(model, LONG, asked(1, 0.25)), 0, "less of it");
        assertEquals(await cachedTokens(poet, LONG, asked(1, 0.25)), 99, "as another one asked");
        assertEquals(await cachedTokens(model, LONG, asked(0, 1)), 99, "as poet");
        assertEquals(await cachedTokens(poet, LONG, { adapters: [] }), 99, "as the model");
        const all = [{ id: 0, scale: 1 }, { id: 1, scale: 0.5 }];
        assertEquals(await cachedTokens(model, LONG, { adapters: all }), 0, "both");
        await poet.promptLogprobs(LONG.slice(2), 0);
        assertEquals(await cachedTokens(model, LONG.slice(2)), 0, "whole texts of poet's");
        assertEquals(await cachedTokens(poet, LONG.slice(2)), 97);
        // Beside one another, too: nobody waits for what is another one's.
        const other = LONG.toReversed();
        const counts = [model, poet, clerk].map((each) => cachedTokens(each, other));
        assertEquals(await Promise.all(counts), [0, 0, 0]);
      }),
  ));

Deno.test("files of conversations and prompts are of the model and its adapter", () =>
  withFiles({}, [{}, {}], async ({ folder, path, options }) => {
    const prefixCacheFolder = join(folder, "kept");
    await Deno.mkdir(prefixCacheFolder);
    const load = { threads: 2, parallel: 3, ...options, prefixCacheFolder };
    const file = join(folder, "poet.kv");
    await withModel(path, load, async (model) => {
      const [poet] = model.adapted;
      await cachedTokens(poet, LONG);
      assertEquals(await poet.conversations.save(LONG, { path: file, bytesMax: 1e9 }), 96);
      const nothing = { path: join(folder, "none.kv"), bytesMax: 1e9 };
      assertEquals(await model.conversations.save(LONG, nothing), 0, "the model has none of it");
      const own = LONG.slice(1);
      await cachedTokens(model, own);
    });
    await withModel(path, load, async (model) => {
      const [poet, clerk] = model.adapted;
      assertEquals(await cachedTokens(poet, LONG), 96, "from the folder");
      assertEquals(await cachedTokens(clerk, LONG), 0);
      assertEquals(await cachedTokens(model, LONG), 0);
      assertEquals(await cachedTokens(model, LONG.slice(1)), 96, "from the folder");
    });
    const [{ adapter }] = options.namedAdapters!;
    const less = { id: "less", adapter: { ...adapter, scale: 0.5 } };
    const namedAdapters = [...options.namedAdapters!, less];
    await withModel(path, { threads: 2, namedAdapters }, async (model) => {
      const [poet, ...others] = model.adapted;
      for (const other of [model, ...others]) {
        await assertRejects(() => other.conversations.restore(file), RequestError, "other model");
      }
      assertEquals(await poet.conversations.restore(file), 96);
      assertEquals(await cachedTokens(model, LONG), 0);
      assertEquals(await cachedTokens(poet, LONG), 96);
    });
  }));

Deno.test("two names of as much of one adapter have what is remembered of prompts in common", () =>
  withFiles({}, [{}, {}], async ({ folder, path, options }) => {
    const [poet, clerk] = options.namedAdapters!;
    const bard = { id: "bard", adapter: { ...poet.adapter, scale: 1 } };
    const less = { id: "less", adapter: { ...poet.adapter, scale: 0.5 } };
    const namedAdapters = [clerk, poet, bard, less];
    const load = { threads: 1, parallel: 2, namedAdapters, prefixCacheFolder: folder };
    await withModel(path, load, async (model) => {
      const [, poet, bard, less] = model.adapted;
      assertEquals(await cachedTokens(poet, LONG), 0);
      assertEquals(await cachedTokens(bard, LONG), 99);
      assertEquals(await cachedTokens(less, LONG), 0);
    });
    // Both have one file: the second one's is not written over the first one's.
    await withModel(path, load, async (model) => {
      const cached = model.adapted.map((each) => cachedTokens(each, LONG));
      assertEquals(await Promise.all(cached), [0, 96, 99, 96]);
    });
  }));

Deno.test("loadModel() refuses two adapters of one name", () =>
  withFiles({}, [{}, { rank: 16 }], async ({ path, options }) => {
    const namedAdapters = options.namedAdapters!.map((each) => ({ ...each, id: "poet" }));
    await assertRejects(() => loadModel(path, { threads: 1, namedAdapters }), RangeError, "poet");
  }));

Deno.test("generate() takes so much of each adapter as a request says, and refuses others", () =>
  withFiles(
    {},
    [{}, {}],
    ({ path, options }) =>
      withModel(path, { threads: 1, ...options }, async (model) => {
        const [poet, clerk] = model.adapted;
        const request = { ids: IDS, maxTokens: 12, sampling: { temperature: 0 }, ignoreEnd: true };
        const idsOf = async (of: LanguageModel, adapters?: GenerateRequest["adapters"]) =>
          (await of.generate({ ...request, adapters }).result).ids;
        const own = await Promise.all([model, poet, clerk].map((each) => idsOf(each)));
        assert(new Set(own.map(String)).size === 3, "all differ");
        assertEquals(await idsOf(model, [{ id: 0, scale: 1 }]), own[1]);
        assertEquals(await idsOf(poet, [{ id: 1, scale: 0.5 }]), own[2]);
        assertEquals(await idsOf(clerk, []), own[0]);
        const refused = { ids: IDS, adapters: [{ id: 2, scale: 1 }] };
        const error = await assertRejects(async () => await model.generate(refused).result);
        assert(error instanceof RequestError && error.status === 400, String(error));
        assertEquals(poet.details.choosableAdapters, [
          { name: "poet.gguf", scale: 1 },
          { name: "clerk.gguf", scale: 0 },
        ]);
        const [likely] = await poet.promptLogprobs(IDS, 0);
        const asked = { adapters: [{ id: 0, scale: 1 }] };
        assertEquals((await model.promptLogprobs(IDS, 0, asked))[0], likely);
        assert((await model.promptLogprobs(IDS, 0))[0].logprob !== likely.logprob);
      }),
  ));

Deno.test("observe() and bytesPerToken are of the model without its adapters", () =>
  withFiles({}, [{}, {}], async ({ path, options }) => {
    const seen = async (model: LoadedModel) => {
      const rows: number[] = [];
      for await (const { residual } of model.observe(IDS)) rows.push(...residual);
      return rows;
    };
    const load: LoadOptions = { threads: 1, observe: ["residual"] };
    let [plain, bytes]: [number[], number] = [[], 0];
    await withModel(path, load, async (model) => {
      [plain, bytes] = [await seen(model), model.bytesPerToken];
    });
    await withModel(path, { ...load, ...options }, async (model) => {
      await cachedTokens(model.adapted[0], LONG);
      assertEquals(await seen(model), plain);
      assertEquals(model.bytesPerToken, bytes);
      assert(model.memory.weightsBytes > bytes);
    });
  }));

Deno.test("attachObstacle() says why an adapter has to be in the weights", async () => {
  const cases: readonly (readonly [TinyModelOptions, TinyAdapterOptions, LoadOptions, RegExp])[] = [
    [{}, {}, {}, /^null$/],
    [{}, {}, { adapters: [{ path: "other.gguf" }] }, /--lora/],
    [{}, {}, { gpu: "on" }, /GPU/],
    [{}, { targets: /token_embd/ }, {}, /"token_embd.weight" is no matrix of plain attention/],
    [{ architecture: "llama-moe" }, { targets: /ffn_up_exps/ }, {}, /"blk.0.ffn_up_exps.weight"/],
    [{ architecture: "relu-llama" }, {}, {}, /silent/],
    [{ architecture: "bert" }, { targets: /attn_q.weight/ }, {}, /whole texts/],
    [{ architecture: "deepseek2-old" }, { targets: /attn_output.weight/ }, {}, /attn_output/],
  ];
  for (const [form, adapter, load, expected] of cases) {
    await withFiles(form, [adapter, adapter], async ({ path, options: { namedAdapters } }) => {
      const [{ adapter: poet }] = namedAdapters!;
      const obstacle = await attachObstacle(path, poet, load);
      assert(expected.test(String(obstacle)), `${obstacle} for ${expected}`);
      if (obstacle === null || load.adapters || load.gpu) return;
      await assertRejects(
        () => loadModel(path, { ...load, threads: 1, namedAdapters }),
        UnsupportedModelError,
        'Cannot use the adapter "poet" beside the model\'s weights',
      );
    });
  }
});

Deno.test("loadModel() refuses damaged adapters beside weights, and those of other models", async () => {
  const spoil = (value: number): TinyAdapterOptions => ({
    change: (tensor) => {
      if (tensor.name === "blk.1.ffn_down.weight.lora_b") tensor.values[7] = value;
      return tensor;
    },
  });
  for (const value of [NaN, Infinity]) {
    await withFiles({}, [{}, spoil(value)], async ({ path, options }) => {
      const load = () => loadModel(path, { threads: 2, ...options });
      const { message } = await assertRejects(load, ModelFormatError);
      assertEquals(
        /"blk\.1\.ffn_down\.weight\.lora_b": its number \d+ is (NaN|Infinity)/.test(message),
        true,
        message,
      );
    });
  }
  const short: TinyAdapterOptions = {
    change: (tensor) => ({
      ...tensor,
      dims: tensor.name.endsWith("lora_a") ? [tensor.dims[0] / 2, tensor.dims[1]] : tensor.dims,
      values: tensor.name.endsWith("lora_a")
        ? tensor.values.slice(0, tensor.values.length / 2)
        : tensor.values,
    }),
  };
  await withFiles({}, [{}, short], async ({ path, options }) => {
    await assertRejects(
      () => loadModel(path, { threads: 1, ...options }),
      UnsupportedModelError,
      "give the model that it was trained on",
    );
  });
});
