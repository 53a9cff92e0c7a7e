import "../support/thread_pool.ts";
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { createHash } from "node:crypto";
import { UsageError } from "../../src/base/errors.ts";
import { describeGguf, openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { dequantize, describeModel } from "../../src/model/mod.ts";
import { ReferenceModel } from "../../src/reference/forward.ts";
import { type ModelShape, SYNTH_QUANTS, synthesize, type SynthQuant } from "../../src/synth/mod.ts";
import type { RandomType } from "../../src/synth/synth_types.ts";
import { synthesizeShape } from "../../src/synth/synthesize.ts";

const SHAPE: ModelShape = {
  architecture: "llama",
  blockCount: 4,
  embeddingLength: 256,
  feedForwardLength: 512,
  headCount: 4,
  headCountKv: 2,
  vocabSize: 400,
  contextLength: 512,
  rmsEpsilon: 1e-5,
  ropeBase: 10000,
  tied: false,
};

/** Makes a model, gives its path to `run`, and removes it. */
async function withModel(
  made: { shape?: Partial<ModelShape>; quant?: SynthQuant; sparsity?: number; seed?: number },
  run: (path: string, result: { bytes: number; params: number }) => void,
): Promise<void> {
  const out = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    const { quant = "Q4_0", sparsity, seed = 1 } = made;
    const shape = { ...SHAPE, ...made.shape };
    run(out, await synthesizeShape(shape, { quant, sparsity, seed, out, name: "test" }));
  } finally {
    Deno.removeSync(out);
  }
}

/** llama.cpp has no name of its own for files of these types alone. */
const SAID: Readonly<Partial<Record<SynthQuant, string>>> = {
  Q3_K: "Q3_K_S",
  Q4_K: "Q4_K_S",
  Q5_K: "Q5_K_S",
  MXFP4: "MXFP4_MOE",
};

/** Where nothing is of a layer but that there is one. */
const SHORT = { blockCount: 1, feedForwardLength: 256 };

for (const quant of SYNTH_QUANTS) {
  Deno.test(`synthesize() makes a ${quant} model that says what it is`, async () => {
    await withModel({ quant, shape: SHORT }, (path, result) => {
      const file = openGguf(path);
      const summary = describeGguf(file);
      assertEquals(summary.quant, SAID[quant] ?? quant);
      assertEquals(summary.parameters, result.params);
      assertEquals(summary.file_bytes, result.bytes);
      assertEquals(describeModel(file).config.vocabSize, 400);
    });
  });
}

Deno.test("synthesize() gives a mixture's tensors the types that quantizing would", async () => {
  await withModel({ quant: "Q4_K_M" }, (path) => {
    const { tensors } = openGguf(path);
    const typeOf = (name: string) => tensors.get(`${name}.weight`)?.type;
    assertEquals(["blk.1.ffn_down", "blk.3.ffn_down", "output", "output_norm"].map(typeOf), [
      "Q4_K",
      "Q6_K",
      "Q6_K",
      "F32",
    ]);
  });
});

Deno.test("synthesize() gives rows that do not divide into blocks another type", async () => {
  await withModel({ quant: "Q4_K", shape: { embeddingLength: 128, headCount: 2 } }, (path) => {
    const { tensors } = openGguf(path);
    assertEquals(tensors.get("blk.0.attn_q.weight")?.type, "Q5_0");
    assertEquals(tensors.get("blk.0.ffn_down.weight")?.type, "Q4_K");
  });
});

