import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { ModelFormatError, UsageError } from "../../src/base/errors.ts";
import {
  encodeGguf,
  f32,
  list,
  openGguf,
  type StoredValue,
  TensorReader,
  type TensorSpec,
  u32,
} from "../../src/gguf/mod.ts";
import { dequantize } from "../../src/model/mod.ts";
import {
  encodeWeights,
  openImportance,
  type Quant,
  quantizeFile,
  type WeightType,
} from "../../src/quantize/mod.ts";
import { makeFloats, Rng } from "../support/rng.ts";
import { tinyModel } from "../support/tiny_model.ts";

/** What is left of the error that counts, at most: a step of a search that forgets it shows. */
const LEFT = {
  ...{ Q4_0: 0.62, Q4_1: 0.38, Q5_0: 0.55, Q5_1: 0.39, Q2_K: 0.41, Q3_K: 0.56, Q4_K: 0.49 },
  ...{ Q5_K: 0.58, Q6_K: 0.58, IQ4_NL: 0.53, IQ4_XS: 0.54, E0M4: 0.475 },
} as const;
const SEARCHED = Object.keys(LEFT) as (keyof typeof LEFT)[];

/** Σ of squared errors, each times what it counts. */
function errorOf(type: WeightType, weights: Float32Array, counts: Float32Array, by?: Float32Array) {
  const back = dequantize(type, encodeWeights(type, weights, by));
  return weights.reduce((sum, weight, i) => sum + counts[i] * (weight - back[i]) ** 2, 0);
}

function normal(seed: number, length: number): Float32Array {
  const rng = new Rng(seed);
  return makeFloats(length, () => rng.normal() / 16);
}

/** A few weights count for most. */
function unequal(length: number): Float32Array {
  const rng = new Rng(7);
  return makeFloats(length, () => rng.int(8) === 0 ? 5 : 0.1);
}

Deno.test("encodeWeights() makes the error smaller that counts, in every type that is searched", () => {
  const weights = normal(3, 4096), counts = unequal(4096);
  for (const type of SEARCHED) {
    const [known, unknown] = [
      errorOf(type, weights, counts, counts),
      errorOf(type, weights, counts),
    ];
    assertLess(known, LEFT[type] * unknown, type);
  }
});

Deno.test("encodeWeights() gives the same bytes where all count the same, but for ggml's rules", () => {
  const weights = normal(4, 2048), same = new Float32Array(2048).fill(3);
  for (const type of SEARCHED.filter((each) => !/^Q\d_[01]$/.test(each))) {
    assertEquals(encodeWeights(type, weights, same), encodeWeights(type, weights), type);
  }
  for (const type of ["F16", "BF16", "Q8_0", "MXFP4"] as const) {
    assertEquals(encodeWeights(type, weights, unequal(2048)), encodeWeights(type, weights), type);
  }
});

Deno.test("encodeWeights() finds finite numbers where hardly a weight counts, or all are equal", () => {
  const counts = new Float32Array(512).fill(1e-4);
  counts[5] = 500;
  for (const weights of [new Float32Array(512).fill(0.3), new Float32Array(512)]) {
    for (const type of SEARCHED) {
      const back = dequantize(type, encodeWeights(type, weights, counts));
      assert(back.every((each, i) => Math.abs(each - weights[i]) < 0.02), type);
    }
  }
});

/** A file of tensors of floats. */
function fileOf(tensors: Record<string, [dims: number[], numbers: number[]]>): Uint8Array {
  const specs = Object.entries(tensors).map(([name, [dims, numbers]]): TensorSpec => ({
    ...{ name, type: "F32", dims },
    pieces: () => [new Uint8Array(Float32Array.from(numbers).buffer)],
  }));
  return encodeGguf({
    metadata: [["imatrix.datasets", list(["a.txt", "b.txt"])], ["imatrix.chunk_count", u32(9)]],
    tensors: specs,
  });
}

/** The older form. */
function legacyOf(entries: readonly [name: string, calls: number, numbers: number[]][], end = "") {
  const bytes: number[] = [];
  const put = (...numbers: number[]) =>
    bytes.push(...new Uint8Array(Int32Array.from(numbers).buffer));
  put(entries.length);
  for (const [name, calls, numbers] of entries) {
    put(name.length);
    bytes.push(...new TextEncoder().encode(name));
    put(calls, numbers.length);
    bytes.push(...new Uint8Array(Float32Array.from(numbers).buffer));
  }
  if (end !== "") {
    put(9, end.length);
    bytes.push(...new TextEncoder().encode(end));
  }
  return Uint8Array.from(bytes);
}

