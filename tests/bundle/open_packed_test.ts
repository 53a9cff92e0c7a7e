import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import { ModelFormatError } from "../../src/base/errors.ts";
import { openModelFile, openPacked } from "../../src/bundle/mod.ts";
import { openGguf } from "../../src/gguf/mod.ts";
import { withPacked } from "../pack/packed_model.ts";

const MODEL = { architecture: "relu-llama", type: "Q4_0", feedForwardLength: 128 } as const;

// fault 26: bundles half-written, of another version, damaged.
Deno.test("openPacked() refuses what it is not", () =>
  withPacked(MODEL, async ({ out, input }) => {
    const bytes = await Deno.readFile(out);
    const wrong: [says: string, bytes: Uint8Array][] = [
      ["bytes only", bytes.slice(0, 100)],
      ["should have", bytes.slice(0, bytes.length - 1)],
      ["should have", new Uint8Array([...bytes, 0])],
      ["does not begin with the bytes GANGLION", await Deno.readFile(input)],
      ["does not begin with the bytes GANGLION", new Uint8Array(bytes.length)],
      ["first page was changed", bytes.with(500, 1)],
      ["is of version 1", repaired(bytes, (view) => view.setUint32(8, 1, true))],
      ["at multiples of 1 bytes", repaired(bytes, (view) => view.setUint32(12, 1, true))],
      ["metadata were changed", repaired(bytes, (view) => view.setBigUint64(24, 1n << 50n, true))],
      ["lie otherwise", repaired(bytes, (view) => view.setBigUint64(32, 1n << 40n, true))],
      ["lie otherwise", repaired(bytes, (view) => view.setUint32(48, 1, true))],
    ];
    for (const [says, changed] of wrong) {
      await Deno.writeFile(out, changed);
      assertThrows(() => openPacked(out), ModelFormatError, says);
    }
  }));

Deno.test("openPacked() believes no record and no order that cannot be", () =>
  withPacked(MODEL, async ({ out }) => {
    const bytes = await Deno.readFile(out);
    const { model: { units }, tableAt } = tableOf(out);
    const order = tableAt + units.length * 92;
    assertEquals(new DataView(bytes.buffer).getUint32(order + 4, true), 1);
    const wrong: [says: string, change: (view: DataView) => void][] = [
      ["layer 0 lies otherwise", (view) => view.setUint32(tableAt + 8, 64, true)],
      ["layer 1 lies otherwise", (view) => view.setBigUint64(tableAt + 92 + 32, 0n, true)],
      ["names neuron 0 wrongly at position 1", (view) => view.setUint32(order + 4, 0, true)],
      ["names neuron 128 wrongly", (view) => view.setUint32(order, 128, true)],
      ["neuron 127 in another stripe", (view) => {
        view.setUint32(order, 127, true);
        view.setUint32(order + 4 * 127, 0, true);
      }],
    ];
    for (const [says, change] of wrong) {
      await Deno.writeFile(out, repaired(bytes, change, { at: tableAt, units: units.length }));
      assertThrows(() => openPacked(out), ModelFormatError, says);
    }
  }));

Deno.test("openModelFile() opens both kinds, and openGguf() says what a packed file is", () =>
  withPacked(MODEL, ({ out, input }) => {
    const [plain, packed] = [openModelFile(input), openModelFile(out)];
    assertEquals(plain.packed, null);
    assertEquals(packed.packed?.units.length, 2);
    assertEquals([...packed.file.tensors.keys()], [...plain.file.tensors.keys()]);
    const error = assertThrows(() => openGguf(out), ModelFormatError);
    assertStringIncludes(error.message, "it is a packed model (.ganglion)");
  }));

/** Where the tables begin. */
function tableOf(path: string) {
  const model = openPacked(path);
  const { units } = model;
  const neurons = units.reduce((sum, unit) => sum + unit.neurons, 0);
  const tableBytes = units.length * 92 + neurons * 4;
  const tableAt = units[0].factorsOffsetBytes - Math.ceil(tableBytes / 4096) * 4096;
  return { model, tableAt };
}

/** The file with a change that its sums agree with. */
function repaired(
  bytes: Uint8Array,
  change: (view: DataView) => void,
  table?: { at: number; units: number },
): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  change(view);
  if (table !== undefined) {
    const end = table.at + Number(view.getBigUint64(32, true));
    view.setUint32(44, crc32(copy.subarray(table.at, end)), true);
  }
  view.setUint32(4092, crc32(copy.subarray(0, 4092)), true);
  return copy;
}