for (const quant of ["Q4_0", "Q8_0", "Q4_K", "Q6_K", "IQ4_XS", "MXFP4"] as const) {
  Deno.test(`synthesize() keeps the constant of sparse ${quant} models apart`, async () => {
    await withModel({ quant, sparsity: 0.9, shape: { blockCount: 3 } }, (path) => {
      const file = openGguf(path);
      using reader = TensorReader.open(file);
      const rowsOf = (name: string) => {
        const tensor = file.tensors.get(name)!;
        const weights = dequantize(tensor.type, reader.readAll(tensor));
        const [columns, count] = tensor.dims;
        return Array.from(
          { length: count },
          (_, row) => weights.subarray(row * columns, (row + 1) * columns),
        );
      };
      for (const row of rowsOf("token_embd.weight")) {
        for (const x of row.subarray(0, 32)) assertAlmostEquals(x, 1, 0.1);
      }
      const residual = rowsOf("blk.1.ffn_down.weight");
      for (const row of residual.slice(0, 32)) assert(row.every((x) => Math.abs(x) === 0));
      for (const row of residual.slice(32)) assert(row.some((x) => x !== 0));
      // A gate's threshold: near 1.28 deviations below zero for 90 %, over 32 dimensions.
      const gates = rowsOf("blk.2.ffn_gate.weight");
      const means = gates.map((row) => row.subarray(0, 32).reduce((sum, x) => sum + x, 0));
      const mean = means.reduce((sum, x) => sum + x, 0) / means.length;
      assert(mean < -1 && mean > -2.5, `${mean}`);
    });
  });
}

Deno.test("synthesize() makes a model whose logits are of a sensible size", async () => {
  for (const shape of [{}, { architecture: "qwen2", tied: true, vocabSize: 640 } as const]) {
    await withModel({ shape }, (path) => {
      const logits = new ReferenceModel(openGguf(path)).forward([1, 300, 301, 302]);
      const size = Math.sqrt(logits.reduce((sum, x) => sum + x * x, 0) / logits.length);
      assertAlmostEquals(size, 2, 0.5);
    });
  }
});

/** Of Nemotron 3, with a layer of each kind, and two mixtures. */
const HYBRID: Partial<ModelShape> = {
  ...{ architecture: "nemotron_h_moe", headDim: 64, vocabSize: 640, feedForwardLength: 128 },
  experts: { count: 8, usedCount: 3 },
  hybrid: {
    layers: "ME*E",
    states: { heads: 8, headDim: 32, groups: 2, length: 32, taps: 4 },
    ...{ latentLength: 64, sharedLength: 256, weightScale: 2.5 },
  },
};

Deno.test("synthesize() makes a hybrid whose states fade, and whose layers all say something", () =>
  withModel({ shape: HYBRID }, (path) => {
    const file = openGguf(path);
    using reader = TensorReader.open(file);
    const numbers = (name: string) =>
      new Float32Array(reader.readAll(file.tensors.get(name)!).buffer);
    const areIn = (name: string, least: number, most: number) =>
      numbers(`blk.0.${name}`).every((each) => each > least && each < most);
    assert(
      areIn("ssm_a", -7, -1) && areIn("ssm_d", 0.5, 1.5) && areIn("ssm_norm.weight", 0.5, 1.5),
    );
    const logits = new ReferenceModel(file).forward([1, 300, 301, 302]);
    const size = Math.sqrt(logits.reduce((sum, x) => sum + x * x, 0) / logits.length);
    assertAlmostEquals(size, 2, 0.5);
  }));

/** As llama.cpp counts them: bytes of a block times 8, by its weights. */
const BITS_PER_WEIGHT: Readonly<Record<RandomType, number>> = {
  ...{ IQ1_S: 1.5625, IQ1_M: 1.75, IQ2_XXS: 2.0625, IQ2_XS: 2.3125, IQ2_S: 2.5625 },
  ...{ IQ3_XXS: 3.0625, IQ3_S: 3.4375, TQ1_0: 1.6875, TQ2_0: 2.0625, Q1_0: 1.125, Q2_0: 2.25 },
};

