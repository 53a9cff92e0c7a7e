import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  encodeGguf,
  type GgufSpec,
  list,
  openGguf,
  packStrings,
  parseGguf,
  storedMetadata,
  type StoredValue,
  TensorReader,
  u32,
  writeGguf,
} from "../../src/gguf/mod.ts";

async function withFolder(run: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await run(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** One tensor of 100 bytes in pieces of 30. */
function spec(pieces: () => Iterable<Uint8Array> = piecesOf100): GgufSpec {
  return {
    metadata: [["general.alignment", u32(64)], ["k", u32(7)]],
    tensors: [{ name: "t", type: "I8", dims: [100], pieces }],
  };
}

function* piecesOf100(): Iterable<Uint8Array> {
  // The buffer is used again, as a producer of gigabytes would.
  const piece = new Uint8Array(30);
  for (let begin = 0; begin < 100; begin += 30) {
    piece.forEach((_, index) => piece[index] = begin + index);
    yield piece.subarray(0, Math.min(30, 100 - begin));
  }
}

Deno.test("writeGguf() writes pieces in order, aligned, and leaves one file", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/m.gguf`;
    const progress: number[] = [];
    const onProgress = (done: number, total: number) => progress.push(done, total);
    const sizeBytes = await writeGguf(path, spec(), { onProgress });
    const file = openGguf(path);
    const tensor = file.tensors.get("t")!;
    assertEquals(tensor.offsetBytes % 64, 0);
    using reader = TensorReader.open(file);
    assertEquals(reader.readAll(tensor), Uint8Array.from({ length: 100 }, (_, i) => i));
    assertEquals(file.parts[0].sizeBytes, sizeBytes);
    assertEquals(progress.slice(-2), [sizeBytes, sizeBytes]);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["m.gguf"]);
    assertEquals(encodeGguf(spec()), Deno.readFileSync(path));
  });
});

Deno.test("writeGguf() keeps the old file and no temporary one when a producer fails", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/m.gguf`;
    Deno.writeTextFileSync(path, "old");
    const failing = spec(function* () {
      yield new Uint8Array(30);
      throw new Error("producer");
    });
    await assertRejects(() => writeGguf(path, failing), Error, "producer");
    assertEquals(Deno.readTextFileSync(path), "old");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  });
});

Deno.test("writeGguf() says in words what the system refuses", async () => {
  await withFolder(async (folder) => {
    const into = (path: string) => () => writeGguf(path, spec());
    await assertRejects(into(`${folder}/no/m.gguf`), Error, "Cannot write");
    await assertRejects(into(`${folder}/no/m.gguf`), Error, "there is no such folder");
    Deno.writeTextFileSync(`${folder}/file`, "");
    await assertRejects(into(`${folder}/file/m.gguf`), Error, "a part of the path is not a folder");
    await assertRejects(into(`${folder}/${"m".repeat(300)}`), Error, "the name is too long");
  });
});

Deno.test("writeGguf() leaves nothing behind when it cannot rename", async () => {
  await withFolder(async (folder) => {
    Deno.mkdirSync(`${folder}/taken`);
    await assertRejects(() => writeGguf(`${folder}/taken`, spec()));
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["taken"]);
  });
});

/** Pieces that take 10 ms each to make, for ever. */
function* slowPieces(): Iterable<Uint8Array> {
  while (true) {
    const endMs = performance.now() + 10;
    while (performance.now() < endMs);
    yield new Uint8Array(1);
  }
}

Deno.test("writeGguf() ends when its signal is aborted, and leaves nothing behind", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/m.gguf`;
    Deno.writeTextFileSync(path, "old");
    const endless = spec(slowPieces);
    const wide = { ...endless, tensors: [{ ...endless.tensors[0], dims: [1_000_000] }] };
    const controller = new AbortController();
    // Only comes to its turn if the writer lets others work.
    setTimeout(() => controller.abort(new Error("enough")), 20);
    const { signal } = controller;
    await assertRejects(() => writeGguf(path, wide, { signal }), Error, "enough");
    assertEquals(Deno.readTextFileSync(path), "old");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
    const gone = AbortSignal.abort(new Error("gone"));
    await assertRejects(() => writeGguf(path, spec(), { signal: gone }), Error, "gone");
    assertEquals(Deno.readTextFileSync(path), "old");
  });
});

Deno.test("writeGguf() refuses too little, too much and unknown data as bugs", async () => {
  await withFolder(async (folder) => {
    for (const length of [0, 99, 101, 200]) {
      const wrong = spec(() => [new Uint8Array(length)]);
      const state = `was given ${length} of 100 bytes`;
      await assertRejects(() => writeGguf(`${folder}/m.gguf`, wrong), Error, state);
    }
    assertEquals([...Deno.readDirSync(folder)].length, 0);
  });
  const unknown = { name: "t", type: "Q9", dims: [32], pieces: () => [] };
  assertThrows(() => encodeGguf({ metadata: [], tensors: [unknown] }), Error, "Q9");
});

Deno.test("encodeGguf() and parseGguf() give back values of all types", () => {
  const scalars: [string, StoredValue][] = [
    ["u8", { type: "u8", value: 255 }],
    ["i8", { type: "i8", value: -128 }],
    ["u16", { type: "u16", value: 65535 }],
    ["i16", { type: "i16", value: -32768 }],
    ["u32", { type: "u32", value: 2 ** 32 - 1 }],
    ["i32", { type: "i32", value: -(2 ** 31) }],
    ["f32", { type: "f32", value: 0.5 }],
    ["bool", { type: "bool", value: true }],
    ["string", { type: "string", value: "▁" }],
    ["u64", { type: "u64", value: 2n ** 64n - 1n }],
    ["i64", { type: "i64", value: -(2n ** 63n) }],
    ["f64", { type: "f64", value: Math.PI }],
  ];
  const arrays = [
    new Uint8Array([1, 255]),
    new Int8Array([-1]),
    new Uint16Array([65535]),
    new Int16Array([-2]),
    new Uint32Array([2 ** 32 - 1]),
    new Int32Array([-3]),
    new Float32Array([0.5, NaN]),
    new Float64Array([Math.E]),
    new BigUint64Array([2n ** 64n - 1n]),
    new BigInt64Array([-1n]),
    [true, false],
    [new Uint8Array([1]), [new Int16Array([2])]],
  ];
  const metadata = [
    ...scalars,
    ...arrays.map((array, index) => [`array ${index}`, list(array)] as const),
    ["strings", list(["a", "€"])] as const,
    ["packed", list(packStrings(["b"]))] as const,
  ];
  const file = parseGguf(encodeGguf({ metadata, tensors: [] }));
  for (const [key, { type, value }] of scalars) {
    assertEquals(file.metadata.get(key), value, key);
    assertEquals(file.metadataTypes.get(key), type, key);
  }
  arrays.forEach((array, index) => assertEquals(file.metadata.get(`array ${index}`), array));
  const again = encodeGguf({ metadata: storedMetadata(file), tensors: [] });
  assertEquals(again, encodeGguf({ metadata, tensors: [] }));
});

Deno.test("encodeGguf() grows its header past any first guess", () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `piece ${i}`);
  const file = parseGguf(encodeGguf({ metadata: [["k", list(texts)]], tensors: [] }));
  const packed = file.metadata.get("k");
  assertEquals(packed !== undefined && [...packed as Iterable<string>], texts);
});
