/** Good files gone bad: cut off anywhere, flipped anywhere, and files that lie about their size. */
import { assert, assertEquals, assertInstanceOf, assertLess, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { bool, encodeGguf, f32, list, openGguf, parseGguf, text, u32 } from "../../src/gguf/mod.ts";
import { Rng } from "../support/rng.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { array, entry, rawGguf, string, TYPE } from "./raw_gguf.ts";

/** A header with every construct, and two tensors. */
function smallModel(): Uint8Array<ArrayBuffer> {
  return encodeGguf({
    metadata: [
      ["general.architecture", text("llama")],
      ["general.alignment", u32(32)],
      ["number", f32(0.5)],
      ["flag", bool(true)],
      ["scores", list(new Float32Array([1, 2, 3]))],
      ["tokens", list(["a", "bc", ""])],
      ["flags", list([true, false])],
      ["nested", list([new Uint8Array([1, 2]), new Int16Array([-1])])],
    ],
    tensors: [
      { name: "one", type: "F32", dims: [4, 2], pieces: () => [new Uint8Array(32).fill(1)] },
      { name: "two", type: "Q8_0", dims: [32], pieces: () => [new Uint8Array(34).fill(2)] },
    ],
  });
}

// fault 18: truncation at every byte of the header, and of the data.
Deno.test("parseGguf() refuses a file cut off at any byte", () => {
  const whole = smallModel();
  const { offsetBytes, sizeBytes } = parseGguf(whole).tensors.get("two")!;
  for (let length = 0; length < offsetBytes + sizeBytes; length++) {
    assertThrows(() => parseGguf(whole.slice(0, length)), ModelFormatError);
  }
  // What follows is padding, which some writers leave out.
  assertEquals(parseGguf(whole.slice(0, offsetBytes + sizeBytes)).tensors.size, 2);
});

Deno.test("openGguf() refuses a file cut off at any byte of its header", () => {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    const whole = smallModel();
    const header = parseGguf(whole).tensors.get("one")!.offsetBytes;
    for (let length = header; length >= 0; length--) {
      Deno.writeFileSync(path, whole.subarray(0, length));
      const error = assertThrows(() => openGguf(path), ModelFormatError);
      assertEquals(error.path, path);
    }
  } finally {
    Deno.removeSync(path);
  }
});

// fault 19: one bit flipped anywhere in the header.
Deno.test("parseGguf() reads or refuses a header with any one bit flipped", () => {
  const whole = smallModel();
  const header = parseGguf(whole).tensors.get("one")!.offsetBytes;
  let refused = 0;
  for (let bit = 0; bit < header * 8; bit++) {
    whole[bit >> 3] ^= 1 << (bit & 7);
    if (!parses(whole, `bit ${bit}`)) refused++;
    whole[bit >> 3] ^= 1 << (bit & 7);
  }
  assert(refused > header, `${refused} of ${header * 8} flips were refused`);
});

Deno.test("parseGguf() reads or refuses a real header with seeded bytes changed", () => {
  const whole = tinyModel({ blockCount: 1 });
  const header = parseGguf(whole).tensors.get("token_embd.weight")!.offsetBytes;
  for (let seed = 0; seed < 3000; seed++) {
    const rng = new Rng(seed);
    const damaged = whole.slice();
    for (let change = rng.int(4); change >= 0; change--) {
      // Half of the damage goes where counts and types are densest.
      const at = rng.int(2) === 0 ? rng.int(header) : rng.int(1200);
      damaged[at] = rng.int(3) === 0 ? 255 : rng.int(256);
    }
    parses(damaged, `seed ${seed}`);
  }
});

// fault 6: lengths that a large file has room for.
Deno.test("openGguf() refuses what a large sparse file claims, in flat memory", () => {
  const claims = [
    ["2^30 strings", array(TYPE.string, 2 ** 30)],
    ["2^32 bytes", array(TYPE.u8, 2 ** 32)],
    ["2^30 arrays", array(TYPE.array, 2 ** 30)],
    ["2^30 booleans", array(TYPE.bool, 2 ** 30)],
  ] as const;
  for (const [name, value] of claims) {
    refuseSparse(rawGguf({ entries: [entry("k", TYPE.array, value)] }), name);
  }
  refuseSparse(
    rawGguf({ entries: [entry("k", TYPE.string, string("", 2 ** 32))] }),
    "a string of 4 GiB",
  );
  refuseSparse(rawGguf({ tensorCount: 2 ** 28 }), "2^28 tensors");
  refuseSparse(rawGguf({ entryCount: 2 ** 28 }), "2^28 entries");
  refuseSparse(rawGguf({ entryCount: 60_000 }), "60,000 entries of zeros");
});

Deno.test("openGguf() reads no further than 128 MiB for a header", () => {
  const value = string("", 128 * 2 ** 20);
  const header = rawGguf({ entries: [entry("k", TYPE.string, value)] });
  refuseSparse(header, "the header would be longer than 128.0 MiB");
});

/** Opens a file of 16 GiB that begins with `header` and goes on with zeros that take no room. */
function refuseSparse(header: Uint8Array, name: string): void {
  const path = Deno.makeTempFileSync({ suffix: ".gguf" });
  try {
    Deno.writeFileSync(path, header);
    Deno.truncateSync(path, 16 * 2 ** 30);
    const before = Deno.memoryUsage().rss;
    const begin = performance.now();
    const error = assertThrows(() => openGguf(path), ModelFormatError);
    assertLess(performance.now() - begin, 1000, `milliseconds for ${name}`);
    assertLess(Deno.memoryUsage().rss - before, 32 * 2 ** 20, `bytes for ${name}`);
    if (name.startsWith("the ")) assert(error.message.includes(name), error.message);
  } finally {
    Deno.removeSync(path);
  }
}

/** True when `bytes` parse; anything but a ModelFormatError fails the test. */
function parses(bytes: Uint8Array, hint: string): boolean {
  try {
    parseGguf(bytes);
    return true;
  } catch (error) {
    assertInstanceOf(error, ModelFormatError, hint);
    return false;
  }
}