/** Opens such a file. */
function opened(bytes: Uint8Array) {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, bytes);
    return openImportance(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("openImportance() reads what columns count, expert by expert, in the mean 1", () => {
  const file = opened(fileOf({
    "x.weight.in_sum2": [[4, 3], [1, 3, 5, 7, 0, 0, 0, 0, 8, 0, 0, 0]],
    "x.weight.counts": [[1, 3], [2, 0, 1]],
  }));
  assertEquals(file.matrixCount, 1);
  assertEquals(file.text, { datasets: ["a.txt", "b.txt"], chunkCount: 9 });
  const least = Math.fround(1e-4);
  assertEquals(
    file.of({ name: "x.weight", dims: [4, 6, 3] }),
    Float32Array.of(0.25, 0.75, 1.25, 1.75, 1, 1, 1, 1, 4, least, least, least),
  );
  assertEquals(file.of({ name: "y.weight", dims: [4, 6, 3] }), undefined);
  const unseen = opened(fileOf({
    "x.weight.in_sum2": [[2, 2], [0, 0, 1, 3]],
    "x.weight.counts": [[1, 2], [0, 2]],
  }));
  assertEquals(unseen.of({ name: "x.weight", dims: [2, 3, 2] }), Float32Array.of(1, 1, 0.5, 1.5));
  // Further dimensions are more matrices.
  assertEquals(file.of({ name: "x.weight", dims: [4, 6, 1, 3] })!.length, 12);
});

Deno.test("openImportance() reads groups of a matrix' rows as experts, where they are as long", () => {
  const file = opened(fileOf({
    "x.weight.in_sum2": [[2, 3], [1, 3, 2, 2, 3, 1]],
    "x.weight.counts": [[1, 3], [2, 2, 2]],
  }));
  assertEquals(
    file.of({ name: "x.weight", dims: [2, 6] }),
    Float32Array.of(0.5, 1.5, 1, 1, 1.5, 0.5),
  );
  for (const dims of [[2, 7], [3, 6], [6, 6], [2, 6, 2]]) {
    assertThrows(() => file.of({ name: "x.weight", dims }), ModelFormatError, "of this model");
  }
});

Deno.test("openImportance() leaves out a count of chunks that 32 bits do not hold", () => {
  const counted = (count: StoredValue) => {
    const tensors = ["in_sum2", "counts"].map((end): TensorSpec => ({
      ...{ name: `x.weight.${end}`, type: "F32", dims: [1, 1] },
      pieces: () => [new Uint8Array(Float32Array.of(1).buffer)],
    }));
    return opened(encodeGguf({ metadata: [["imatrix.chunk_count", count]], tensors }));
  };
  const counts = [u32(2 ** 32 - 1), f32(1.5), f32(-1), f32(2 ** 33)].map((count) => {
    return counted(count).text.chunkCount;
  });
  assertEquals(counts, [2 ** 32 - 1, 0, 0, 0]);
  const legacy = legacyOf([["x.weight", 4, [2, 6]]], "wiki.txt");
  new DataView(legacy.buffer).setInt32(32, -3, true);
  assertEquals(opened(legacy).text.chunkCount, 0);
});

Deno.test("openImportance() says what is wrong with a path", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const none = () => openImportance(`${folder}/none`);
    assertThrows(none, ModelFormatError, "there is no such file");
    assertThrows(() => openImportance(folder), ModelFormatError, "is a directory");
    new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).outputSync();
    assertThrows(() => openImportance(`${folder}/pipe`), ModelFormatError, "pipe");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("openImportance() reads the older form, with what follows and without", () => {
  const entries: [string, number, number[]][] = [["x.weight", 4, [2, 6]], ["y.weight", 1, [1, 1]]];
  for (const end of ["", "wiki.txt"]) {
    const file = opened(legacyOf(entries, end));
    assertEquals(file.of({ name: "x.weight", dims: [2, 9] }), Float32Array.of(0.5, 1.5));
    assertEquals(file.text.datasets, end === "" ? [] : [end]);
    assertEquals(file.text.chunkCount, end === "" ? 0 : 9);
  }
});

Deno.test("openImportance() refuses what is none, cut, of another shape, or no number", () => {
  const good = legacyOf([["x.weight", 4, [2, 6]]], "wiki.txt");
  const whole = new Set([32, 36]); // what follows the matrices may be left out
  for (let length = 0; length < good.length; length++) {
    if (whole.has(length)) continue;
    assertThrows(() => opened(good.subarray(0, length)), ModelFormatError, "", `${length}`);
  }
  for (
    const bytes of [
      tinyModel({ blockCount: 1 }),
      fileOf({ "x.weight.in_sum2": [[2, 1], [1, 1]] }),
      legacyOf([]),
      new Uint8Array(40).fill(255),
    ]
  ) assertThrows(() => opened(bytes), ModelFormatError, "importance matrix");
  // Lengths below 0, of a name and of numbers.
  for (const [at, length] of [[4, -4], [20, -1]]) {
    const lying = legacyOf([["x.weight", 4, [0, 6]]]);
    new DataView(lying.buffer).setInt32(at, length, true);
    assertThrows(() => opened(lying), ModelFormatError, "nor of the older form");
  }
  for (const numbers of [[1, NaN], [1, -1], [Infinity, 1]]) {
    const file = opened(legacyOf([["x.weight", 1, numbers]]));
    assertThrows(() => file.of({ name: "x.weight", dims: [2, 3] }), ModelFormatError, "squares");
  }
  for (const count of [NaN, -1]) {
    const file = opened(fileOf({
      "x.weight.in_sum2": [[2], [1, 2]],
      "x.weight.counts": [[1], [count]],
    }));
    assertThrows(() => file.of({ name: "x.weight", dims: [2, 3] }), ModelFormatError, "a count");
  }
  const file = opened(legacyOf([["x.weight", 1, [1, 2]]]));
  for (const dims of [[3, 3], [2, 3, 2]]) {
    assertThrows(() => file.of({ name: "x.weight", dims }), ModelFormatError, "of this model");
  }
});

Deno.test("quantizeFile() weighs columns by their own expert, row after row", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const input = `${folder}/in.gguf`, out = `${folder}/out.gguf`;
    Deno.writeFileSync(input, tinyModel({ architecture: "qwen3moe", embeddingLength: 96 }));
    const model = openGguf(input), name = "blk.0.ffn_gate_exps.weight";
    const [columns, rows, experts] = model.tensors.get(name)!.dims;
    const squares = Array.from({ length: columns * experts }, (_, i) => 1 + (i * i) % 97);
    Deno.writeFileSync(
      `${folder}/i.gguf`,
      fileOf({
        [`${name}.in_sum2`]: [[columns, experts], squares],
        [`${name}.counts`]: [[1, experts], Array(experts).fill(3)],
      }),
    );
    const importance = openImportance(`${folder}/i.gguf`);
    const { unweighed } = await quantizeFile({ input, out, quant: "Q4_1", importance });
    assertEquals([unweighed.includes(name), unweighed.includes("blk.0.attn_q.weight")], [
      false,
      true,
    ]);
    const read = (path: string) => {
      const file = openGguf(path);
      using reader = TensorReader.open(file);
      return reader.readAll(file.tensors.get(name)!);
    };
    const counts = importance.of({ name, dims: [columns, rows, experts] })!;
    const each = Float32Array.from({ length: columns * rows * experts }, (_, i) => {
      return counts[Math.floor(i / (columns * rows)) * columns + i % columns];
    });
    assertEquals(read(out), encodeWeights("Q4_1", dequantize("F32", read(input)), each));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("quantizeFile() weighs the rows of each group of a matrix by its own", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const input = `${folder}/in.gguf`, out = `${folder}/out.gguf`;
    Deno.writeFileSync(input, tinyModel({}));
    const name = "blk.0.attn_q.weight";
    const [columns, rows] = openGguf(input).tensors.get(name)!.dims;
    const groups = 4;
    const squares = Array.from({ length: columns * groups }, (_, i) => 1 + (i * i) % 97);
    const sums = fileOf({
      [`${name}.in_sum2`]: [[columns, groups], squares],
      [`${name}.counts`]: [[1, groups], Array(groups).fill(3)],
    });
    const importance = opened(sums);
    await quantizeFile({ input, out, quant: "Q4_1", importance });
    const read = (path: string) => {
      const file = openGguf(path);
      using reader = TensorReader.open(file);
      return reader.readAll(file.tensors.get(name)!);
    };
    const counts = importance.of({ name, dims: [columns, rows] })!;
    const each = Float32Array.from({ length: columns * rows }, (_, i) => {
      return counts[Math.floor(i / (columns * rows / groups)) * columns + i % columns];
    });
    assertEquals(read(out), encodeWeights("Q4_1", dequantize("F32", read(input)), each));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

/** One matrix of those numbers, stored with what its columns count. */
async function stored(
  { weights, columns, type = "F32", quant, known = true, counted = columns }: {
    readonly weights: Float32Array;
    readonly columns: number;
    readonly type?: WeightType;
    readonly quant: Quant;
    readonly known?: boolean;
    readonly counted?: number;
  },
) {
  const folder = Deno.makeTempDirSync();
  try {
    const [input, out, matrix] = ["in", "out", "i"].map((name) => `${folder}/${name}.gguf`);
    const name = "blk.0.ffn_up.weight", dims = [columns, weights.length / columns];
    const bytes = encodeWeights(type, weights);
    const spec: TensorSpec = { name, type, dims, pieces: () => [bytes] };
    Deno.writeFileSync(input, encodeGguf({ metadata: [], tensors: [spec] }));
    const of = known ? name : "other.weight";
    Deno.writeFileSync(
      matrix,
      fileOf({
        [`${of}.in_sum2`]: [[counted], Array.from({ length: counted }, (_, i) => 1 + i * i)],
        [`${of}.counts`]: [[1], [3]],
      }),
    );
    const importance = openImportance(matrix);
    await assertRejects(
      () => quantizeFile({ input, out: matrix, quant, importance }),
      UsageError,
      "that is read",
    );
    const { unweighed, isWeighed } = await quantizeFile({ input, out, quant, importance });
    const file = openGguf(out), tensor = file.tensors.get(name)!;
    using reader = TensorReader.open(file);
    return {
      ...{ unweighed, isWeighed },
      bytes: reader.readAll(tensor),
      counts: counted === columns ? importance.of({ name, dims }) : undefined,
    };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("quantizeFile() weighs columns where a piece of a matrix begins amid a row", async () => {
  // A piece is 2²⁰ weights: 10922 rows, and a part of one.
  const columns = 96, weights = normal(9, 96 * 10_930);
  const { bytes, counts } = await stored({ weights, columns, quant: "Q4_0" });
  const from = 2 ** 20 - 96, each = makeFloats(weights.length - from, () => 0);
  for (let i = 0; i < each.length; i++) each[i] = counts![(from + i) % columns];
  const end = bytes.subarray(from / 32 * 18);
  assertEquals(end, encodeWeights("Q4_0", weights.subarray(from), each));
});

Deno.test("quantizeFile() refuses what knows no matrix that is searched, and asks of no other", async () => {
  const weights = normal(5, 256), columns = 64;
  const of = (type: WeightType, quant: Quant) =>
    stored({ weights, columns, type, quant, known: false });
  for (const [type, quant] of [["F32", "Q4_0"], ["Q8_0", "E0M4"]] as const) {
    await assertRejects(() => of(type, quant), ModelFormatError, "none of this model's matrices");
  }
  for (const [type, quant] of [["Q4_0", "Q4_0"], ["Q4_1", "E0M4"], ["F32", "Q8_0"]] as const) {
    const { unweighed, isWeighed } = await of(type, quant);
    assertEquals([unweighed, isWeighed], [[], false]);
  }
});

Deno.test("quantizeFile() does not look at numbers of another shape where nothing is searched", async () => {
  const weights = normal(6, 256), other = { weights, columns: 64, counted: 63 };
  const { bytes } = await stored({ ...other, quant: "Q8_0" });
  assertEquals(bytes, encodeWeights("Q8_0", weights));
  await stored({ ...other, type: "Q4_0", quant: "E0M4" });
  await assertRejects(() => stored({ ...other, quant: "Q4_0" }), ModelFormatError, "of this model");
});
