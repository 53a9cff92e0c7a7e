import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { instantiateKernels, loadKernelModule } from "../../wasm/mod.ts";
import { UnsupportedModelError } from "../../src/base/errors.ts";
import type { BundleUnit, PackedModel } from "../../src/bundle/mod.ts";
import { type GgufValue, openGguf, TensorReader } from "../../src/gguf/mod.ts";
import { planModel } from "../../src/llm/mod.ts";
import { createArenaMemory } from "../../src/memory/arena.ts";
import { describeModel } from "../../src/model/mod.ts";
import { loadWeights } from "../../src/rank/load/load_weights.ts";
import type { DensePlan, MatrixPlan, RankPlan } from "../../src/rank/plan/plan_types.ts";
import { packFile } from "../../src/pack/mod.ts";
import { quantizeFile } from "../../src/quantize/mod.ts";
import { RANDOM_TYPES } from "../../src/synth/synth_types.ts";
import { downsIn } from "../support/packed_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import { withPacked, withTiny } from "./packed_model.ts";

const RELU: TinyModelOptions = { architecture: "relu-llama" };
/** Blocks of 256 fill rows of the model's width; no others need them. */
const ROWS_OF_256: TinyModelOptions = { embeddingLength: 256, headCount: 8, vocabSize: 400 };
/** Rows and columns of K-quants are multiples of 256. */
const WIDE: TinyModelOptions = { embeddingLength: 256, feedForwardLength: 512, headCount: 8 };

const CASES: readonly [name: string, options: TinyModelOptions][] = [
  ["Q4_0", { ...RELU, type: "Q4_0" }],
  ["Q8_0", { ...RELU, type: "Q8_0" }],
  ["Q4_K", { ...RELU, ...WIDE, type: "Q4_K" }],
  ["Q6_K", { ...RELU, ...WIDE, type: "Q6_K" }],
  ["Q4_K_M", { ...RELU, ...WIDE, type: "Q4_K_M" }],
  ["F16", { ...RELU, type: "F16" }],
  ["F32 of a width that is no multiple of 16", { ...RELU, embeddingLength: 72, headCount: 2 }],
  ["floats of two types, with padding", {
    ...RELU,
    embeddingLength: 72,
    headCount: 2,
    typeOf: (name) => name.startsWith("blk.1.ffn_") ? "F16" : undefined,
  }],
  ["experts, Q4_0", { architecture: "drelu-moe", type: "Q4_0" }],
  ["a tensor for each expert", {
    architecture: "llama-moe-old",
    type: "Q8_0",
    metadata: [["llama.hidden_activation", { type: "string", value: "relu" }]],
  }],
  ["PowerInfer's form, Q4_0", { architecture: "bamboo", magic: "PWRI", type: "Q4_0" }],
  ["PowerInfer's form, Q4_1", { architecture: "bamboo", magic: "PWRI", type: "Q4_1" }],
  ["PowerInfer's form, F16", { architecture: "bamboo", magic: "PWRI", type: "F16" }],
  ["columns with minima, E0M4", { architecture: "bamboo", type: "E0M4" }],
  ["neurons without gates", { architecture: "nemotron", type: "Q8_0" }],
  ...RANDOM_TYPES.map((type): [string, TinyModelOptions] => [
    `gates and ups in ${type}`,
    { ...RELU, type, ...ROWS_OF_256, typeOf: downsIn("Q4_0") },
  ]),
  ...RANDOM_TYPES.map((type): [string, TinyModelOptions] => [
    `PowerInfer's form, ${type}`,
    { architecture: "bamboo", magic: "PWRI", type, ...ROWS_OF_256 },
  ]),
];

for (const [name, options] of CASES) {
  Deno.test(`packFile() keeps every bit that a rank in memory reads: ${name}`, () =>
    withPacked(options, async ({ input, model }) => {
      const memory = await loadInMemory(input);
      const units = blocksOf(memory.plan);
      assertEquals(model.units.length, units.length);
      model.units.forEach((unit, index) => assertUnit(model, unit, units[index], memory));
    }));
}

Deno.test("packFile() keeps metadata and fixed tensors, and their order", () =>
  withPacked({ type: "Q4_0", architecture: "llama-moe" }, ({ input, model }) => {
    const before = openGguf(input);
    assertEquals([...model.file.metadata.keys()], [...before.metadata.keys()]);
    for (const [key, value] of before.metadata) {
      assertEquals(plain(model.file.metadata.get(key)!), plain(value), key);
    }
    assertEquals([...model.file.tensors.keys()], [...before.tensors.keys()]);
    using source = TensorReader.open(before);
    using packed = TensorReader.open(model.file);
    for (const tensor of before.tensors.values()) {
      const { name, type, dims, sizeBytes } = tensor;
      const there = model.file.tensors.get(name)!;
      assertEquals([there.type, there.dims, there.sizeBytes], [type, dims, sizeBytes]);
      if (/ffn_(gate|up|down)_exps/.test(name)) assert(there.offsetBytes >= model.stamp.sizeBytes);
      else assertEquals(packed.readAll(there), source.readAll(tensor), name);
    }
  }));

Deno.test("packFile() packs models whose neurons are never silent", () =>
  withPacked({ type: "Q4_0" }, ({ model }) => {
    assertEquals(model.units.map(({ downLayout }) => downLayout), ["columns", "columns"]);
  }));