for (const [quant, bits] of Object.entries(BITS_PER_WEIGHT) as [RandomType, number][]) {
  Deno.test(`synthesize() makes ${quant} of ${bits} bits a weight, with logits`, async () => {
    await withModel({ quant, shape: SHORT }, (path) => {
      const file = openGguf(path);
      for (const { name, dims, sizeBytes, type } of file.tensors.values()) {
        if (dims.length === 1) continue;
        assertEquals([type, sizeBytes * 8 / (dims[0] * dims[1])], [quant, bits], name);
      }
      const logits = new ReferenceModel(file).forward([1, 300, 301, 302]);
      const size = Math.sqrt(logits.reduce((sum, x) => sum + x * x, 0) / logits.length);
      assertAlmostEquals(size, 2, 0.5);
    });
  });
}

Deno.test("synthesize() gives rows that no looked-up or ternary blocks divide another type", async () => {
  for (const [quant, other] of [["IQ2_XS", "IQ4_NL"], ["TQ1_0", "Q4_0"]] as const) {
    await withModel({ quant, shape: { embeddingLength: 128, headCount: 2 } }, (path) => {
      const { tensors } = openGguf(path);
      assertEquals(tensors.get("blk.0.attn_q.weight")?.type, other);
      assertEquals(tensors.get("blk.0.ffn_down.weight")?.type, quant);
      assertEquals(tensors.get("output_norm.weight")?.type, "F32");
    });
  }
});

Deno.test("synthesize() repeats with a seed and differs between seeds", async () => {
  const hash = async (seed: number) => {
    let made = "";
    await withModel({ seed }, (path) => {
      made = createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
    });
    return made;
  };
  assertEquals(await hash(1), await hash(1));
  assertNotEquals(await hash(1), await hash(2));
});

Deno.test("synthesize() refuses shapes, types and sparsities that it does not know", async () => {
  const options = {
    shape: "llama-160m",
    quant: "Q4_0",
    seed: 1,
    out: "/no/such/folder/x",
  } as const;
  const wrong: [Record<string, unknown>, string][] = [
    [{ shape: "toString" }, 'shape "toString": choose one of llama-160m'],
    [{ quant: "Q9_K" }, 'type "Q9_K": choose one of F32'],
    [{ sparsity: 1 }, "sparsity 1: give a share from 0.1 to 0.999"],
    [{ sparsity: NaN }, "sparsity NaN"],
    [{ shape: "qwen2-0.5b", sparsity: 0.9 }, "its output projection is its embedding table"],
    [{ shape: "bamboo-7b", sparsity: 0.1 }, "sparsity 0.1: give a share from 0.2 to 0.999"],
    [{ predictors: true }, "not sparse: give a sparsity"],
    [{ quant: "IQ2_XS", sparsity: 0.9 }, 'type "IQ2_XS": single weights cannot be set in it'],
    [
      { sparsity: 0.9, predictorRank: 100 },
      "rank 100: give a multiple of 32 from 160 to the model",
    ],
    [{ sparsity: 0.9, predictorRank: 128 }, "rank 128"],
    [{ sparsity: 0.9, predictorRank: 800 }, "width, 768"],
    [
      { shape: "turbosparse-mixtral-47b", sparsity: 0.9, powerInfer: true },
      "it knows no such models",
    ],
  ];
  for (const [change, says] of wrong) {
    await assertRejects(() => synthesize({ ...options, ...change }), UsageError, says);
  }
});

Deno.test("synthesize() makes llama-160m in flat memory", async () => {
  const out = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    const before = Deno.memoryUsage().rss;
    let last = 0;
    const onProgress = (done: number, total: number) => last = done / total;
    const options = { shape: "llama-160m", quant: "Q4_0", seed: 1, out, onProgress } as const;
    const { bytes } = await synthesize(options);
    assertLess(Deno.memoryUsage().rss - before, 80 * 2 ** 20, "bytes");
    assertEquals(last, 1);
    assertEquals(openGguf(out).parts[0].sizeBytes, bytes);
  } finally {
    Deno.removeSync(out);
  }
});
