import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import {
  encodeGguf,
  f32,
  type MetadataEntry,
  openGguf,
  parseGguf,
  TensorReader,
  text,
  u32,
} from "../../src/gguf/mod.ts";

interface Part {
  readonly index: number;
  readonly tensors: readonly string[];
  readonly metadata?: readonly MetadataEntry[];
  readonly count?: number;
  readonly total?: number;
  readonly magic?: "GGUF" | "PWRI";
}

/** A part whose tensors hold one F32 row of four: the bytes of their names' first letter. */
function part(spec: Part): Uint8Array<ArrayBuffer> {
  return encodeGguf({
    magic: spec.magic,
    metadata: [
      ["split.no", u32(spec.index)],
      ["split.count", u32(spec.count ?? 3)],
      ["split.tensors.count", u32(spec.total ?? 4)],
      ...spec.metadata ?? [],
    ],
    tensors: spec.tensors.map((name) => ({
      name,
      type: "F32",
      dims: [4],
      pieces: () => [new Uint8Array(16).fill(name.charCodeAt(0))],
    })),
  });
}

const HEAD: MetadataEntry = ["general.architecture", text("llama")];
const GOOD: readonly Part[] = [
  { index: 0, tensors: [], metadata: [HEAD, ["general.name", text("x")]] },
  { index: 1, tensors: ["a", "b"] },
  { index: 2, tensors: ["c", "d"], metadata: [["general.name", text("x")]] },
];

/** Writes parts under their names, runs, and removes them. */
function withParts(parts: readonly (Part | null)[], run: (first: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [index, each] of parts.entries()) {
      if (each) Deno.writeFileSync(`${folder}/m-0000${index + 1}-of-00003.gguf`, part(each));
    }
    run(`${folder}/m-00001-of-00003.gguf`);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The good parts with one replaced. */
function withOne(index: number, replacement: Part | null): (Part | null)[] {
  return GOOD.map((each, i) => i === index ? replacement : each);
}

function refuses(name: string, parts: readonly (Part | null)[], says: string): void {
  Deno.test(`openGguf() refuses ${name}`, () => {
    withParts(parts, (first) => assertThrows(() => openGguf(first), ModelFormatError, says));
  });
}

Deno.test("openGguf() finds the parts beside the first and merges them", () => {
  withParts(GOOD, (first) => {
    const file = openGguf(first);
    assertEquals(file.metadata.get("general.name"), "x");
    assertEquals([...file.tensors.keys()], ["a", "b", "c", "d"]);
    assertEquals([...file.tensors.values()].map((tensor) => tensor.part), [1, 1, 2, 2]);
    const paths = ["00001", "00002", "00003"].map((number) => first.replace("00001", number));
    assertEquals(file.parts.map(({ path }) => path), paths);
    using reader = TensorReader.open(file);
    assertEquals(reader.readAll(file.tensors.get("d")!), new Uint8Array(16).fill(100));
    assertEquals(reader.readAll(file.tensors.get("a")!), new Uint8Array(16).fill(97));
  });
});

// fault 22: a missing part, parts of two models, the wrong order.
refuses("a missing part", withOne(1, null), "there is no such file");
refuses(
  "a part of a model with another name",
  withOne(2, { ...GOOD[2], metadata: [["general.name", text("y")]] }),
  'its "general.name" differs',
);
refuses("a part of a model with more parts", withOne(1, { ...GOOD[1], count: 4 }), "split.count");
refuses("a part of a larger model", withOne(1, { ...GOOD[1], total: 5 }), "split.tensors.count");
refuses("a part with another magic", withOne(1, { ...GOOD[1], magic: "PWRI" }), "another format");
refuses(
  "parts in the wrong order",
  [GOOD[0], GOOD[2], GOOD[1]],
  "it is part 3 by its content and part 2 by its name",
);
refuses("a tensor in two parts", withOne(2, { index: 2, tensors: ["c", "a"] }), "in another part");
refuses("a part that lacks a tensor", withOne(2, { index: 2, tensors: ["c"] }), "hold 3 tensors");
refuses(
  "a first part that is not the first",
  withOne(0, { index: 1, tensors: [] }),
  "it is part 2 by its content",
);

Deno.test("openGguf() refuses a part that is no part", () => {
  withParts(GOOD, (first) => {
    Deno.writeFileSync(
      first.replace("-00001-", "-00002-"),
      encodeGguf({ metadata: [HEAD], tensors: [] }),
    );
    assertThrows(() => openGguf(first), ModelFormatError, "it is no part");
  });
});

Deno.test("openGguf() refuses a part without a number of parts, and one of another version", () => {
  withParts(GOOD, (first) => {
    const second = first.replace("-00001-", "-00002-");
    const metadata: MetadataEntry[] = [["split.no", u32(1)]];
    Deno.writeFileSync(second, encodeGguf({ metadata, tensors: [] }));
    assertThrows(() => openGguf(first), ModelFormatError, "no part of a split model");
    const bytes = part(GOOD[1]);
    bytes[4] = 2;
    Deno.writeFileSync(second, bytes);
    assertThrows(() => openGguf(first), ModelFormatError, "another format");
  });
});

Deno.test("openGguf() names the first part when it is given another", () => {
  withParts(GOOD, (first) => {
    const second = first.replace("-00001-", "-00002-");
    assertThrows(() => openGguf(second), ModelFormatError, `open the first part, "${first}"`);
  });
});

Deno.test("openGguf() refuses a part under a name without its number", () => {
  withParts(GOOD, (first) => {
    const renamed = first.replace("-00001-of-00003", "");
    Deno.renameSync(first, renamed);
    assertThrows(() => openGguf(renamed), ModelFormatError, "does not end in -00001-of-00003.gguf");
  });
});

Deno.test("openGguf() refuses a name that promises another number of parts", () => {
  withParts(GOOD, (first) => {
    const renamed = first.replace("of-00003", "of-00002");
    Deno.renameSync(first, renamed);
    assertThrows(() => openGguf(renamed), ModelFormatError, "its name says 2");
  });
});

Deno.test("parseGguf() refuses a part alone and takes split.count of 0 and 1 as whole", () => {
  assertThrows(() => parseGguf(part(GOOD[0])), ModelFormatError, "one part of a split model");
  for (const count of [0, 1]) {
    assertEquals(parseGguf(part({ index: 0, tensors: ["a"], count })).tensors.size, 1);
  }
});

Deno.test("parseGguf() refuses a split.count that is no number of parts", () => {
  const wrong = [text("3"), u32(100_000), f32(2.5), { type: "i32", value: -1 } as const];
  for (const count of wrong) {
    const bytes = encodeGguf({ metadata: [["split.count", count]], tensors: [] });
    assertThrows(() => parseGguf(bytes), ModelFormatError, "is no number of parts");
  }
});
