import { assert, assertAlmostEquals, assertEquals, assertLess, assertRejects } from "@std/assert";
import { ModelFormatError, UnsupportedModelError, UsageError } from "../../src/base/errors.ts";
import {
  describeGguf,
  encodeGguf,
  type GgufFile,
  list,
  openGguf,
  TensorReader,
  type TensorSpec,
  text,
  u32,
  writeGguf,
} from "../../src/gguf/mod.ts";
import { dequantize, describeModel } from "../../src/model/mod.ts";
import { encodeWeights, quantizeFile, type WeightType } from "../../src/quantize/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { tinyModel } from "../support/tiny_model.ts";

/** Calls `run` with a folder of its own that holds `bytes` as "in.gguf". */
async function withFile(
  bytes: Uint8Array,
  run: (folder: string, input: string) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/in.gguf`, bytes);
    await run(folder, `${folder}/in.gguf`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** All weights of a tensor. */
function weightsOf(file: GgufFile, name: string): Float32Array {
  using reader = TensorReader.open(file);
  const tensor = file.tensors.get(name)!;
  return dequantize(tensor.type, reader.readAll(tensor));
}

function tensor(name: string, type: WeightType, dims: number[], weights: Float32Array): TensorSpec {
  return { name, type, dims, pieces: () => [encodeWeights(type, weights)] };
}

const WIDE = { embeddingLength: 256, feedForwardLength: 256, vocabSize: 400, blockCount: 3 };

Deno.test("quantizeFile() keeps the header but for how the file is stored, key by key", async () => {
  await withFile(tinyModel({ ...WIDE, type: "F16" }), async (folder, input) => {
    const out = `${folder}/out.gguf`;
    const { bytes, inputBytes, replaced } = await quantizeFile({ input, out, quant: "Q8_0" });
    const [before, after] = [openGguf(input), openGguf(out)];
    assertEquals([bytes, inputBytes, replaced], [
      Deno.statSync(out).size,
      Deno.statSync(input).size,
      [],
    ]);
    const changed = [...after.metadata].filter(([key, value]) => {
      return typeof value !== "object" && before.metadata.get(key) !== value;
    });
    assertEquals(changed, [["general.file_type", 7]]);
    assertEquals([...after.metadata.keys()], [...before.metadata.keys()]);
    assertEquals(after.metadataTypes, before.metadataTypes);
    const tokens = (file: GgufFile) => [
      ...file.metadata.get("tokenizer.ggml.tokens") as Iterable<string>,
    ];
    assertEquals(tokens(after), tokens(before));
    assertEquals([...after.tensors.keys()], [...before.tensors.keys()]);
    describeModel(after);
    assertEquals([...Deno.readDirSync(folder)].length, 2, "no temporary file is left");
  });
});

Deno.test("quantizeFile() quantises matrices as encodeWeights(), and copies norms", async () => {
  await withFile(tinyModel(WIDE), async (folder, input) => {
    const before = openGguf(input);
    for (const quant of ["Q4_0", "Q4_K", "Q6_K", "BF16", "F32", "IQ4_XS"] as const) {
      const out = `${folder}/${quant}.gguf`;
      await quantizeFile({ input, out, quant });
      const after = openGguf(out);
      for (const { name, type, dims } of after.tensors.values()) {
        assertEquals(type, dims.length > 1 ? quant : "F32", name);
        const exact = weightsOf(before, name);
        const expected = dequantize(type, encodeWeights(type as WeightType, exact));
        assertEquals(weightsOf(after, name), expected, name);
      }
    }
  });
});

Deno.test("quantizeFile() to a mixture gives each tensor its type", async () => {
  await withFile(tinyModel(WIDE), async (folder, input) => {
    const out = `${folder}/out.gguf`;
    await quantizeFile({ input, out, quant: "Q4_K_M" });
    const file = openGguf(out);
    const typeOf = (name: string) => file.tensors.get(`${name}.weight`)?.type;
    const values = ["blk.0.attn_v", "blk.1.attn_v", "blk.2.attn_v"].map(typeOf);
    assertEquals([...values, typeOf("output"), typeOf("token_embd")], [
      "Q4_K",
      "Q4_K",
      "Q6_K",
      "Q6_K",
      "Q4_K",
    ]);
    assertEquals(file.metadata.get("general.file_type"), 15);
  });
});

Deno.test("quantizeFile() reads every type it writes", async () => {
  for (const type of ["BF16", "Q8_0", "Q5_1", "Q3_K", "Q4_K", "IQ4_NL", "MXFP4", "E0M4"] as const) {
    await withFile(tinyModel({ ...WIDE, type }), async (folder, input) => {
      const out = `${folder}/out.gguf`;
      await quantizeFile({ input, out, quant: "F32" });
      const name = "blk.1.ffn_down.weight";
      assertEquals(weightsOf(openGguf(out), name), weightsOf(openGguf(input), name));
    });
  }
});

Deno.test("quantizeFile() copies a tensor that has its type already, bit for bit", async () => {
  await withFile(tinyModel({ ...WIDE, type: "Q4_0" }), async (folder, input) => {
    await quantizeFile({ input, out: `${folder}/out.gguf`, quant: "Q4_0" });
    assertEquals(Deno.readFileSync(`${folder}/out.gguf`), Deno.readFileSync(input));
  });
});

for (const type of ["Q4_0", "Q4_1"] as const) {
  Deno.test(`quantizeFile() from ${type} to E0M4 keeps every weight`, async () => {
    await withFile(tinyModel({ ...WIDE, type }), async (folder, input) => {
      const out = `${folder}/out.gguf`;
      await quantizeFile({ input, out, quant: "E0M4" });
      const [before, after] = [openGguf(input), openGguf(out)];
      for (const { name, type, dims } of after.tensors.values()) {
        assertEquals(type, dims.length > 1 ? "E0M4" : "F32", name);
        assertEquals(weightsOf(after, name), weightsOf(before, name), name);
      }
      assertEquals(describeGguf(after).quant, "E0M4");
    });
  });
}

Deno.test("quantizeFile() from Q4_0 to E0M4 refuses a scale whose eightfold f16 cannot hold", async () => {
  const blocks = new Uint8Array(18 * 4);
  new DataView(blocks.buffer).setFloat16(2 * 18, 9000, true);
  const wild: TensorSpec = {
    name: "blk.0.ffn_up.weight",
    type: "Q4_0",
    dims: [64, 2],
    pieces: () => [blocks],
  };
  const file = encodeGguf({ metadata: [["general.architecture", text("llama")]], tensors: [wild] });
  await withFile(file, async (folder, input) => {
    const [out, quant] = [`${folder}/out.gguf`, "E0M4"] as const;
    await assertRejects(
      () => quantizeFile({ input, out, quant }),
      UnsupportedModelError,
      'tensor "blk.0.ffn_up.weight" as E0M4: the Q4_0 block of its weight 64',
    );
    assertEquals([...Deno.readDirSync(folder)].length, 1, "nothing is left");
  });
});

Deno.test("quantizeFile() falls back where rows do not divide into blocks, and tells which", async () => {
  await withFile(tinyModel({ type: "F32" }), async (folder, input) => {
    const { replaced } = await quantizeFile({ input, out: `${folder}/out.gguf`, quant: "Q4_K_M" });
    const down = replaced.find(({ name }) => name === "blk.0.ffn_down.weight");
    assertEquals(down, {
      name: "blk.0.ffn_down.weight",
      wanted: "Q4_K",
      type: "Q5_0",
      columns: 96,
    });
    assertEquals(openGguf(`${folder}/out.gguf`).tensors.get(down!.name)?.type, "Q5_0");
  });
});

Deno.test("quantizeFile() goes through matrices of several chunks", async () => {
  // A chunk is 2^20 weights: 600 rows of 4096 are two of them and a part.
  const rows = 600;
  const weights = Float32Array.from({ length: 4096 * rows }, (_, i) => i % 1021 - 510);
  const bytes = encodeGguf({
    metadata: [],
    tensors: [tensor("a.weight", "F32", [4096, rows], weights)],
  });
  await withFile(bytes, async (folder, input) => {
    const seen: number[] = [];
    const out = `${folder}/out.gguf`;
    const onProgress = (done: number, total: number) => seen.push(done / total);
    await quantizeFile({ input, out, quant: "Q8_0", onProgress });
    using reader = TensorReader.open(openGguf(out));
    const made = reader.readAll(openGguf(out).tensors.get("a.weight")!);
    assertEquals(made, encodeWeights("Q8_0", weights));
    assert(seen.length >= 4 && seen.at(-1) === 1, `${seen}`);
  });
});

Deno.test("quantizeFile() takes any number of experts as rows of one matrix", async () => {
  const weights = Float32Array.from({ length: 64 * 4 * 3 }, (_, i) => Math.sin(i));
  const bytes = encodeGguf({
    metadata: [],
    tensors: [tensor("blk.0.ffn_up_exps.weight", "F16", [64, 4, 3], weights)],
  });
  await withFile(bytes, async (folder, input) => {
    await quantizeFile({ input, out: `${folder}/out.gguf`, quant: "Q5_0" });
    const made = openGguf(`${folder}/out.gguf`).tensors.get("blk.0.ffn_up_exps.weight");
    assertEquals([made?.type, made?.dims, made?.sizeBytes], ["Q5_0", [64, 4, 3], 12 * 2 * 22]);
  });
});

Deno.test("quantizeFile() makes one file of a split model", async () => {
  const part = (index: number, name: string) =>
    encodeGguf({
      metadata: [
        ...index === 0 ? [["general.architecture", text("llama")] as const] : [],
        ["split.no", { type: "u16", value: index }],
        ["split.count", { type: "u16", value: 2 }],
        ["split.tensors.count", { type: "i32", value: 2 }],
      ],
      tensors: [tensor(name, "F32", [32, 2], new Float32Array(64).fill(index + 1))],
    });
  await withFile(new Uint8Array(0), async (folder) => {
    const path = (index: number) => `${folder}/m-0000${index + 1}-of-00002.gguf`;
    Deno.writeFileSync(path(0), part(0, "a.weight"));
    Deno.writeFileSync(path(1), part(1, "b.weight"));
    const out = `${folder}/out.gguf`;
    await quantizeFile({ input: path(0), out, quant: "Q8_0" });
    const file = openGguf(out);
    assertEquals([file.parts.length, [...file.tensors.keys()]], [1, ["a.weight", "b.weight"]]);
    assertEquals([...file.metadata.keys()].filter((key) => key.startsWith("split.")), []);
    assertAlmostEquals(weightsOf(file, "b.weight")[63], 2, 0.001);
    for (const index of [0, 1]) {
      const over = () => quantizeFile({ input: path(0), out: path(index), quant: "Q8_0" });
      await assertRejects(over, UsageError, "it is the file that is read");
    }
  });
});

Deno.test("quantizeFile() refuses to write over its input, whatever the path looks like", async () => {
  await withFile(tinyModel(), async (folder, input) => {
    Deno.symlinkSync(input, `${folder}/link.gguf`);
    Deno.linkSync(input, `${folder}/hard.gguf`);
    const before = Deno.readFileSync(input);
    for (
      const out of [input, `${folder}/./in.gguf`, `${folder}/link.gguf`, `${folder}/hard.gguf`]
    ) {
      await assertRejects(
        () => quantizeFile({ input, out, quant: "Q8_0" }),
        UsageError,
        "it is the file",
      );
    }
    await assertRejects(
      () => quantizeFile({ input, out: folder, quant: "Q8_0" }),
      UsageError,
      "regular",
    );
    assertEquals(Deno.readFileSync(input), before);
    // Another file is replaced.
    Deno.writeTextFileSync(`${folder}/old`, "old");
    await quantizeFile({ input, out: `${folder}/old`, quant: "Q8_0" });
    openGguf(`${folder}/old`);
  });
});

Deno.test("quantizeFile() refuses weights that the type cannot hold, and leaves nothing", async () => {
  for (
    const [weight, types] of [
      [NaN, ["F16", "Q8_0", "Q4_K"]],
      [-Infinity, ["F16", "Q4_0", "Q6_K"]],
      [65536, ["F16", "Q8_0"]],
    ] as const
  ) {
    const weights = new Float32Array(512).fill(1);
    weights[300] = weight;
    const bytes = encodeGguf({
      metadata: [],
      tensors: [tensor("a.weight", "F32", [256, 2], weights)],
    });
    await withFile(bytes, async (folder, input) => {
      for (const quant of types) {
        const run = () => quantizeFile({ input, out: `${folder}/out`, quant });
        await assertRejects(
          run,
          UnsupportedModelError,
          `"a.weight" as ${quant}: its weight 300 is`,
        );
      }
      assertEquals([...Deno.readDirSync(folder)].length, 1);
      // Types with the range of f32 take anything.
      await quantizeFile({ input, out: `${folder}/out`, quant: "BF16" });
    });
  }
});

Deno.test("quantizeFile() ends when its signal is aborted, and leaves nothing", async () => {
  await withFile(tinyModel(), async (folder, input) => {
    const signal = AbortSignal.abort(new Error("enough"));
    const run = () => quantizeFile({ input, out: `${folder}/out`, quant: "Q8_0", signal });
    await assertRejects(run, Error, "enough");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  });
});

Deno.test("quantizeFile() refuses types that it cannot read before it writes", async () => {
  const bytes = encodeGguf({
    metadata: [["general.alignment", u32(32)], ["x", list(["a"])]],
    tensors: [
      { name: "a.weight", type: "Q8_K", dims: [256, 2], pieces: () => [new Uint8Array(584)] },
    ],
  });
  await withFile(bytes, async (folder, input) => {
    const run = () => quantizeFile({ input, out: `${folder}/out`, quant: "Q8_0" });
    await assertRejects(run, UnsupportedModelError, 'Cannot convert tensor "a.weight"');
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  });
});

Deno.test("quantizeFile() refuses a damaged file, and a file that is none", async () => {
  const bytes = tinyModel();
  await withFile(bytes.subarray(0, bytes.length - 5000), async (folder, input) => {
    const run = () => quantizeFile({ input, out: `${folder}/out`, quant: "Q8_0" });
    await assertRejects(run, ModelFormatError);
    const none = () => quantizeFile({ input: folder, out: `${folder}/out`, quant: "Q8_0" });
    await assertRejects(none, ModelFormatError, "a directory");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  });
});

function memory(): [rss: number, external: number] {
  const { rss, external } = Deno.memoryUsage();
  return [rss, external];
}

Deno.test("quantizeFile() keeps memory flat however large a tensor is", async () => {
  const piece = encodeWeights("F16", new Float32Array(1 << 20).fill(0.01));
  const folder = Deno.makeTempDirSync();
  try {
    const input = `${folder}/in.gguf`;
    const rows = 48;
    const pieces = () => Array.from({ length: rows }, () => piece);
    const spec = { name: "a.weight", type: "F16", dims: [1 << 20, rows], pieces };
    // Nothing large was there before, in whose place something could be kept unseen.
    await writeGguf(input, { metadata: [], tensors: [spec] });
    const [rss, external] = memory();
    let most = 0;
    const onProgress = () => {
      const now = memory();
      most = Math.max(most, now[0] - rss, now[1] - external);
    };
    await quantizeFile({ input, out: `${folder}/out`, quant: "Q8_0", onProgress });
    assertLess(most, 40 * 2 ** 20, "bytes more for a tensor of 96 MiB");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

for (const quant of ["Q8_0", "Q4_0"] as const) {
  const model = `golden/llama-${quant.toLowerCase()}/model.gguf`;
  sharedTest(
    model,
    `quantizeFile() to ${quant} gives llama.cpp's tensors, bit for bit`,
    async () => {
      const folder = Deno.makeTempDirSync();
      try {
        const input = sharedPath("golden/quant-base/model.gguf");
        await quantizeFile({ input, out: `${folder}/out`, quant });
        const [ours, theirs] = [openGguf(`${folder}/out`), openGguf(sharedPath(model))];
        using a = TensorReader.open(ours);
        using b = TensorReader.open(theirs);
        assertEquals(ours.tensors.size, 21);
        for (const [name, tensor] of ours.tensors) {
          assertEquals(a.readAll(tensor), b.readAll(theirs.tensors.get(name)!), name);
        }
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    },
  );
}

sharedTest(
  "golden/llama-q4_k_m/model.gguf",
  "quantizeFile() to Q4_K_M gives every tensor the type that llama.cpp gives it",
  async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const input = sharedPath("golden/quant-base/model.gguf");
      await quantizeFile({ input, out: `${folder}/out`, quant: "Q4_K_M" });
      const types = (path: string) =>
        Object.fromEntries([...openGguf(path).tensors].map(([name, { type }]) => [name, type]));
      assertEquals(
        types(`${folder}/out`),
        types(sharedPath("golden/llama-q4_k_m/model.gguf")),
      );
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);
