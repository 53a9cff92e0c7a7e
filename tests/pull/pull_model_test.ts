import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { ModelStore, pullModel } from "../../src/pull/mod.ts";
import { Rng } from "../support/rng.ts";
import {
  assertPulled,
  honest,
  MODEL,
  MODEL_SHA256,
  names,
  OTHER_MODEL,
  QUICK,
  withPulling,
} from "./pull_support.ts";

Deno.test("pullModel() brings a file in ranges, and a second time brings nothing", () =>
  withPulling(() => honest(), async ({ folder, server, pull }) => {
    const model = await pull();
    assertEquals([model.id, model.wasThere, model.receivedBytes], ["tiny", false, MODEL.length]);
    assertEquals(model.path, `${folder}/tiny.gguf`);
    await assertPulled(folder);
    const ranges = server.asked.map(({ range }) => range?.join("-"));
    assert(ranges.includes("0-524287") && ranges.includes("524288-1048575"), ranges.join());
    const before = server.asked.length;
    assertEquals((await pull()).wasThere, true);
    assertEquals(server.asked.slice(before).map(({ range }) => range), [[0, 3]]);
    const [stored] = new ModelStore(folder).list();
    assertEquals([stored.id, stored.source], ["tiny", `${server.url}/tiny.gguf`]);
  }));

// fault 27: truncated bodies; fault 29: connections that end at random offsets.
Deno.test("pullModel() goes on behind bodies that break off at random offsets", () => {
  const rng = new Rng(1);
  return withPulling(
    () => ({ ...honest(), cutAt: Math.floor(rng.float() * 300_000) }),
    async ({ folder, pull }) => {
      await pull();
      await assertPulled(folder);
    },
  );
});

// fault 28: a body that stalls.
Deno.test("pullModel() gives up a body that stalls, and asks again for what is missing", () =>
  withPulling(
    ({ number }) => ({ ...honest(), ...number % 2 === 1 && { stallAt: 200_000 } }),
    async ({ folder, pull, notices }) => {
      await pull({ stallMs: 60 });
      await assertPulled(folder);
      assertStringIncludes(notices.join("\n"), "nothing came for 0.06 s: trying again");
    },
  ));

// fault 30: Range is ignored.
Deno.test("pullModel() takes a whole body where ranges are ignored, from the first request on or later", async () => {
  const whole = { ...honest(), status: 200 };
  await withPulling(() => whole, async ({ folder, server, pull }) => {
    await pull();
    await assertPulled(folder);
    assertEquals(server.asked.length, 2);
  });
  await withPulling(
    ({ number }) => number < 3 ? honest() : whole,
    async ({ folder, pull, notices }) => {
      await pull();
      await assertPulled(folder);
      assertStringIncludes(notices.join("\n"), "sends whole files only");
    },
  );
});

Deno.test("pullModel() goes on where ranges are ignored and bodies break off, as long as more comes", () => {
  let end = 0;
  return withPulling(
    () => ({ ...honest(), status: 200, cutAt: end += 700_000 }),
    async ({ folder, pull }) => {
      await pull();
      await assertPulled(folder);
    },
  );
});

// fault 31: another file between two parts.
Deno.test("pullModel() begins again when the file changes while it comes", () =>
  withPulling(
    ({ number }) => honest(number < 4 ? MODEL : OTHER_MODEL),
    async ({ folder, pull, notices }) => {
      await pull();
      await assertPulled(folder, OTHER_MODEL);
      assertStringIncludes(notices.join("\n"), "another version by now: beginning again");
    },
  ));

Deno.test("pullModel() says so when the file changes again and again", () =>
  withPulling(
    ({ number }) => ({ body: MODEL, headers: { etag: `"${number}"` } }),
    async ({ pull }) => {
      await assertRejects(() => pull(), Error, "again and again: try later");
    },
  ));

Deno.test("pullModel() does not go on with what is left of another version", () =>
  withPulling(
    ({ number }) => number < 5 ? { ...honest(), cutAt: 150_000 } : honest(OTHER_MODEL),
    async ({ folder, pull, notices }) => {
      await assertRejects(() => pull({ retries: 0, connections: 1 }));
      assertEquals(await names(`${folder}/.partial`), ["tiny.gguf", "tiny.gguf.journal"]);
      await pull();
      await assertPulled(folder, OTHER_MODEL);
      assertStringIncludes(notices.join("\n"), "has changed since the last try");
    },
  ));

// fault 32: wrong lengths, and compression.
Deno.test("pullModel() is not misled by wrong lengths", async () => {
  const long = { "content-length": `${MODEL.length + 7}` };
  await withPulling(
    () => ({ ...honest(), status: 200, headers: long }),
    async ({ pull }) => {
      await assertRejects(() => pull({ retries: 1 }), Error, "what came is kept: pull again");
    },
  );
  await withPulling(
    ({ number }) => number === 0 ? honest() : { ...honest(), status: 200, headers: long },
    async ({ pull }) => {
      await assertRejects(() => pull({ retries: 1 }), Error, "pull again to go on");
    },
  );
  // No length, and no end: 4 GB would come if nobody stopped it.
  await withPulling(
    ({ number, range }) => {
      if (number === 0 || range === null) return honest();
      const [first, last] = range;
      const endless = { "content-range": `bytes ${first}-${last}/${MODEL.length}` };
      const body = MODEL.subarray(first, first + 200_000);
      return { status: 206, isRaw: true, headers: endless, body };
    },
    async ({ folder, pull }) => {
      await pull();
      await assertPulled(folder);
    },
  );
});

