import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ModelStore, pullModel } from "../../src/pull/mod.ts";
import type { Disk } from "../../src/pull/disk.ts";
import { writeFully } from "../../src/base/write_errors.ts";
import {
  assertPulled,
  honest,
  MODEL,
  names,
  OTHER_MODEL,
  QUICK,
  withPulling,
} from "./pull_support.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { serveFaulty } from "./faulty_server.ts";

/** A disk that is full after so many bytes. */
function smallDisk(bytes: number, free: number | null = null): Disk {
  let left = bytes;
  return {
    freeBytes: () => free,
    write(descriptor, piece, offset) {
      if (piece.length > left) {
        throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
      }
      left -= piece.length;
      writeFully(descriptor, piece, offset);
    },
  };
}

// fault 35: a disk that is full before, and in the middle.
Deno.test("pullModel() begins nothing that does not fit", () =>
  withPulling(() => honest(), async ({ server, folder, pull }) => {
    const disk = smallDisk(0, 1 << 20);
    await assertRejects(() => pull({ disk }), Error, "1.0 MiB are free: make room");
    assertEquals(server.asked.length, 1);
    // What is there needs no room once more.
    await pull({ disk: smallDisk(Infinity, (16 << 20) + MODEL.length) });
    await assertPulled(folder);
  }));

Deno.test("pullModel() stops at once when the disk is full, and goes on when there is room", () =>
  withPulling(() => honest(), async ({ server, folder, pull }) => {
    const half = MODEL.length >> 1;
    const error = await assertRejects(() => pull({ disk: smallDisk(half) }), Error);
    assertEquals(/the disk is full: .* kept: pull again to go on$/.test(error.message), true);
    assert(server.asked.length < 10);
    const { receivedBytes } = await pull();
    await assertPulled(folder);
    // Four requests were under way, each with a piece that was not complete.
    assert(receivedBytes < MODEL.length - half + 4 * QUICK.pieceBytes + 65_536, `${receivedBytes}`);
  }));

// fault 37: two that pull or remove the same model.
Deno.test("pullModel() of what another one pulls is refused, and so is removing it", () =>
  withPulling(
    () => ({ ...honest(), pace: { bytes: 65_536, ms: 2 } }),
    async ({ folder, pull }) => {
      const { promise: begun, resolve } = Promise.withResolvers<void>();
      const first = pull({ onProgress: () => resolve() });
      await begun;
      await assertRejects(() => pull(), Error, "it is being pulled or removed already");
      assertThrows(
        () => new ModelStore(folder).remove("tiny"),
        Error,
        "it is being pulled or removed already",
      );
      await first;
      await assertPulled(folder);
    },
  ));

Deno.test("ModelStore.remove() deletes a model, what is left of one, and says when there is none", () =>
  withPulling(
    ({ number }) => number < 5 ? { ...honest(), cutAt: 300_000 } : honest(),
    async ({ folder, pull }) => {
      const store = new ModelStore(folder);
      await assertRejects(() => pull({ retries: 0 }));
      assertEquals(store.list().map(({ id, path }) => [id, path]), [["tiny", null]]);
      assertEquals(store.remove("tiny"), [".partial/tiny.gguf"]);
      assertEquals(await names(`${folder}/.partial`), []);
      await pull();
      assertEquals(store.remove("tiny:latest"), ["tiny.gguf"]);
      assertEquals(store.remove("tiny"), []);
      assertEquals(await names(folder), [".partial"]);
    },
  ));

Deno.test("pullModel() overwrites no other model, and brings a newer version of its own", () => {
  let body = MODEL;
  return withPulling(() => honest(body), async ({ folder, pull }) => {
    await Deno.writeTextFile(`${folder}/tiny.gguf`, "mine");
    await assertRejects(() => pull(), Error, 'another "tiny.gguf" already, which was not pulled');
    assertEquals(await Deno.readTextFile(`${folder}/tiny.gguf`), "mine");
    assertEquals((await pull({ name: "yours" })).id, "yours");
    await Deno.remove(`${folder}/tiny.gguf`);
    new ModelStore(folder).remove("yours");
    await pull();
    await assertPulled(folder);
    body = OTHER_MODEL;
    assertEquals((await pull()).wasThere, false);
    await assertPulled(folder, OTHER_MODEL);
    await using other = serveFaulty(() => honest());
    await assertRejects(
      () => pullModel(`${other.url}/tiny.gguf`, { folder, ...QUICK }),
      Error,
      'another "tiny.gguf" already, which is from http://127.0.0.1:',
    );
  });
});

Deno.test("ModelStore finds models by name and by what they were pulled as, and reads no broken record", () =>
  withPulling(() => honest(), async ({ folder, server, pull }) => {
    await pull();
    const store = new ModelStore(folder);
    const path = `${folder}/tiny.gguf`;
    assertEquals(store.pathOf("tiny"), path);
    assertEquals(store.pathOf(`${server.url}/TINY.gguf`), path);
    assertEquals(store.pathOf("../tiny"), null);
    await Deno.writeTextFile(`${folder}/tiny.source.json`, '{"source": 1');
    assertEquals([store.record("tiny"), store.pathOf("tiny")], [null, path]);
  }));

Deno.test("ModelStore lists adapters as what they are, and removes them like models", () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeFileSync(`${folder}/poet.gguf`, tinyAdapter(tinyModel()));
    const store = new ModelStore(folder);
    assertEquals(store.list().map(({ id, kind }) => [id, kind]), [["poet", "adapter"]]);
    assertEquals(store.remove("poet"), ["poet.gguf"]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
