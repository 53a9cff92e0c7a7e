/** The thread of images: workers/image_preparer.ts. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { RequestError, UnsupportedModelError, WorkerError } from "../../src/base/errors.ts";
import { prepareFile } from "../../src/vision/prepare.ts";
import { ImagePreparer } from "../../workers/mod.ts";
import { IMAGE_CONFIGS } from "../vision/image_configs.ts";
import { corpus } from "../support/fuzz.ts";
import { writePng } from "../support/png_writer.ts";

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
  const error = await assertRejects(
    () => preparer.prepare(slowFile(), CONFIG, NO_TABLES),
    RequestError,
    "more than 0.001 s",
  );
  assertEquals([error.status, error.code], [400, "image_too_large"]);
  // The thread is another one, which the time is too short for, too.
  await assertRejects(() => preparer.prepare(FILE, CONFIG, NO_TABLES), RequestError);
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

Deno.test("ImagePreparer's thread ends when no image comes, and starts anew for the next one", async () => {
  const Original = globalThis.Worker;
  let starts = 0;
  globalThis.Worker = class extends Original {
    constructor(...of: ConstructorParameters<typeof Worker>) {
      super(...of);
      starts++;
    }
  };
  try {
    const preparer = new ImagePreparer({ idleMs: 20 });
    const tiles: number[] = [];
    for (let i = 0; i < 3; i++) {
      tiles.push((await preparer.prepare(FILE, CONFIG, NO_TABLES)).tiles.length);
      // Between the first two there is no time to end.
      if (i === 1) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assertEquals([starts, tiles], [2, [1, 1, 1]]);
    await preparer.close();
  } finally {
    globalThis.Worker = Original;
  }
});

/** Takes 30 ms or so. */
function slowFile(): Uint8Array {
  return writePng({ width: 300, height: 300, bits: 8, type: 0, sample: (x, y) => x * y % 256 });
}
