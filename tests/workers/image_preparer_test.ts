/** The thread of images: workers/image_preparer.ts. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { RequestError, UnsupportedModelError, WorkerError } from "../../src/base/errors.ts";
import { prepareSound } from "../../src/hearing/prepare.ts";
import type { SoundConfig } from "../../src/model/mod.ts";
import { prepareFile } from "../../src/vision/prepare.ts";
import { ImagePreparer } from "../../workers/mod.ts";
import { IMAGE_CONFIGS } from "../vision/image_configs.ts";
import { corpus } from "../support/fuzz.ts";
import { writePng } from "../support/png_writer.ts";
import { tone, writeWav } from "../support/sound_files.ts";

const CONFIG = IMAGE_CONFIGS.mlp;
const NO_TABLES = { positions: null, classTokens: null, patchBias: null };
const FILE = corpus("image").find(({ name }) => name === "baseline.jpg.bin")!.bytes;

Deno.test("ImagePreparer prepares in its thread what prepareFile() does here", async () => {
  const preparer = new ImagePreparer();
  const config = {
    ...IMAGE_CONFIGS.mlp,
    positions: { tensor: "p", count: 9, classRow: null, resize: null },
  };
  const tables = [1, 2].map((of) => ({ ...NO_TABLES, positions: new Float32Array(27).fill(of) }));
  // The second time the thread knows the tables; then it gets others.
  for (const each of [tables[0], tables[0], tables[1]]) {
    assertEquals(await preparer.prepare(FILE, config, each), await prepareFile(FILE, config, each));
  }
  await preparer.close();
});

Deno.test("ImagePreparer tells its thread of other filters of sounds", async () => {
  const preparer = new ImagePreparer();
  const config: SoundConfig = {
    ...{ projector: "parakeet", melCount: 2, framesOfRow: 8, rowsMax: 9, spectrum: "given" },
    filters: { window: "w", bands: "b" },
    ...{ positions: null, rowsOfOne: 1, isPadded: false, isWhole: false },
  };
  const file = writeWav({ values: tone(2000) });
  const window = new Float32Array(400).fill(1);
  for (const step of [3, 5]) {
    const bands = Float32Array.from({ length: 2 * 257 }, (_, i) => i % step);
    const tables = { ...NO_TABLES, filters: { window, bands } };
    const expected = await prepareSound(file, config, tables);
    assertEquals(await preparer.prepare(file, config, tables), expected);
  }
  await preparer.close();
});

Deno.test("ImagePreparer passes refusals on, and goes on", async () => {
  const preparer = new ImagePreparer();
  const error = await assertRejects(
    () => preparer.prepare(FILE.slice(0, 300), CONFIG, NO_TABLES),
    RequestError,
  );
  assertEquals([error.status, error.code, error.param], [400, "invalid_image", "messages"]);
  const other = { ...CONFIG, projector: "ears" };
  await assertRejects(
    () => preparer.prepare(FILE, other, NO_TABLES),
    UnsupportedModelError,
    "ears",
  );
  assertEquals((await preparer.prepare(FILE, CONFIG, NO_TABLES)).tiles.length, 1);
  await preparer.close();
});

Deno.test("ImagePreparer ends what takes too long, and starts anew", async () => {
  const preparer = new ImagePreparer({ timeoutMs: 1 });
  using threads = countThreads();
  const error = await assertRejects(
    () => preparer.prepare(slowFile(), CONFIG, NO_TABLES),
    RequestError,
    "more than 0.001 s",
  );
  assertEquals([error.status, error.code], [400, "image_too_large"]);
  assertEquals(threads.started, 1);
  await assertRejects(() => preparer.prepare(FILE, CONFIG, NO_TABLES), RequestError);
  assertEquals(threads.started, 2);
  await preparer.close();
});

Deno.test("ImagePreparer ends a thread that has nothing to do, and starts another one", async () => {
  const preparer = new ImagePreparer({ idleMs: 1 });
  using threads = countThreads();
  for (let count = 1; count <= 2; count++) {
    assertEquals((await preparer.prepare(FILE, CONFIG, NO_TABLES)).tiles.length, 1);
    assertEquals(threads.started, count);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await preparer.close();
});

Deno.test("ImagePreparer lets go of who does not want an image any more", async () => {
  const preparer = new ImagePreparer();
  const reason = new Error("gone");
  const stop = new AbortController();
  const first = preparer.prepare(slowFile(), CONFIG, NO_TABLES, stop.signal);
  const second = preparer.prepare(FILE, CONFIG, NO_TABLES, stop.signal);
  const third = preparer.prepare(FILE, CONFIG, NO_TABLES);
  stop.abort(reason);
  for (const each of [first, second]) assertEquals(await each.catch((error) => error), reason);
  assertEquals((await third).tiles.length, 1);
  await preparer.close();
});

Deno.test("ImagePreparer rejects what is under way when it is closed, and what comes then", async () => {
  const preparer = new ImagePreparer();
  const first = preparer.prepare(slowFile(), CONFIG, NO_TABLES).catch((error) => error);
  const second = preparer.prepare(FILE, CONFIG, NO_TABLES).catch((error) => error);
  await preparer.close();
  const outcomes = await Promise.all([first, second]);
  assert(outcomes[1] instanceof WorkerError, `${outcomes[1]}`);
  await assertRejects(() => preparer.prepare(FILE, CONFIG, NO_TABLES), WorkerError, "closed");
});

/** Threads that are started until the end of a block. */
function countThreads(): { readonly started: number } & Disposable {
  const { Worker } = globalThis;
  let started = 0;
  globalThis.Worker = class extends Worker {
    constructor(...of: ConstructorParameters<typeof Worker>) {
      super(...of);
      started++;
    }
  };
  return {
    get started() {
      return started;
    },
    [Symbol.dispose]: () => void (globalThis.Worker = Worker),
  };
}

/** Takes 30 ms or so. */
function slowFile(): Uint8Array {
  return writePng({ width: 300, height: 300, bits: 8, type: 0, sample: (x, y) => x * y % 256 });
}
