import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { openGguf, TensorReader, type TypedGgufFile } from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import { rmsNorm } from "../../src/reference/ops.ts";
import type { ModelShape, SynthQuant } from "../../src/synth/mod.ts";
import { synthesizeShape } from "../../src/synth/synthesize.ts";
import { measureBlock, measureFiring } from "./firing.ts";

const SHAPE: ModelShape = {
  architecture: "llama",
  blockCount: 3,
  embeddingLength: 512,
  feedForwardLength: 1024,
  headCount: 4,
  headCountKv: 2,
  vocabSize: 400,
  contextLength: 512,
  rmsEpsilon: 1e-5,
  ropeBase: 10000,
  tied: false,
};
const EXPERTS = { feedForwardLength: 256, experts: { count: 4, usedCount: 2 } };

/** Small models of each kind that has a shape of its own. */
const KINDS: Record<string, Partial<ModelShape>> = {
  "ReLU llama": {},
  "bamboo": { architecture: "bamboo" },
  "dReLU mixture": { activation: "drelu", ...EXPERTS },
  "smallthinker": { architecture: "smallthinker", vocabSize: 640, ...EXPERTS },
};
const isDrelu = (kind: string) => kind === "bamboo" || kind === "dReLU mixture";

interface Made {
  readonly quant?: SynthQuant;
  readonly sparsity: number;
  readonly predictors?: boolean;
  readonly powerInfer?: boolean;
}

async function withModel(
  shape: Partial<ModelShape>,
  { quant = "Q4_0", ...made }: Made,
  run: (file: TypedGgufFile) => void,
): Promise<void> {
  const out = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    await synthesizeShape({ ...SHAPE, ...shape }, { quant, ...made, seed: 1, out, name: "test" });
    run(openGguf(out));
  } finally {
    Deno.removeSync(out);
  }
}

/** What files say of neurons whose family does not say it. */
const SAID: Record<string, string | undefined> = {
  ...{ "ReLU llama": "relu", "dReLU mixture": "drelu" },
};

for (const [kind, shape] of Object.entries(KINDS)) {
  for (const sparsity of [0.5, 0.9]) {
    Deno.test(`synthesize() keeps ${sparsity} of a ${kind}'s neurons silent in every block`, () =>
      withModel(shape, { sparsity }, (file) => {
        const key = `${file.metadata.get("general.architecture")}.hidden_activation`;
        assertEquals(file.metadata.get(key), SAID[kind]);
        for (const { silentNeurons } of measureFiring(file, isDrelu(kind))) {
          assertAlmostEquals(silentNeurons, sparsity, 0.04);
        }
      }));
  }
}

Deno.test("synthesize() leaves a tenth of what a dReLU gate lets through to the up half", () =>
  withModel({ architecture: "bamboo" }, { sparsity: 0.8 }, (file) => {
    for (const { silentGates, silentNeurons } of measureFiring(file, true)) {
      assertAlmostEquals((1 - silentNeurons) / (1 - silentGates), 0.9, 0.03);
    }
  }));

Deno.test("synthesize() lets no expert add to the constant", () =>
  withModel(KINDS["dReLU mixture"], { sparsity: 0.9 }, (file) => {
    using reader = TensorReader.open(file);
    const tensor = file.tensors.get("blk.2.ffn_down_exps.weight")!;
    assertEquals(tensor.dims, [256, 512, 4]);
    const weights = dequantize(tensor.type, reader.readAll(tensor));
    for (let row = 0; row < 4 * 512; row++) {
      const isZero = weights.subarray(row * 256, (row + 1) * 256).every((x) => x === 0);
      assertEquals(isZero, row % 512 < 32, `row ${row}`);
    }
  }));

for (const quant of ["Q4_0", "Q8_0", "Q4_K", "IQ4_XS", "MXFP4", "F16"] as const) {
  Deno.test(`synthesize() makes ${quant} models' predictors right by construction`, () =>
    withModel({}, { quant, sparsity: 0.9, predictors: true }, (file) => {
      for (const firing of measureFiring(file, false)) {
        assert(firing.recall > 0.98, `recall ${firing.recall}`);
        assert(firing.precision > 0.8, `precision ${firing.precision}`);
        assertAlmostEquals(firing.predicted, 0.1, 0.04);
        assertAlmostEquals(firing.silentNeurons, 0.9, 0.04);
      }
    }));
}

// A ReLU llama in Q4_0 is above.
for (const [kind, shape] of Object.entries(KINDS).slice(1)) {
  Deno.test(`synthesize() makes predictors of a ${kind}`, () =>
    withModel(shape, { sparsity: 0.9, predictors: true }, (file) => {
      for (const firing of measureFiring(file, isDrelu(kind))) {
        assert(firing.recall > 0.98, `recall ${firing.recall}`);
        assert(firing.precision > 0.75, `precision ${firing.precision}`);
      }
    }));
}

Deno.test("synthesize() makes PowerInfer's form: its magic, its down matrix, its threshold", () =>
  withModel({ architecture: "bamboo" }, { sparsity: 0.9, powerInfer: true }, (file) => {
    assertEquals(file.magic, "PWRI");
    assertEquals(file.metadata.get("powerinfer.sparse_threshold"), 0);
    assertEquals(file.tensors.has("blk.0.ffn_down.weight"), false);
    using reader = TensorReader.open(file);
    const weightsOf = (name: string) => {
      const tensor = file.tensors.get(name)!;
      return dequantize(tensor.type, reader.readAll(tensor));
    };
    const down = file.tensors.get("blk.1.ffn_down_t.weight")!;
    assertEquals(down.dims, [512, 1024]);
    const weights = weightsOf(down.name);
    for (let neuron = 0; neuron < 1024; neuron++) {
      const row = weights.subarray(neuron * 512, (neuron + 1) * 512);
      assert(row.subarray(0, 32).every((x) => x === 0), "nothing is added to the constant");
      assert(row.subarray(32).some((x) => x !== 0));
    }
    const residual = Float64Array.from(weightsOf("token_embd.weight").subarray(0, 40 * 512));
    const normed = rmsNorm(residual, new Float64Array(512).fill(1), 1e-5);
    const firing = measureBlock(file, { reader, block: 1, residual, normed, isDrelu: true });
    assert(firing.recall > 0.98, `recall ${firing.recall}`);
    assertAlmostEquals(firing.silentNeurons, 0.9, 0.04);
  }));
