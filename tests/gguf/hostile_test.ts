/** Headers that lie, one case a guard: each must be refused for its own reason, at once. */
import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { ModelFormatError } from "../../src/base/errors.ts";
import { parseGguf } from "../../src/gguf/mod.ts";
import { array, entry, rawGguf, string, tensor, TYPE, u32, u64 } from "./raw_gguf.ts";

interface Hostile {
  /** Continues "parseGguf() refuses …". */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** A part of the message that only the right guard writes. */
  readonly says: string;
  /** Where the fault is; left out where it is plain. */
  readonly atByte?: number;
}

const HUGE = 2n ** 62n;
/** Where the first metadata entry begins. */
const ENTRIES_AT = 24;

// fault 1: empty; fault 2: only magic; fault 3: wrong magic, big-endian; fault 4: version 0, 1, 4.
const FILES: Hostile[] = [
  { name: "an empty file", bytes: new Uint8Array(0), says: "empty", atByte: 0 },
  { name: "one byte", bytes: new Uint8Array([71]), says: "the magic bytes" },
  {
    name: "a file that ends after the magic",
    bytes: ascii("GGUF"),
    says: "the version",
    atByte: 4,
  },
  { name: "a wrong magic", bytes: rawGguf({ magic: "GGUX" }), says: "begin with the bytes GGUF" },
  { name: "a GGML file", bytes: rawGguf({ magic: "lmgg" }), says: "before GGUF" },
  { name: "a Git LFS pointer", bytes: ascii("version https://git"), says: "git lfs pull" },
  { name: "a big-endian file", bytes: rawGguf({ version: 0x03000000 }), says: "big-endian" },
  { name: "a reversed magic", bytes: rawGguf({ magic: "FUGG" }), says: "big-endian" },
  { name: "version 0", bytes: rawGguf({ version: 0 }), says: "GGUF version 0", atByte: 4 },
  { name: "version 1", bytes: rawGguf({ version: 1 }), says: "GGUF version 1", atByte: 4 },
  { name: "version 4", bytes: rawGguf({ version: 4 }), says: "GGUF version 4", atByte: 4 },
];

// fault 5: counts of 2^62, and those that the file has no room for.
const COUNTS: Hostile[] = [
  {
    name: "2^62 tensors",
    bytes: rawGguf({ tensorCount: HUGE }),
    says: "beyond any file",
    atByte: 8,
  },
  {
    name: "2^62 metadata entries",
    bytes: rawGguf({ entryCount: HUGE }),
    says: "beyond any file",
    atByte: 16,
  },
  {
    name: "more tensors than the file can hold",
    bytes: rawGguf({ tensorCount: 1_000_000_000 }),
    says: "1000000000 tensors are claimed",
  },
  {
    name: "one tensor more than the bytes can hold",
    bytes: concatBytes([rawGguf({ tensorCount: 2 }), new Uint8Array(65)]),
    says: "2 tensors are claimed",
  },
  {
    name: "more tensors than any model has",
    bytes: concatBytes([rawGguf({ tensorCount: 131_073 }), new Uint8Array(131_073 * 33)]),
    says: "131073 tensors are claimed",
  },
  {
    name: "more metadata entries than the file can hold",
    bytes: concatBytes([rawGguf({ entryCount: 2 }), new Uint8Array(27)]),
    says: "2 entries are claimed",
  },
  {
    name: "more metadata entries than any model has",
    bytes: concatBytes([rawGguf({ entryCount: 65_537 }), new Uint8Array(65_537 * 14)]),
    says: "65537 entries are claimed",
  },
];

