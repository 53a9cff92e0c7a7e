/**
 * Control vectors: what they add behind layers, judged by the reference and, where a model has
 * biases there already, by these; and what they do not fit.
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { ModelFormatError, RequestError, UnsupportedModelError } from "../../src/base/errors.ts";
import {
  encodeGguf,
  fingerprint,
  type MetadataEntry,
  openGguf,
  parseGguf,
  storedMetadata,
  TensorReader,
  text,
} from "../../src/gguf/mod.ts";
import { type AdapterChoice, type LoadOptions, openForUse } from "../../src/llm/mod.ts";
import { sourceFingerprint } from "../../src/bundle/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { nmse } from "../support/compare.ts";
import { besideThreads, GPU_ALONE, gpuTest } from "../support/gpu_model.ts";
import { allLogits, greedyIds, withModel } from "../support/loaded_model.ts";
import { READERS, withPacked } from "../support/packed_model.ts";
import {
  tinyControlVector,
  type TinyControlVectorOptions,
} from "../support/tiny_control_vector.ts";
import { TINY_PROMPT, tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";

const IDS = TINY_PROMPT.slice(0, 32);

interface Files {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** One for each of the options. */
  readonly vectors: readonly string[];
}

/** A tiny model of four layers and control vectors of it, for as long as `use` runs. */
async function withFiles(
  form: TinyModelOptions,
  vectors: readonly TinyControlVectorOptions[],
  use: (files: Files) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const bytes = tinyModel({ seed: 36, blockCount: 4, ...form });
    const files = {
      path: join(folder, "tiny.gguf"),
      vectors: vectors.map((_, index) => join(folder, `vector${index}.gguf`)),
    };
    await Deno.writeFile(files.path, bytes);
    for (const [index, options] of vectors.entries()) {
      const vector = tinyControlVector(bytes, { seed: 7 + index, ...options });
      await Deno.writeFile(files.vectors[index], vector);
    }
    await use({ ...files, bytes });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function logitsOf(path: string, options: LoadOptions): Promise<Float32Array> {
  let logits = new Float32Array(0);
  await withModel(path, options, async (model) => {
    logits = Float32Array.from(await allLogits(model, IDS));
  });
  return logits;
}

/** By the reference; reader: of a model in memory. */
function slowly(path: string, options: LoadOptions = {}): Float32Array {
  return new ReferenceModel(openForUse(path, options).file).forward(IDS);
}

function plus(to: Float32Array, scale: number, values: Float32Array): Float32Array {
  return to.map((value, i) => value + scale * values[i]);
}

/** A tensor's numbers, F32. */
function floatsOf(bytes: Uint8Array<ArrayBuffer>, name: string): Float32Array {
  const tensor = parseGguf(bytes).tensors.get(name)!;
  return new Float32Array(TensorReader.ofBytes(bytes).readAll(tensor).buffer);
}

/** The model with other numbers in some of its tensors. */
function withTensors(
  bytes: Uint8Array<ArrayBuffer>,
  changed: ReadonlyMap<string, Float32Array>,
): Uint8Array<ArrayBuffer> {
  const file = parseGguf(bytes);
  const reader = TensorReader.ofBytes(bytes);
  return encodeGguf({
    metadata: storedMetadata(file),
    tensors: [...file.tensors.values()].map((tensor) => {
      const own = changed.get(tensor.name);
      const values = own === undefined
        ? reader.readAll(tensor)
        : new Uint8Array(own.slice().buffer);
      return { ...tensor, pieces: () => [values] };
    }),
  });
}

Deno.test("loadModel() adds control vectors behind layers, as biases that are there would be", () =>
  withFiles({ architecture: "gpt2" }, [{}, { layers: [1, 3] }], async (files) => {
    const { path, bytes, vectors } = files;
    const asked = [{ path: vectors[0], scale: -0.7 }, { path: vectors[1] }];
    for (
      const [range, layers] of [[undefined, [1, 2, 3]], [{ first: 2, last: 3 }, [2, 3]]] as const
    ) {
      const changed = new Map<string, Float32Array>();
      for (const layer of layers) {
        for (const [index, { path, scale = 1 }] of asked.entries()) {
          if (index === 1 && layer === 2) continue;
          const name = `blk.${layer}.ffn_down.bias`;
          const bias = changed.get(name) ?? floatsOf(bytes, name);
          const direction = floatsOf(Deno.readFileSync(path), `direction.${layer}`);
          changed.set(name, plus(bias, scale, direction));
        }
      }
      const other = path.replace(".gguf", "-biases.gguf");
      Deno.writeFileSync(other, withTensors(bytes, changed));
      const exact = slowly(other);
      const options = { controlVectors: asked, controlVectorLayers: range };
      assert(nmse(slowly(path, options), exact) < 1e-12, "the reference");
      const found = await logitsOf(path, { threads: 3, chunkTokens: 7, ...options });
      const error = nmse(found, exact);
      assert(error < 1e-11, `NMSE ${error}`);
      assert(nmse(slowly(path), exact) > 1e-3, "they change something");
    }
  }));

/** Layers that end in different ways; control_vector_families_test.ts has all families. */
const FORMS: readonly (readonly [TinyModelOptions, LoadOptions, number])[] = [
  [{}, { threads: 1 }, 1e-11],
  [{ architecture: "qwen2moe" }, { threads: 2 }, 1e-11],
  [{ architecture: "granitehybrid" }, { threads: 3, chunkTokens: 7 }, 1e-11],
  // Numbers of the layer's end, and a scale of the stream there.
  [{ architecture: "gemma4" }, { threads: 2 }, 1e-11],
  [{ type: "Q4_0" }, { threads: 2 }, 1e-3],
  // Two memories a thread.
  [
    { blockCount: 4, tied: true },
    { threads: 2, chunkTokens: 16, contextLength: 100, arenaBytesMax: 550_000 },
    1e-11,
  ],
];
for (const [form, load, bound] of FORMS) {
  const { architecture = "llama", type = "F32" } = form;
  const what = `${architecture}, ${type}${load.arenaBytesMax ? ", two arenas" : ""}`;
  Deno.test(`a steered model says what the reference does: ${what}`, () =>
    withFiles({ blockCount: undefined, ...form }, [{}], async ({ path, vectors }) => {
      const controlVectors = [{ path: vectors[0], scale: 0.7 }];
      const exact = slowly(path, { controlVectors });
      const error = nmse(await logitsOf(path, { kvType: "f32", ...load, controlVectors }), exact);
      assert(error < bound, `NMSE ${error}`);
      assert(nmse(slowly(path), exact) > 1e-3, "it changes something");
    }));
}

for (
  const [name, form, load] of [
    ["alone", {}, GPU_ALONE],
    ["alone, layers of experts", { architecture: "qwen2moe" }, GPU_ALONE],
    ["alone, blocks side by side", { architecture: "falcon" }, GPU_ALONE],
    ["beside a thread", {}, besideThreads(0.5)],
  ] as const
) {
  gpuTest(
    `a GPU ${name} adds control vectors as threads do`,
    () =>
      withFiles(form, [{}, { layers: [2] }], async ({ path, vectors }) => {
        const controlVectors = [{ path: vectors[0], scale: 0.7 }, { path: vectors[1] }];
        const exact = slowly(path, { controlVectors });
        let ids: readonly number[] = [];
        // Several tokens a wait.
        const options = { kvType: "f32", gpuWaitMs: 1e4, ...load, controlVectors } as const;
        await withModel(path, options, async (model) => {
          assert(model.gpu !== null, "the GPU computes");
          for (const stepTokens of [undefined, 1]) {
            const error = nmse(await allLogits(model, IDS, stepTokens), exact);
            assert(error < 1e-10, `NMSE ${error} in steps of ${stepTokens}`);
          }
          if (name === "alone") ids = await greedyIds(model, IDS, 8);
        });
        if (name !== "alone") return;
        await withModel(path, { threads: 1, kvType: "f32", controlVectors }, async (model) => {
          assertEquals(ids, await greedyIds(model, IDS, 8), "several tokens a wait");
        });
      }),
  );
}

Deno.test("a packed model has control vectors, too", () =>
  withPacked({ seed: 36, blockCount: 4 }, async (path, packed) => {
    const vector = path.replace(".gguf", "-vector.gguf");
    try {
      await Deno.writeFile(vector, tinyControlVector(await Deno.readFile(path)));
      const controlVectors = [{ path: vector, scale: 0.7 }];
      const found = await logitsOf(packed, { threads: 2, ...READERS, controlVectors });
      const error = nmse(found, slowly(path, { controlVectors }));
      assert(error < 1e-10, `NMSE ${error}`);
      const prints = [[], controlVectors, [{ path: vector }]].map((controlVectors) =>
        sourceFingerprint(openForUse(packed, { controlVectors }))
      );
      assertEquals(new Set(prints).size, prints.length);
      assertEquals(prints[0], fingerprint(openGguf(path).parts));
    } finally {
      await Deno.remove(vector);
    }
  }));

Deno.test("control vectors that count nothing change no bit, nor do layers beside theirs", () =>
  withFiles({ type: "Q8_0" }, [{ layers: [1] }], async ({ path, vectors }) => {
    const [vector] = vectors;
    const own = await logitsOf(path, { threads: 2 });
    const of = (
      controlVector: AdapterChoice,
      controlVectorLayers?: { first: number; last: number },
    ) => logitsOf(path, { threads: 2, controlVectors: [controlVector], controlVectorLayers });
    assertEquals(await of({ path: vector, scale: 0 }), own);
    assertEquals(await of({ path: vector }, { first: 2, last: 3 }), own);
    assert(nmse(await of({ path: vector }, { first: 0, last: 1 }), own) > 1e-4);
  }));

Deno.test("a model with other control vectors is another model to what is kept", () =>
  withFiles({}, [{}, { layers: [2] }], async ({ path, vectors: [all, one] }) => {
    const prints = [
      {},
      { controlVectors: [{ path: all }] },
      { controlVectors: [{ path: all, scale: 0.5 }] },
      { controlVectors: [{ path: all }], controlVectorLayers: { first: 1, last: 2 } },
      { controlVectors: [{ path: one }] },
      { controlVectors: [{ path: all }, { path: one }] },
    ].map((options) => fingerprint(openForUse(path, options).file.parts));
    assertEquals(new Set(prints).size, prints.length);
    assertEquals(prints[0], fingerprint(openGguf(path).parts));
    // What was computed with one is not used with another.
    const file = path.replace(".gguf", ".kv");
    const options = { threads: 1, controlVectors: [{ path: all, scale: 0.7 }] };
    await withModel(path, options, async (model) => {
      await greedyIds(model, IDS, 1);
      assertEquals(await model.conversations.save(IDS, { path: file, bytesMax: 1e9 }), IDS.length);
    });
    for (const other of [{}, { ...options, controlVectors: [{ path: all }] }]) {
      await withModel(path, { threads: 1, ...other }, async (model) => {
        await assertRejects(() => model.conversations.restore(file), RequestError, "other model");
      });
    }
    await withModel(path, options, async (model) => {
      assertEquals(await model.conversations.restore(file), IDS.length);
    });
  }));

Deno.test("loadModel() tells of control vectors that are for others, and in its details", () =>
  withFiles(
    {},
    [{ metadata: [["controlvector.model_hint", text("mistral")] as MetadataEntry] }],
    async (files) => {
      const { path, vectors: [vector] } = files;
      const said: string[] = [];
      const options = {
        ...{ threads: 1, controlVectors: [{ path: vector, scale: 0.5 }] },
        onNotice: ({ text }: { text: string }) => said.push(text),
      };
      await withModel(path, options, async (model) => {
        const { controlVectors, adapters, parameterCount } = model.details;
        assertEquals(controlVectors, [{ name: "vector0.gguf", scale: 0.5 }]);
        assertEquals(adapters, []);
        await withModel(path, { threads: 1 }, ({ details }) => {
          assertEquals(details.parameterCount, parameterCount);
          assertEquals(details.controlVectors, undefined);
          return Promise.resolve();
        });
      });
      assertEquals(said.length, 1);
      assertStringIncludes(
        said[0],
        '"vector0.gguf" says that it is for models of the kind "mistral"',
      );
    },
  ));

Deno.test("openForUse() tells of control vectors that change nothing, and stays short and plain", () =>
  withFiles(
    {},
    [{ layers: [1, 2] }, {
      layers: [3],
      metadata: [["controlvector.model_hint", text(`\x1b[31m${"x".repeat(3000)}`)]],
    }],
    ({ path, bytes, vectors }) => {
      const said: string[] = [];
      const options = {
        controlVectors: vectors.map((path) => ({ path })),
        onNotice: ({ text }: { text: string }) => said.push(text),
      };
      openForUse(path, { ...options, controlVectorLayers: { first: 3, last: 9 } });
      assertEquals(said.length, 2);
      assertStringIncludes(said[0], '"vector0.gguf" has no direction for layers 3 to 9');
      assertStringIncludes(said[1], '"vector1.gguf" says that it is for models of the kind "');
      assert(said[1].length < 2000 && !said[1].includes("\x1b"), said[1]);
      said.length = 0;
      openForUse(path, { ...options, controlVectorLayers: { first: 2, last: 3 } });
      openForUse(path, options);
      assertEquals(said.filter((text) => text.includes("no direction")), []);
      // Nor does one that does not say for whom it is.
      const metadata = [["controlvector.model_hint", text("")] as const];
      Deno.writeFileSync(vectors[1], tinyControlVector(bytes, { metadata }));
      said.length = 0;
      openForUse(path, options);
      assertEquals(said, []);
      return Promise.resolve();
    },
  ));

type Fault = readonly [
  says: string,
  type: typeof UnsupportedModelError | typeof ModelFormatError | typeof RangeError,
  vector: TinyControlVectorOptions,
  more?: Pick<LoadOptions, "controlVectorLayers"> & { scale?: number; form?: TinyModelOptions },
];
const NAN = (at: number): TinyControlVectorOptions => ({
  change: (tensor) => ({
    ...tensor,
    values: tensor.values.map((value, i) => i === at ? NaN : value),
  }),
});
const FAULTS: readonly Fault[] = [
  ["directions have 32 numbers, the model's stream 64", UnsupportedModelError, { length: 32 }],
  ["a direction for layer 4, and the model's layers are 0 to 3", UnsupportedModelError, {
    layers: [1, 4],
  }],
  ['tensor "direction.1": its number 63 is NaN', ModelFormatError, NAN(63)],
  ["which f32 does not hold: use a smaller scale", UnsupportedModelError, {}, { scale: 1e39 }],
  ["NaN times: give a finite number", RangeError, {}, { scale: NaN }],
  ["layers 3 to 2: give whole numbers", RangeError, {}, {
    controlVectorLayers: { first: 3, last: 2 },
  }],
  ["layers have several streams", UnsupportedModelError, {}, {
    form: { architecture: "gemma3n", blockCount: undefined },
  }],
  ["the model uses layers several times", UnsupportedModelError, {}, {
    form: { architecture: "nanbeige", blockCount: undefined },
  }],
];
for (const [says, type, vector, { scale = 1, form = {}, ...more } = {}] of FAULTS) {
  Deno.test(`loadModel() refuses a control vector that does not fit: ${says}`, () =>
    withFiles(form, [vector], async ({ path, vectors }) => {
      const options = { threads: 2, controlVectors: [{ path: vectors[0], scale }], ...more };
      const { message } = await assertRejects(() => withModel(path, options, async () => {}), type);
      assertStringIncludes(message, says);
    }));
}

Deno.test("loadModel() refuses two control vectors of which one does not fit", () =>
  withFiles({}, [{}, { length: 32 }], async ({ path, vectors }) => {
    const controlVectors = vectors.map((path) => ({ path }));
    const load = () => withModel(path, { threads: 1, controlVectors }, async () => {});
    const { message } = await assertRejects(load, UnsupportedModelError);
    assertStringIncludes(message, "directions have 32 numbers");
  }));

Deno.test("loadModel() refuses layers to steer without a control vector", async () => {
  const { message } = await assertRejects(
    () =>
      withFiles(
        {},
        [],
        ({ path }) =>
          withModel(path, { controlVectorLayers: { first: 1, last: 2 } }, async () => {}),
      ),
    RangeError,
  );
  assertStringIncludes(message, "give a control vector, too");
});

Deno.test("a tensor of a model's own file is no direction", () =>
  withFiles({}, [], async ({ path, bytes }) => {
    const file = parseGguf(bytes);
    const reader = TensorReader.ofBytes(bytes);
    const norm = file.tensors.get("output_norm.weight")!;
    const all = [...file.tensors.values(), { ...norm, name: "direction.1" }];
    await Deno.writeFile(
      path,
      encodeGguf({
        metadata: storedMetadata(file),
        tensors: all.map((tensor) => ({ ...tensor, pieces: () => [reader.readAll(tensor)] })),
      }),
    );
    const { message } = await assertRejects(
      () => withModel(path, { threads: 1 }, (model) => greedyIds(model, IDS, 1).then(() => {})),
      UnsupportedModelError,
    );
    assertStringIncludes(message, 'a tensor "direction.1" that this version has no use for');
  }));
