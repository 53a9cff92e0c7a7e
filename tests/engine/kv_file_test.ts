import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { RequestError } from "../../src/base/errors.ts";
import { writeKvFile } from "../../src/engine/kv_file.ts";

const START = new TextEncoder().encode("start");

/** Three pieces of 3 MiB; `before` is called with the number of each. */
function sourceOf(before: (piece: number) => void | Promise<void> = () => {}) {
  let count = 0;
  const next = async () => {
    await before(count);
    return count < 3 ? new Uint8Array(3 << 20).fill(++count) : null;
  };
  return { start: START, sizeBytes: START.length + 3 * (3 << 20), next };
}

/** A folder with an old file. */
async function withOld(use: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ganglion-kv-" });
  try {
    const path = join(folder, "talk.kv");
    await Deno.writeTextFile(path, "old");
    await use(path, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("writeKvFile() puts a whole file in the old one's place, at the end", () =>
  withOld(async (path, folder) => {
    const seen: string[] = [];
    const source = sourceOf(() => {
      seen.push(Deno.readTextFileSync(path));
    });
    assertEquals(await writeKvFile(source, { path, bytesMax: source.sizeBytes }), 3 * (3 << 20));
    assertEquals(seen, ["old", "old", "old", "old"]);
    const bytes = await Deno.readFile(path);
    assertEquals([bytes.length, bytes[4], bytes[5], bytes.at(-1)], [source.sizeBytes, 116, 1, 3]);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["talk.kv"]);
  }));

Deno.test("writeKvFile() leaves the old file and no half one where it fails", () =>
  withOld(async (path, folder) => {
    const room = { path, bytesMax: 1000 };
    const noRoom = await assertRejects(() => writeKvFile(sourceOf(), room), RequestError);
    assertEquals([noRoom.status, noRoom.code], [507, "no_room"]);
    const broken = sourceOf((piece) => {
      if (piece === 2) throw new Error("the engine is gone");
    });
    await assertRejects(() => writeKvFile(broken, { path }), Error, "the engine is gone");
    const nowhere = { path: join(folder, "none", "talk.kv") };
    await assertRejects(() => writeKvFile(sourceOf(), nowhere), Error, "there is no such folder");
    const filling = sourceOf((piece) => {
      if (piece === 1) throw Object.assign(new Error("as the system says it"), { code: "ENOSPC" });
    });
    const full = await assertRejects(() => writeKvFile(filling, { path }), RequestError);
    assertEquals([full.status, full.code], [507, "disk_full"]);
    assertEquals(await Deno.readTextFile(path), "old");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["talk.kv"]);
  }));

Deno.test("writeKvFile() asks for a piece when the one before is written: no disk fills memory", () =>
  withOld(async (path) => {
    const written: number[] = [];
    const source = sourceOf(() => {
      written.push(Deno.statSync(`${path}.part`).size);
    });
    await writeKvFile(source, { path });
    assertEquals(written, [0, 1, 2, 3].map((count) => START.length + count * (3 << 20)));
  }));