// fault 6: key, string and array lengths beyond the file; fault 7: nested arrays;
// fault 8: unknown value types; fault 9: a key twice, an empty key.
const METADATA: Hostile[] = [
  hostileEntry("a key of 2^62 bytes", [u64(HUGE), new Uint8Array(90)], "beyond any file"),
  hostileEntry("a key longer than what remains", [u64(500), new Uint8Array(90)], "500 more bytes"),
  {
    name: "a key of 65,536 bytes",
    bytes: rawGguf({ entries: [entry("k".repeat(65_536), TYPE.u8, ascii("x"))] }),
    says: "at most 65535 are allowed",
  },
  hostileEntry("an empty key", [entry("", TYPE.u32, u32(1))], "it is empty"),
  hostileEntry(
    "a key that is not UTF-8",
    [concatBytes([string(new Uint8Array([255, 254])), u32(TYPE.u32), u32(1)])],
    "not valid UTF-8",
  ),
  {
    name: "a key that is there twice",
    bytes: rawGguf({ entries: [entry("k", TYPE.u32, u32(1)), entry("k", TYPE.u32, u32(1))] }),
    says: 'metadata "k": it is there twice',
    atByte: ENTRIES_AT + 8 + 1 + 4 + 4,
  },
  hostileValue("an unknown value type", 13, [u32(0)], "no value type 13"),
  hostileValue("a string longer than the file", TYPE.string, [u64(HUGE)], "beyond any file"),
  hostileValue("a string that ends too late", TYPE.string, [string("abc", 4)], "4 more bytes"),
  hostileValue("a boolean of 2", TYPE.bool, [new Uint8Array([2])], "0 or 1, not 2"),
  hostileValue("an array of 2^63 numbers", TYPE.array, [array(TYPE.u8, 2n ** 63n)], "beyond any"),
  hostileValue(
    "an array of 2^40 strings",
    TYPE.array,
    [array(TYPE.string, 2 ** 40)],
    `needs ${2 ** 43} more bytes`,
  ),
  hostileValue(
    "an array that is one byte short",
    TYPE.array,
    [array(TYPE.u32, 2, new Uint8Array(7))],
    "needs 8 more bytes, the file has 7",
  ),
  hostileValue(
    "an array of more elements than a model can use",
    TYPE.array,
    [array(TYPE.u8, 8_388_609, new Uint8Array(8_388_609))],
    "8388609 elements are more",
  ),
  hostileValue(
    "a string of an array that ends too late",
    TYPE.array,
    [array(TYPE.string, 2, string("abc"), string("", 1))],
    "needs 1 more bytes",
  ),
  hostileValue("an array of an unknown type", TYPE.array, [array(99, 0)], "no value type 99"),
  hostileValue("arrays nested five deep", TYPE.array, [nested(5)], "nested more than 4 deep"),
  hostileValue("arrays nested 100,000 deep", TYPE.array, [nested(100_000)], "nested more than 4"),
  hostileValue(
    "a million arrays in an array",
    TYPE.array,
    [array(TYPE.array, 1_000_000, new Uint8Array(12_000_000))],
    "1000000 elements are more",
  ),
];

// fault 15: alignment 0, 3, 2^31, of a wrong type.
const ALIGNMENTS: Hostile[] = [
  ...[0, 3, 33, 2 ** 21, 2 ** 31].map((value) =>
    hostileEntry(
      `an alignment of ${value}`,
      [entry("general.alignment", TYPE.u32, u32(value))],
      `${value} is not a power of two`,
    )
  ),
  hostileEntry(
    "an alignment that is a u64",
    [entry("general.alignment", TYPE.u64, u64(32))],
    "stored as u64, not as u32",
  ),
  hostileEntry(
    "an alignment that is a string",
    [entry("general.alignment", TYPE.string, string("32"))],
    "stored as string, not as u32",
  ),
];

