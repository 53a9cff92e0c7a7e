import { assert, assertEquals, assertLess } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import {
  encodeGguf,
  getStrings,
  type GgufValue,
  openGguf,
  parseGguf,
  storedMetadata,
  TensorReader,
} from "../../src/gguf/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { array, entry, rawGguf, string, tensor, TYPE, u32, u64 } from "./raw_gguf.ts";

/** A value of every type: type number, bytes, and what it reads as. */
const SCALARS: [name: string, type: number, bytes: Uint8Array, value: GgufValue][] = [
  ["u8", TYPE.u8, new Uint8Array([255]), 255],
  ["i8", TYPE.i8, new Uint8Array([255]), -1],
  ["u16", TYPE.u16, new Uint8Array([254, 255]), 65534],
  ["i16", TYPE.i16, new Uint8Array([254, 255]), -2],
  ["u32", TYPE.u32, u32(0xfffffffd), 0xfffffffd],
  ["i32", TYPE.i32, u32(0xfffffffd), -3],
  ["f32", TYPE.f32, u32(0x3fc00000), 1.5],
  ["bool", TYPE.bool, new Uint8Array([1]), true],
  ["string", TYPE.string, string("ä€"), "ä€"],
  ["u64", TYPE.u64, u64(2 ** 53 - 1), 2 ** 53 - 1],
  ["i64", TYPE.i64, u64(2n ** 64n - 5n), -5],
  ["f64", TYPE.f64, u64(0x3ff8000000000000n), 1.5],
];

Deno.test("parseGguf() reads a scalar of every type", () => {
  const entries = SCALARS.map(([name, type, bytes]) => entry(name, type, bytes));
  const { metadata, metadataTypes } = parseGguf(rawGguf({ entries }));
  assertEquals([...metadata], SCALARS.map(([name, , , value]) => [name, value]));
  assertEquals([...metadataTypes], SCALARS.map(([name]) => [name, name]));
});

Deno.test("parseGguf() reads 64-bit integers beyond 53 bits as bigint", () => {
  const entries = [
    entry("u", TYPE.u64, u64(2n ** 64n - 1n)),
    entry("i", TYPE.i64, u64(2n ** 63n)),
    entry("exact", TYPE.u64, u64(2n ** 53n)),
  ];
  const { metadata } = parseGguf(rawGguf({ entries }));
  assertEquals(metadata.get("u"), 2n ** 64n - 1n);
  assertEquals(metadata.get("i"), -(2n ** 63n));
  assertEquals(metadata.get("exact"), 2n ** 53n);
});

Deno.test("parseGguf() reads arrays of every type", () => {
  const numbers = SCALARS.filter(([name]) => name !== "string" && name !== "bool");
  const entries = [
    ...numbers.map(([name, type, bytes]) => entry(name, TYPE.array, array(type, 2, bytes, bytes))),
    entry("bools", TYPE.array, array(TYPE.bool, 3, new Uint8Array([1, 0, 1]))),
    entry("strings", TYPE.array, array(TYPE.string, 3, string("a"), string(""), string("€"))),
    entry("none", TYPE.array, array(TYPE.f32, 0)),
  ];
  const { metadata, metadataTypes } = parseGguf(rawGguf({ entries }));
  for (const [name, , , value] of numbers) {
    const numbers = metadata.get(name);
    assert(ArrayBuffer.isView(numbers) && !(numbers instanceof DataView), name);
    assertEquals(Array.from(numbers as ArrayLike<number | bigint>, Number), [value, value], name);
    assertEquals(metadataTypes.get(name), "array");
  }
  assertEquals(metadata.get("bools"), [true, false, true]);
  assertEquals([...getStrings(metadata, "strings")], ["a", "", "€"]);
  assertEquals(metadata.get("none"), new Float32Array(0));
});

Deno.test("parseGguf() reads arrays of arrays four deep", () => {
  const inner = array(TYPE.u8, 2, new Uint8Array([7, 8]));
  const value = array(TYPE.array, 1, array(TYPE.array, 1, array(TYPE.array, 2, inner, inner)));
  const { metadata } = parseGguf(rawGguf({ entries: [entry("k", TYPE.array, value)] }));
  const pair = new Uint8Array([7, 8]);
  assertEquals(metadata.get("k"), [[[pair, pair]]]);
});

Deno.test("parseGguf() reads a string that is longer than its window", () => {
  const text = "long ".repeat(200_000);
  const entries = [
    entry("before", TYPE.u8, new Uint8Array([1])),
    entry("k", TYPE.string, string(text)),
  ];
  const { metadata } = parseGguf(rawGguf({ entries: [...entries, entry("z", TYPE.u32, u32(9))] }));
  assertEquals(metadata.get("k"), text);
  assertEquals(metadata.get("z"), 9);
});

Deno.test("parseGguf() replaces invalid UTF-8 in values and keeps the bytes", () => {
  const broken = new Uint8Array([0x61, 0xff]);
  const entries = [
    entry("text", TYPE.string, string(broken)),
    entry("tokens", TYPE.array, array(TYPE.string, 1, string(broken))),
  ];
  const { metadata } = parseGguf(rawGguf({ entries }));
  assertEquals(metadata.get("text"), "a\ufffd");
  const tokens = getStrings(metadata, "tokens");
  assertEquals(tokens.at(0), "a\ufffd");
  assertEquals([...tokens.bytesAt(0)], [0x61, 0xff]);
});

