/**
 * Processes of one host on one packed file: which of them has the disk read it, by `read_bytes` of
 * /proc/PID/io. All may ask the kernel to read for them (`--allow-ffi`).
 */
import "../support/thread_pool.ts";
import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { type ReaderLoad, type ReaderReport, readInProcess } from "../support/file_reader.ts";
import { greedyIds, withModel } from "../support/loaded_model.ts";
import { FEW_SLOTS, withPacked } from "../support/packed_model.ts";
import { TINY_PROMPT, type TinyModelOptions } from "../support/tiny_model.ts";

/** Nearly all of the file are neurons, far more than what else a process reads from the disk. */
const MODEL: TinyModelOptions = {
  ...{ architecture: "bamboo", type: "Q8_0", blockCount: 3 },
  ...{ embeddingLength: 256, feedForwardLength: 4096 },
};
/** Of the file: what a process reads that reads it all, some of it from the cache as always. */
const MOST = 0.8;
const LITTLE = 0.1;
const WAYS = {
  resident: {},
  // A prompt's step brings every unit as a whole.
  streamed: { streaming: { ...FEW_SLOTS, pieceBytes: 2 ** 18, slotCount: 8192 } },
};
const ignore = Deno.build.os !== "linux"; // no /proc

/** What one process reads, load after load. */
function read(
  path: string,
  loads: readonly ReaderLoad[],
  wrap?: readonly string[],
): Promise<readonly ReaderReport[]> {
  const withThreads = loads.map((load) => ({ ...load, options: { threads: 1, ...load.options } }));
  const task = { path, loads: withThreads, ids: TINY_PROMPT, answerTokens: 8 };
  return readInProcess(task, wrap);
}

const folder = Deno.makeTempDirSync();
Deno.test.afterAll(() => Deno.removeSync(folder, { recursive: true }));

/** File systems of which what is read past the cache is read from a disk. */
const ON_DISKS = ["ext2/ext3", "xfs", "btrfs"];

function isOnDisk(path: string): boolean {
  const { stdout } = new Deno.Command("stat", { args: ["-f", "-c", "%T", path] }).outputSync();
  return ON_DISKS.includes(new TextDecoder().decode(stdout).trim());
}

/** Both ways read the same file, which is made once. */
async function packedPath(): Promise<string> {
  const path = `${folder}/model.ganglion`;
  if (!existsSync(path)) await withPacked(MODEL, (_, packed) => Deno.copyFile(packed, path));
  return path;
}

for (const [way, options] of Object.entries(WAYS)) {
  Deno.test(
    `a ${way} packed file is read once for all processes that use the file cache`,
    { ignore },
    async () => {
      const path = await packedPath();
      const size = Deno.statSync(path).size;
      const by = (fileCache?: LoadOptions["fileCache"]) => ({ ...options, fileCache });
      const [first, ofOne] = await read(path, [
        { options: by("off") },
        { options: by("on"), evicts: true },
      ]);
      if (first.diskBytes < LITTLE * size) {
        assert(!isOnDisk(path), "past the file cache nothing was read from the disk");
        console.log("nothing to share: this folder's files are in memory, or cached in any case");
        return;
      }
      assertGreater(first.diskBytes / size, MOST);
      if (ofOne.cached !== undefined) console.log(`the file stays in the cache: ${ofOne.cached}`);
      else assertGreater(ofOne.diskBytes / size, MOST, "the first one");
      const [ofTwo, byItself] = await read(path, [{ options: by("on") }, { options: by() }]);
      assertLess(ofTwo.diskBytes / size, LITTLE, "the second one");
      if (way === "resident") assertLess(byItself.diskBytes / size, LITTLE);
      else assertGreater(byItself.diskBytes / size, MOST);
      for (const { ids } of [ofOne, ofTwo, byItself]) assertEquals(ids, first.ids);
    },
  );
}

/** A shell's: makes folder $1 read only, for what it starts as the rest, if it is so. */
const READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77; ' +
  '! touch "$1/written" 2>/dev/null || exit 77; shift; exec "$@"';

Deno.test(
  "a packed file in a folder that nobody can write to is answered from",
  { ignore },
  () =>
    withPacked({ ...MODEL, blockCount: 1 }, async (_, packed) => {
      const folder = Deno.makeTempDirSync({ prefix: "ganglion-read-only-" });
      const path = `${folder}/model.ganglion`;
      try {
        Deno.renameSync(packed, path);
        const expected: number[] = [];
        await withModel(path, { threads: 1 }, async (model) => {
          expected.push(...await greedyIds(model, TINY_PROMPT, 8));
        });
        // Root may write all the same; a mount stops it, too, where one may be made.
        Deno.chmodSync(path, 0o444);
        Deno.chmodSync(folder, 0o555);
        const wrap = ["unshare", "-rm", "sh", "-c", READ_ONLY, "sh", dirname(path)];
        const mayMount = await new Deno.Command(wrap[0], { args: [...wrap.slice(1), "true"] })
          .output().then(({ success }) => success, () => false);
        if (!mayMount) console.log("no mount may be made here: by the folder's mode alone");
        const loads = [WAYS.resident, { ...WAYS.streamed, fileCache: "on" as const }]
          .map((options) => ({ options }));
        const reports = await read(path, loads, mayMount ? wrap : []);
        for (const { ids } of reports) assertEquals(ids, expected);
      } finally {
        Deno.chmodSync(folder, 0o755);
        Deno.removeSync(folder, { recursive: true });
      }
    }),
);
