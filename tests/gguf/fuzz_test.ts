/** Damaged headers by the thousand: refused in a few words, or read, in no time and little room. */
import { assert, assertLess } from "@std/assert";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ModelFormatError, RequestError, UnsupportedModelError } from "../../src/base/errors.ts";
import { createChatTemplate } from "../../src/chat/mod.ts";
import type { ByteSource } from "../../src/gguf/byte_source.ts";
import { readHeader } from "../../src/gguf/header.ts";
import { type GgufFile, parseGguf } from "../../src/gguf/mod.ts";
import { mergeParts, splitCount } from "../../src/gguf/split.ts";
import { describeModel } from "../../src/model/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { assertRefusal, corpus, damage, damages, fuzzRuns, timed } from "../support/fuzz.ts";
import { TINY_MODELS, tinyModel, type TinyModelName } from "../support/tiny_model.ts";

/** A text for a model without vocabulary is the client's mistake. */
const REFUSALS = [ModelFormatError, UnsupportedModelError, RequestError];
const FAMILIES = Object.keys(TINY_MODELS) as TinyModelName[];

/** A header and how long its file is: what follows are zeros. */
interface Header {
  readonly bytes: Uint8Array;
  readonly fileBytes: number;
}

Deno.test("parseGguf() refuses or reads what was found before (tests/corpus/gguf)", () => {
  for (const { name, bytes } of corpus("gguf")) {
    useAll({ bytes, fileBytes: bytes.length }, name);
    // And as the beginning of a file that is large enough for anything.
    useAll({ bytes, fileBytes: 2 ** 40 }, `${name}, of a large file`);
  }
});

Deno.test("a header with any damage is refused in a few words, or all of it can be read", () => {
  const seeds = FAMILIES.map((architecture) =>
    headerOf(tinyModel({ architecture, blockCount: 1 }))
  );
  const before = Deno.memoryUsage().rss;
  const focus = 2500;
  fc.assert(
    fc.property(fc.nat(seeds.length - 1), damages(focus), (seed, pieces) => {
      const { bytes, fileBytes } = seeds[seed];
      useAll({ bytes: damage(bytes, pieces, bytes.length), fileBytes }, FAMILIES[seed]);
    }),
    fuzzRuns(1500),
  );
  assertLess(Deno.memoryUsage().rss - before, 300 * 2 ** 20, "bytes");
});

Deno.test("the header of a real model with any damage is refused, or read", () => {
  const path = fileURLToPath(new URL("../../builtin/model.gguf", import.meta.url));
  const seed = headerOf(readFileSync(path));
  fc.assert(
    fc.property(damages(3000), (pieces) => {
      const bytes = damage(seed.bytes, pieces, 3000);
      parse({ bytes, fileBytes: seed.fileBytes }, "built-in");
    }),
    fuzzRuns(300),
  );
});

Deno.test("parts of two headers, put together, are refused, or read", () => {
  const seeds = FAMILIES.slice(0, 8).map((architecture) =>
    tinyModel({ architecture, blockCount: 1 })
  );
  const pick = fc.nat(seeds.length - 1);
  fc.assert(
    fc.property(pick, pick, fc.nat(6000), fc.nat(6000), (one, other, end, begin) => {
      const bytes = new Uint8Array([
        ...seeds[one].subarray(0, end),
        ...seeds[other].subarray(begin, begin + 12_000),
      ]);
      useAll({ bytes, fileBytes: 2 ** 22 }, `${one} ${end} ${other} ${begin}`);
    }),
    fuzzRuns(300),
  );
});

/** The header alone: tensors' data does not matter here. */
function headerOf(file: Uint8Array): Header {
  const offsets = [...parseGguf(file).tensors.values()].map(({ offsetBytes }) => offsetBytes);
  return { bytes: file.slice(0, Math.min(...offsets)), fileBytes: file.length };
}

/** Reads a header, then makes all of it that loading makes before it reads weights. */
function useAll(header: Header, hint: string): void {
  const file = parse(header, hint);
  if (file === null) return;
  const use = (what: () => unknown) => {
    try {
      timed(what, hint);
    } catch (error) {
      assertRefusal(error, REFUSALS, hint);
    }
  };
  use(() => describeModel(file));
  use(() => createTokenizer(file.metadata).encode("Once upon a time</s>", { special: true }));
  const template = file.metadata.get("tokenizer.chat_template");
  if (typeof template !== "string") return;
  timed(() => createChatTemplate({ template, bosText: "", eosText: "", specialTexts: [] }), hint);
}

/** What the header says; null where it is refused as it should be. */
function parse({ bytes, fileBytes }: Header, hint: string): GgufFile | null {
  const source = zeroExtended(bytes, Math.max(bytes.length, fileBytes));
  try {
    return timed(() => {
      const part = { header: readHeader(source, 0), path: "", sizeBytes: source.sizeBytes };
      if (splitCount(part) !== 1) return null;
      const file = mergeParts([part]);
      assertTensorsLie(file);
      return file;
    }, hint);
  } catch (error) {
    assertRefusal(error, [ModelFormatError], hint);
    assert((error as ModelFormatError).offsetBytes <= source.sizeBytes, hint);
    return null;
  }
}

/** Every tensor's data is in the file, and no other's. */
function assertTensorsLie({ tensors, parts }: GgufFile): void {
  const sorted = [...tensors.values()].sort((a, b) => a.offsetBytes - b.offsetBytes);
  let end = 0;
  for (const { name, offsetBytes, sizeBytes } of sorted) {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, `${name} has ${sizeBytes} bytes`);
    assert(offsetBytes >= end, `${name} begins at ${offsetBytes}, within another`);
    end = offsetBytes + sizeBytes;
  }
  assert(end <= parts[0].sizeBytes, `the last tensor ends at ${end}`);
}

function zeroExtended(bytes: Uint8Array, sizeBytes: number): ByteSource {
  return {
    path: "",
    sizeBytes,
    read(offsetBytes, into) {
      assert(offsetBytes >= 0 && offsetBytes + into.length <= sizeBytes, "reads within the file");
      into.fill(0);
      into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
    },
    requireUnchanged() {},
    close() {},
  };
}
