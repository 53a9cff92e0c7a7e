/** Damaged packed files whose sums are right all the same: refused in a few words, or sane. */
import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { crc32 } from "node:zlib";
import { ModelFormatError, UnsupportedModelError } from "../../src/base/errors.ts";
import { openPacked } from "../../src/bundle/mod.ts";
import { FILE_PAGE_BYTES } from "../../src/bundle/format.ts";
import { type Packed, withPacked } from "../pack/packed_model.ts";
import {
  assertRefusal,
  corpus,
  type Damage,
  damage,
  damages,
  fuzzRuns,
  timed,
} from "../support/fuzz.ts";

const TINY = { architecture: "relu-llama", type: "Q4_0", feedForwardLength: 128 } as const;

/** What is damaged: what must be whole for the rest to be looked at. */
const REGIONS = ["page", "header", "tables", "anywhere"] as const;
type Region = typeof REGIONS[number];

/** Where regions lie in the whole file. */
type Regions = Readonly<Record<Region, { readonly begin: number; readonly end: number }>>;

Deno.test("openPacked() refuses or opens what was found before (tests/corpus/packed)", () =>
  withPacked(TINY, (packed) => {
    const { bytes, regions } = wholeOf(packed);
    for (const { name, text } of corpus("packed")) {
      const { region, pieces } = JSON.parse(text, reviveBigInt);
      openAny(packed.out, damageRegion(bytes, regions, region, pieces), name);
    }
  }));

Deno.test("openPacked() refuses or opens a file with any damage, its sums mended", () =>
  withPacked(TINY, (packed) => {
    const { bytes, regions } = wholeOf(packed);
    const before = Deno.memoryUsage().rss;
    fc.assert(
      fc.property(fc.constantFrom(...REGIONS), damages(4096, 3), (region, pieces) => {
        openAny(packed.out, damageRegion(bytes, regions, region, pieces), region);
      }),
      fuzzRuns(700),
    );
    assertLess(Deno.memoryUsage().rss - before, 200 * 2 ** 20, "bytes");
  }));

Deno.test("openPacked() refuses a file that was cut anywhere, its length mended", () =>
  withPacked(TINY, ({ out }) => {
    const bytes = Deno.readFileSync(out);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => {
        const cut = bytes.slice(0, length);
        if (length >= FILE_PAGE_BYTES) {
          new DataView(cut.buffer).setBigUint64(16, BigInt(length), true);
          mendPage(cut);
        }
        assert(!openAny(out, cut, `${length} bytes`), `${length} of ${bytes.length} bytes opened`);
      }),
      fuzzRuns(100),
    );
  }));

function wholeOf({ out, model }: Packed): { bytes: Uint8Array; regions: Regions } {
  const bytes = Deno.readFileSync(out);
  const view = new DataView(bytes.buffer);
  const [ggufBytes, tableBytes] = [24, 32].map((at) => Number(view.getBigUint64(at, true)));
  const pages = Math.ceil(tableBytes / FILE_PAGE_BYTES);
  const tables = model.units[0].factorsOffsetBytes - pages * FILE_PAGE_BYTES;
  const regions = {
    page: { begin: 8, end: 100 },
    header: { begin: FILE_PAGE_BYTES, end: FILE_PAGE_BYTES + ggufBytes },
    tables: { begin: tables, end: tables + tableBytes },
    anywhere: { begin: 0, end: bytes.length },
  };
  return { bytes, regions };
}

/** The file with one region damaged, as long as before; all but "anywhere" with right sums. */
function damageRegion(
  bytes: Uint8Array,
  regions: Regions,
  region: Region,
  pieces: readonly Damage[],
): Uint8Array<ArrayBuffer> {
  const { begin, end } = regions[region];
  const part = damage(bytes.subarray(begin, end), pieces, 4096);
  if (region === "anywhere") return part;
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  copy.fill(0, begin, end).set(part.subarray(0, end - begin), begin);
  if (region === "header") view.setUint32(40, crc32(copy.subarray(begin, end)), true);
  if (region === "tables") view.setUint32(44, crc32(copy.subarray(begin, end)), true);
  mendPage(copy);
  return copy;
}

function mendPage(bytes: Uint8Array<ArrayBuffer>): void {
  const sum = crc32(bytes.subarray(0, FILE_PAGE_BYTES - 4));
  new DataView(bytes.buffer).setUint32(FILE_PAGE_BYTES - 4, sum, true);
}

/** Opens; true when it can be. What is opened must hold what it says. */
function openAny(path: string, bytes: Uint8Array, hint: string): boolean {
  Deno.writeFileSync(path, bytes);
  try {
    const { units } = timed(() => openPacked(path), hint);
    for (const { neurons, order, offsetBytes, bundleBytes, factorsOffsetBytes } of units) {
      assertEquals([...order].sort((a, b) => a - b), Array.from({ length: neurons }, (_, i) => i));
      assert(factorsOffsetBytes <= offsetBytes, hint);
      assert(offsetBytes + neurons * bundleBytes <= bytes.length, hint);
    }
    return true;
  } catch (error) {
    assertRefusal(error, [ModelFormatError, UnsupportedModelError], hint);
    return false;
  }
}

/** Numbers of 64 bits are kept as texts that end in n. */
function reviveBigInt(_key: string, value: unknown): unknown {
  return typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
}