Deno.test("parseGguf() reads versions 2 and 3, and PowerInfer's magic", () => {
  assertEquals(parseGguf(rawGguf({ version: 2 })).version, 2);
  assertEquals(parseGguf(rawGguf({ version: 3 })).magic, "GGUF");
  assertEquals(parseGguf(rawGguf({ magic: "PWRI" })).magic, "PWRI");
});

Deno.test("parseGguf() places tensors after the header, in any order, with gaps", () => {
  const tensors = [
    tensor({ name: "second", dims: [64, 3], type: 2, offset: 64 }),
    tensor({ name: "first", dims: [2, 3, 1, 2] }),
  ];
  const bytes = rawGguf({ tensors, dataBytes: 64 + 2 * 18 * 3 });
  const data = bytes.length - 64 - 2 * 18 * 3;
  const file = parseGguf(bytes);
  assertEquals([...file.tensors.values()], [
    {
      name: "second",
      type: "Q4_0",
      dims: [64, 3],
      part: 0,
      offsetBytes: data + 64,
      sizeBytes: 108,
    },
    { name: "first", type: "F32", dims: [2, 3, 1, 2], part: 0, offsetBytes: data, sizeBytes: 48 },
  ]);
  assertEquals(file.parts, [{ path: "", sizeBytes: bytes.length }]);
});

Deno.test("parseGguf() obeys general.alignment", () => {
  for (const alignment of [1, 8, 64, 4096]) {
    const bytes = rawGguf({
      entries: [entry("general.alignment", TYPE.u32, u32(alignment))],
      tensors: [tensor({})],
      dataBytes: 32,
      alignment,
    });
    const { offsetBytes } = parseGguf(bytes).tensors.get("a")!;
    assertEquals(offsetBytes, bytes.length - 32);
    assertEquals(offsetBytes % alignment, 0);
  }
});

Deno.test("openGguf() reads a header of 150,000 tokens and 150,000 merges in under 300 ms", () => {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    Deno.writeFileSync(path, largeVocabulary(150_000));
    const before = Deno.memoryUsage().rss;
    const file = openGguf(path);
    assertLess(Deno.memoryUsage().rss - before, 64 * 2 ** 20, "bytes");
    // What else the machine does can only add to the least of some.
    const times = Array.from({ length: 3 }, () => {
      const begin = performance.now();
      openGguf(path);
      return performance.now() - begin;
    });
    assertLess(Math.min(...times), 300, "milliseconds");
    assertEquals(getStrings(file.metadata, "tokenizer.ggml.tokens").at(149_999), "token 149999");
  } finally {
    Deno.removeSync(path);
  }
});

sharedTest(
  "models",
  "openGguf() and encodeGguf() give every shared file back, byte for byte",
  () => {
    for (const path of sharedModels()) {
      const file = openGguf(path);
      using reader = TensorReader.open(file);
      const tensors = [...file.tensors.values()]
        .map((each) => ({ ...each, pieces: () => [reader.readAll(each)] }));
      const magic = file.magic === "PWRI" ? "PWRI" : "GGUF";
      const copy = encodeGguf({ magic, metadata: storedMetadata(file), tensors });
      assertSameBytes(copy, Deno.readFileSync(path), path);
    }
  },
);

Deno.test("parseGguf() reads a tiny model", () => {
  const file = parseGguf(tinyModel());
  assertEquals(file.metadata.get("general.architecture"), "llama");
  assertEquals(file.tensors.get("token_embd.weight")?.dims, [64, 512]);
});

function sharedModels(): string[] {
  const list = (folder: string) =>
    [...Deno.readDirSync(sharedPath(folder))].map((each) => sharedPath(`${folder}/${each.name}`));
  const golden = list("golden").map((path) => `${path}/model.gguf`)
    .filter((path) => !path.includes("README") && !path.includes(".py/"));
  return [...list("models"), ...list("tokenizers"), ...golden].filter((path) =>
    path.endsWith(".gguf")
  );
}

/** As assertEquals, but quick for megabytes. */
function assertSameBytes(actual: Uint8Array, expected: Uint8Array, path: string): void {
  assertEquals(actual.length, expected.length, path);
  const difference = actual.findIndex((byte, index) => byte !== expected[index]);
  assertEquals(difference, -1, `${path} differs at byte ${difference}`);
}

function largeVocabulary(count: number): Uint8Array<ArrayBuffer> {
  const tokens = Array.from({ length: count }, (_, id) => string(`token ${id}`));
  const merges = Array.from({ length: count }, (_, id) => string(`left${id} right${id}`));
  return rawGguf({
    entries: [
      entry("tokenizer.ggml.tokens", TYPE.array, array(TYPE.string, count, concatBytes(tokens))),
      entry("tokenizer.ggml.scores", TYPE.array, array(TYPE.f32, count, new Uint8Array(4 * count))),
      entry("tokenizer.ggml.merges", TYPE.array, array(TYPE.string, count, concatBytes(merges))),
    ],
  });
}