Deno.test("pullModel() refuses a body that is compressed, before it is read", () =>
  withPulling(
    () => ({ ...honest(), headers: { "content-encoding": "gzip" } }),
    async ({ pull, server }) => {
      await assertRejects(() => pull(), Error, "sends it compressed (gzip), unasked");
      assertEquals(server.asked[0].headers.get("accept-encoding"), "identity");
    },
  ));

// fault 34: refusals.
Deno.test("pullModel() says what a refusal means, and does not repeat the question", async () => {
  const cases: [number, string][] = [
    [401, "set HF_TOKEN"],
    [403, "its licence was not accepted"],
    [404, "there is no such thing: check the name"],
    [418, "answered 418: it refuses"],
  ];
  for (const [status, message] of cases) {
    await withPulling(() => ({ status }), async ({ pull, server }) => {
      await assertRejects(() => pull(), Error, message);
      assertEquals(server.asked.length, 1);
    });
  }
});

Deno.test("pullModel() asks an unwell server again, as late as it wants to be asked", async () => {
  const retry = { "retry-after": "0" };
  await withPulling(
    ({ number }) => number % 3 < 2 ? { status: [429, 503][number % 2], headers: retry } : honest(),
    async ({ folder, pull, notices }) => {
      await pull({ retryMs: 60_000, connections: 1 });
      await assertPulled(folder);
      assertStringIncludes(notices[0], "answered 429: too many requests: trying again");
    },
  );
  await withPulling(
    () => ({ status: 429, headers: { "retry-after": "3600" } }),
    async ({ pull }) => {
      await assertRejects(() => pull(), Error, "asks to come back in 60 minutes");
    },
  );
  await withPulling(() => ({ status: 500 }), async ({ pull, server }) => {
    await assertRejects(() => pull({ retries: 3 }), Error, "answered 500: it is unwell");
    assertEquals(server.asked.length, 4);
  });
});

Deno.test("pullModel() keeps nothing that its checksum does not allow", () =>
  withPulling(() => honest(OTHER_MODEL), async ({ folder, pull }) => {
    await assertRejects(() => pull({ sha256: MODEL_SHA256 }), Error, `should be ${MODEL_SHA256}`);
    assertEquals(await names(folder), [".partial"]);
    assertEquals(await names(`${folder}/.partial`), []);
    await assertRejects(() => pull({ sha256: "abc" }), Error, "64 hexadecimal digits");
  }));

Deno.test("pullModel() counts nothing as a model whose header is none", async () => {
  await withPulling(
    () => ({ body: new TextEncoder().encode("<html>Please log in</html>") }),
    async ({ pull, folder }) => {
      await assertRejects(() => pull(), Error, "does not begin as a model does");
      assertEquals(await names(folder), []);
    },
  );
  const hostile = MODEL.slice(0, 200_000).fill(0xff, 8, 24);
  await withPulling(() => honest(hostile), async ({ pull, folder }) => {
    await assertRejects(() => pull(), Error, "Cannot");
    assertEquals(await names(folder), [".partial"]);
    assertEquals(await names(`${folder}/.partial`), []);
  });
});

// fault 36: the end at any moment.
Deno.test("pullModel() interrupted 20 times ends byte-identical, and brings few bytes twice", () => {
  const rng = new Rng(4);
  return withPulling(
    () => ({ ...honest(), pace: { bytes: 16_384, ms: 0 } }),
    async ({ folder, pull }) => {
      let received = 0;
      for (let i = 0; i < 20; i++) {
        const stop = new AbortController();
        let left = 20_000 + rng.float() * 200_000;
        let before: number | null = null;
        const onProgress = ({ doneBytes }: { doneBytes: number }) => {
          const came = doneBytes - (before ?? doneBytes);
          before = doneBytes;
          received += came;
          left -= came;
          if (left < 0) stop.abort(new Error("interrupted"));
        };
        await pull({ signal: stop.signal, onProgress }).catch((error) => {
          if (error.message !== "interrupted") throw error;
        });
      }
      const model = await pull();
      await assertPulled(folder);
      assertLess(received + model.receivedBytes, 4 * MODEL.length);
    },
  );
});

Deno.test("pullModel() brings a piece again that is not what its journal says", () =>
  withPulling(
    ({ number }) => number < 5 ? { ...honest(), cutAt: 300_000 } : honest(),
    async ({ folder, pull }) => {
      await assertRejects(() => pull({ retries: 0, connections: 1 }));
      const path = `${folder}/.partial/tiny.gguf`;
      using file = await Deno.open(path, { write: true });
      await file.seek(1000, Deno.SeekMode.Start);
      await file.write(new Uint8Array([1, 2, 3]));
      await Deno.writeTextFile(`${path}.journal`, "2 99999999999\n3 12", { append: true });
      await pull();
      await assertPulled(folder);
    },
  ));

Deno.test("pullModel() takes http from this machine, or with a checksum", () =>
  withPulling(() => honest(), async ({ folder, pull }) => {
    await assertRejects(
      () => pullModel("http://models.example/a.gguf", { folder, ...QUICK }),
      Error,
      "say what it must be with --sha256",
    );
    assertEquals((await pull({ sha256: MODEL_SHA256 })).files[0].sha256, MODEL_SHA256);
  }));

Deno.test("pullModel() offline knows what is there, and asks nobody", () =>
  withPulling(() => honest(), async ({ server, pull }) => {
    await assertRejects(() => pull({ offline: true }), Error, "--offline forbids to fetch it");
    assertEquals(server.asked, []);
    await pull();
    const before = server.asked.length;
    assertEquals((await pull({ offline: true })).wasThere, true);
    assertEquals(server.asked.length, before);
  }));