Deno.test("packFile() refuses down projections that lie neither by columns nor by neurons", () =>
  withTiny({ type: "Q5_1" }, async (paths) => {
    const pack = () => packFile({ ...paths, stats: null, alignBytes: 512 });
    await assertRejects(pack, UnsupportedModelError, "quantize MODEL OUT --type Q4_0");
    assertEquals([...Deno.readDirSync(paths.folder)].map(({ name }) => name), ["tiny.gguf"]);
  }));

for (const type of RANDOM_TYPES) {
  Deno.test(`packFile() refuses down projections in ${type}, and its advice helps`, () =>
    withTiny({ ...RELU, ...WIDE, vocabSize: 400, type }, async ({ folder, input, out }) => {
      const pack = (from: string) => packFile({ input: from, out, stats: null, alignBytes: 512 });
      const error = await assertRejects(() => pack(input), UnsupportedModelError);
      assertStringIncludes(error.message, `"blk.0.ffn_down.weight"`);
      assertStringIncludes(error.message, `256 rows of ${type}: make a file of another type first`);
      assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["tiny.gguf"]);
      const other = `${folder}/other.gguf`;
      await quantizeFile({ input, out: other, quant: "Q4_0" });
      assertEquals((await pack(other)).units, 2);
    }));
}

/** A value whose strings are unpacked. */
function plain(value: GgufValue): unknown {
  return typeof value === "object" && "kind" in value ? [...value] : value;
}

/** A model as one rank holds it. */
interface InMemory {
  readonly plan: RankPlan;
  readonly arena: Uint8Array;
}

async function loadInMemory(path: string): Promise<InMemory> {
  const file = openGguf(path);
  const module = await loadKernelModule();
  const options = { threads: 1, writeOut: "off" } as const;
  const [plan] = planModel({ file, model: describeModel(file) }, module, options);
  const memories = plan.arenas.map(createArenaMemory);
  using reader = TensorReader.open(file);
  loadWeights({
    ...{ plan, reader, memories },
    tensors: file.tensors,
    kernels: memories.map((memory) => instantiateKernels(module, memory)),
    onProgress: () => {},
  });
  assertEquals(memories.length, 1);
  return { plan, arena: new Uint8Array(memories[0].buffer) };
}

function blocksOf(plan: RankPlan): DensePlan[] {
  return plan.layers.flatMap(({ feedForward }) => {
    const blocks = feedForward?.kind !== "experts" ? [feedForward] : [
      ...feedForward.experts,
      ...feedForward.shared === null ? [] : [feedForward.shared],
    ];
    return blocks.filter((block) => block?.kind === "dense");
  });
}

function assertUnit(model: PackedModel, unit: BundleUnit, plan: DensePlan, memory: InMemory) {
  const { neurons, bundleBytes, restOffsetBytes, order, factorsSizeBytes } = unit;
  assertEquals(plan.down.layout, unit.downLayout);
  assertEquals([restOffsetBytes % model.alignBytes, bundleBytes % model.alignBytes], [0, 0]);
  assertEquals(unit.offsetBytes % 4096, 0);
  const bundles = readAt(model.path, unit.offsetBytes, neurons * bundleBytes);
  order.forEach((neuron, position) => {
    const bundle = bundles.subarray(position * bundleBytes, (position + 1) * bundleBytes);
    const expected = new Uint8Array(bundleBytes);
    if (plan.gate !== null) expected.set(neuronOf(plan.gate, neuron, memory, unit.gate!.sizeBytes));
    const up = neuronOf(plan.up, neuron, memory, unit.up.sizeBytes);
    expected.set(up, unit.up.offsetBytes);
    expected.set(neuronOf(plan.down, neuron, memory, unit.down.sizeBytes), unit.down.offsetBytes);
    assertEquals(bundle, expected, `neuron ${neuron}`);
  });
  const { offsetBytes, rows, rowStrideBytes, layout } = plan.down;
  const size = layout === "columns" ? rowStrideBytes * (rows.end - rows.start) : 0;
  const factors = memory.arena.slice(offsetBytes, offsetBytes + size)
    .subarray(layout === "columns" ? neurons * unit.down.sizeBytes : 0);
  assertEquals(factorsSizeBytes, factors.length);
  assertEquals(readAt(model.path, unit.factorsOffsetBytes, factorsSizeBytes), factors);
}

/** A neuron's part of a matrix. */
function neuronOf(
  { offsetBytes, rowStrideBytes, layout }: MatrixPlan,
  neuron: number,
  { arena }: InMemory,
  sizeBytes: number,
): Uint8Array {
  const stride = layout === "columns" ? sizeBytes : rowStrideBytes;
  assertEquals(stride, sizeBytes);
  return arena.slice(offsetBytes + neuron * stride, offsetBytes + (neuron + 1) * stride);
}

function readAt(path: string, offsetBytes: number, sizeBytes: number): Uint8Array {
  using file = Deno.openSync(path);
  file.seekSync(offsetBytes, Deno.SeekMode.Start);
  const bytes = new Uint8Array(sizeBytes);
  let done = 0;
  while (done < sizeBytes) done += file.readSync(bytes.subarray(done)) ?? sizeBytes;
  return bytes;
}
