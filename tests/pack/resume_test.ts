/** What is left of an interrupted run, and what the next one makes of it. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { UsageError } from "../../src/base/errors.ts";
import { checkPacked, packFile } from "../../src/pack/mod.ts";
import { IS_DEEP } from "../support/deep.ts";
import { Rng } from "../support/rng.ts";
import { tinyModel, type TinyModelOptions } from "../support/tiny_model.ts";
import { withTiny } from "./packed_model.ts";

const MODEL: TinyModelOptions = { architecture: "drelu-moe", type: "Q4_0" };
const CHILD = fileURLToPath(new URL("./pack_child.ts", import.meta.url));
/** Each starts a process; failures at every piece, and harms, are within this one. */
const KILLS = IS_DEEP ? 25 : 6;
const HARMS = IS_DEEP ? 40 : 16;
const pack = (paths: { input: string; out: string }, onProgress = () => {}) =>
  packFile({ ...paths, stats: null, alignBytes: 512, onProgress });

Deno.test("packFile() goes on after a failure at any piece, and makes the same bytes", () =>
  withTiny(MODEL, async (paths) => {
    const expected = await packedBytes(paths);
    const pieces = await countPieces(paths);
    for (let failing = 1; failing <= pieces; failing++) {
      await failAt(paths, failing);
      assert(await isMissing(paths.out));
      await pack(paths);
      assertEquals(await Deno.readFile(paths.out), expected, `after a failure at ${failing}`);
      assertEquals(filesOf(paths.folder), ["tiny.ganglion", "tiny.gguf"]);
      await Deno.remove(paths.out);
    }
  }));

Deno.test("packFile() believes of what is left only what its sums agree with", () =>
  withTiny(MODEL, async (paths) => {
    const expected = await packedBytes(paths);
    const rng = new Rng(5);
    const part = `${paths.out}.part`;
    const harms: ((path: string) => Promise<void>)[] = [
      async (path) => {
        const bytes = await Deno.readFile(path);
        if (bytes.length > 0) bytes[rng.int(bytes.length)] ^= 1 << rng.int(8);
        await Deno.writeFile(path, bytes);
      },
      async (path) => {
        const { size } = await Deno.stat(path);
        await Deno.truncate(path, rng.int(size + 1));
      },
      (path) => Deno.writeFile(path, new Uint8Array(1 << 20), { append: true }),
      (path) => Deno.remove(path),
    ];
    const pieces = await countPieces(paths);
    for (let round = 0; round < HARMS; round++) {
      await failAt(paths, 1 + rng.int(pieces));
      const path = rng.int(2) === 0 ? part : `${part}.journal`;
      await harms[rng.int(harms.length)](path);
      try {
        await pack(paths);
      } catch (error) {
        // Where the harm hit what the file is to become, the journal is of something else.
        assert(error instanceof UsageError, String(error));
        await Deno.remove(part);
        await pack(paths);
      }
      assertEquals(await Deno.readFile(paths.out), expected, `round ${round}`);
      await Deno.remove(paths.out);
    }
  }));

// fault 26: what is left is of another model.
Deno.test("packFile() refuses to go on with another model, order or alignment", () =>
  withTiny(MODEL, async (paths) => {
    await failAt(paths, 20);
    const other = { ...paths, stats: null, alignBytes: 4096 as const };
    await assertRejects(() => packFile(other), UsageError, "another alignment of neurons");
    await Deno.writeFile(paths.input, tinyModel({ ...MODEL, seed: 2 }));
    await assertRejects(() => pack(paths), UsageError, "another model");
    await Deno.remove(`${paths.out}.part`);
    await pack(paths);
    assertEquals((await checkPacked(paths.out)).damage, []);
  }));

// fault 37: two processes write the same file.
Deno.test("packFile() leaves a file that is being written alone", () =>
  withTiny(MODEL, async (paths) => {
    let second: Promise<unknown> | null = null;
    await pack(paths, () => {
      second ??= assertRejects(() => pack(paths), Error, "another program is writing it");
    });
    await second;
    assertEquals((await checkPacked(paths.out)).damage, []);
  }));

// fault 26: half-written files.
Deno.test("packFile(), killed at any moment, leaves a right file or none", () =>
  withTiny({ ...MODEL, blockCount: 6 }, async (paths) => {
    const expected = await packedBytes(paths);
    const rng = new Rng(9);
    let complete = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await killAfter(rng.int(100), paths);
      if (await isMissing(paths.out)) continue;
      assertEquals(await Deno.readFile(paths.out), expected, `after kill ${kill}`);
      await Deno.remove(paths.out);
      complete++;
    }
    await pack(paths);
    assertEquals(await Deno.readFile(paths.out), expected, `after ${complete} complete files`);
  }));

async function packedBytes(paths: { input: string; out: string }): Promise<Uint8Array> {
  await pack(paths);
  const bytes = await Deno.readFile(paths.out);
  await Deno.remove(paths.out);
  return bytes;
}

/** How often a whole run tells of its progress. */
async function countPieces(paths: { input: string; out: string }): Promise<number> {
  let pieces = 0;
  await pack(paths, () => pieces++);
  await Deno.remove(paths.out);
  return pieces;
}

/** A run that ends at the given piece. */
async function failAt(paths: { input: string; out: string }, failing: number): Promise<void> {
  let pieces = 0;
  await assertRejects(
    () =>
      pack(paths, () => {
        if (++pieces === failing) throw new RangeError("failing");
      }),
    RangeError,
  );
}

/** Starts a process that packs, and kills it some time after it has begun. */
async function killAfter(delayMs: number, paths: { input: string; out: string }): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "-A", CHILD, paths.input, paths.out],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read(); // it has begun
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
  await reader.cancel();
  await child.status;
}

function filesOf(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

async function isMissing(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => false, () => true);
}
