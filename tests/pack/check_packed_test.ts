import { assert, assertEquals } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { openPacked } from "../../src/bundle/mod.ts";
import { checkPacked } from "../../src/pack/mod.ts";
import { IS_DEEP } from "../support/deep.ts";
import { Rng } from "../support/rng.ts";
import { withPacked } from "./packed_model.ts";

/** Anywhere, beside those of each kind of place. */
const FLIPS = IS_DEEP ? 400 : 60;

// fault 19: one bit flipped anywhere is found by checksums.
Deno.test("checkPacked() finds a flipped bit wherever it is", () =>
  withPacked({ architecture: "drelu-moe", type: "Q4_0" }, async ({ out, model }) => {
    assertEquals((await checkPacked(out)).damage, []);
    const bytes = await Deno.readFile(out);
    const rng = new Rng(3);
    using file = Deno.openSync(out, { write: true });
    const put = (at: number, byte: number) => {
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(Uint8Array.of(byte));
    };
    const { units } = model;
    const special = [0, 7, 8, 12, 16, 48, 500, 4092, 4095, 4096, 4097, bytes.length - 1];
    const padding = units[1].factorsOffsetBytes - 1;
    const places = [...special, padding, units[0].offsetBytes, bytes.length - 5, bytes.length - 4];
    const random = Array.from({ length: FLIPS }, () => rng.int(bytes.length));
    for (const at of [...places, ...random]) {
      put(at, bytes[at] ^ 1 << rng.int(8));
      assert(await isFound(out, at), `byte ${at} of ${bytes.length}`);
      put(at, bytes[at]);
    }
    assertEquals((await checkPacked(out)).damage, []);
  }));

Deno.test("checkPacked() says what lies where bytes were changed", () =>
  withPacked({ type: "Q4_0", feedForwardLength: 8192 }, async ({ out, model }) => {
    const unit = model.units[1];
    const position = 6000;
    const at = unit.offsetBytes + position * unit.bundleBytes + 3;
    const bytes = await Deno.readFile(out);
    bytes[at] ^= 16;
    await Deno.writeFile(out, bytes);
    openPacked(out); // which reads no bundles
    const { damage } = await checkPacked(out);
    assertEquals(damage.length, 1);
    const [{ beginBytes, endBytes, holds }] = damage;
    assert(beginBytes <= at && at < endBytes && endBytes - beginBytes <= 1 << 20);
    const [, first, last] = /^layer 1: neurons at positions (\d+) to (\d+)$/.exec(holds.at(-1)!)!;
    assert(Number(first) <= position && position <= Number(last));
    assert(holds.every((what) => what.startsWith("layer 1: ")), `${holds}`);
  }));

/** True when the damage is told; false when the file is taken for a whole one. */
async function isFound(path: string, at: number): Promise<boolean> {
  try {
    const { damage } = await checkPacked(path);
    return damage.some(({ beginBytes, endBytes }) => beginBytes <= at && at < endBytes);
  } catch (error) {
    if (error instanceof ModelFormatError) return true;
    throw error;
  }
}