// fault 10: a name twice, a name too long; fault 11: dimensions 0, more than 4, products past 2^53
// and 2^64; fault 12: sizes that wrap; fault 13: padding that wraps; fault 14: offsets unaligned,
// overlapping, behind the end; fault 16: rows that end within a block; fault 17: unknown types.
const TENSORS: Hostile[] = [
  hostileTensors("a tensor without a name", [{ name: "" }], "the name of tensor 0: it is empty"),
  hostileTensors("a name of 65 bytes", [{ name: "n".repeat(65) }], "at most 64 are allowed"),
  hostileTensors("two tensors of one name", [{}, { offset: 32 }], "it is there twice"),
  hostileTensors("no dimensions", [{ dims: [] }], "it has 0 dimensions"),
  hostileTensors("five dimensions", [{ dims: [1, 1, 1, 1, 1] }], "it has 5 dimensions"),
  hostileTensors("2^31 dimensions", [{ dimensionCount: 2 ** 31 }], "it has 2147483648 dimensions"),
  hostileTensors("a dimension of 0", [{ dims: [8, 0] }], "dimension 1 is 0"),
  hostileTensors("a dimension of 2^63", [{ dims: [2n ** 63n] }], "beyond any file"),
  hostileTensors("a size past 2^53", [{ dims: [2 ** 27, 2 ** 27] }], "more data than any file"),
  hostileTensors(
    "a size that wraps to 0 at 2^64",
    [{ dims: [2 ** 32, 2 ** 32] }],
    "more data than any file",
  ),
  hostileTensors(
    "a size whose bytes wrap at 2^64 while its elements do not",
    [{ dims: [2 ** 31, 2 ** 31] }],
    "more data than any file",
  ),
  hostileTensors("an unknown tensor type", [{ type: 43 }], "no tensor type 43"),
  hostileTensors("a withdrawn tensor type", [{ type: 31 }], "no tensor type 31"),
  hostileTensors(
    "a row that ends within a block",
    [{ dims: [48], type: 2 }],
    "its rows have 48 elements, blocks of Q4_0 32",
  ),
  hostileTensors("an offset that is not aligned", [{ offset: 16 }], "no multiple of 32"),
  hostileTensors("an offset behind the end", [{ offset: 96 }], "it ends at byte"),
  hostileTensors("an offset of 2^64 - 32", [{ offset: 2n ** 64n - 32n }], "beyond any file"),
  hostileTensors("an offset near 2^53", [{ offset: 2 ** 53 - 32 }], "it ends at byte"),
  hostileTensors(
    "a size that padding takes past 2^53",
    [{ dims: [2 ** 51 - 1] }],
    "it ends at byte",
  ),
  hostileTensors(
    "an offset and a size that padding takes past 2^53",
    [{ name: "b", dims: [2 ** 51 - 1], offset: 2 ** 53 - 32 }],
    "it ends at byte",
  ),
  {
    name: "a file that ends within the padding before its data",
    bytes: rawGguf({
      entries: [entry("general.alignment", TYPE.u32, u32(2 ** 20))],
      tensors: [tensor({})],
      dataBytes: 64,
    }),
    says: "it ends at byte",
  },
  hostileTensors("data that ends behind the end", [{ dims: [17] }], "it ends at byte"),
  hostileTensors(
    "tensors that overlap",
    [{ name: "b", dims: [16] }, { name: "c", offset: 32 }],
    '"c": its data overlaps that of "b"',
  ),
  hostileTensors(
    "tensors that overlap in reverse order",
    [{ name: "c", offset: 32 }, { name: "b", dims: [9] }],
    '"c": its data overlaps that of "b"',
  ),
  {
    name: "a header without its tensors' data",
    bytes: rawGguf({ tensors: [tensor({})] }),
    says: "it ends at byte",
  },
];

for (const { name, bytes, says, atByte } of [FILES, COUNTS, METADATA, ALIGNMENTS, TENSORS].flat()) {
  Deno.test(`parseGguf() refuses ${name}`, () => {
    const begin = performance.now();
    const error = assertThrows(() => parseGguf(bytes), ModelFormatError, says);
    assertLess(performance.now() - begin, 500, "milliseconds");
    assert(error.offsetBytes <= bytes.length, `byte ${error.offsetBytes} is in the file`);
    if (atByte !== undefined) assertEquals(error.offsetBytes, atByte);
  });
}

Deno.test("parseGguf() keeps memory flat over all refusals", () => {
  const all = [FILES, COUNTS, METADATA, ALIGNMENTS, TENSORS].flat();
  const before = Deno.memoryUsage().rss;
  for (let round = 0; round < 20; round++) {
    for (const { bytes } of all) assertThrows(() => parseGguf(bytes), ModelFormatError);
  }
  assertLess(Deno.memoryUsage().rss - before, 100 * 2 ** 20, "bytes");
});

/** A file with one metadata entry, given as raw bytes. */
function hostileEntry(name: string, raw: Uint8Array[], says: string): Hostile {
  return { name, bytes: rawGguf({ entries: [concatBytes(raw)] }), says };
}

/** A file with one entry "k" of a type and a raw value. */
function hostileValue(name: string, type: number, raw: Uint8Array[], says: string): Hostile {
  return { name, bytes: rawGguf({ entries: [entry("k", type, ...raw)] }), says };
}

/** A file with tensor entries and 64 bytes of data. */
function hostileTensors(
  name: string,
  tensors: readonly Parameters<typeof tensor>[0][],
  says: string,
): Hostile {
  return { name, bytes: rawGguf({ tensors: tensors.map(tensor), dataBytes: 64 }), says };
}

/** The value of an array entry with `depth` arrays within each other. */
function nested(depth: number): Uint8Array {
  return concatBytes([
    ...Array.from({ length: depth - 1 }, () => array(TYPE.array, 1)),
    array(TYPE.u8, 0),
  ]);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
