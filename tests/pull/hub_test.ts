import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ModelStore, pullModel } from "../../src/pull/mod.ts";
import { chooseFiles, chooseProjector } from "../../src/pull/hub.ts";
import { parseReference, renamed, safeFileName, sourceOf } from "../../src/pull/reference.ts";
import { Web } from "../../src/pull/web.ts";
import { encodeGguf, text, u32 } from "../../src/gguf/mod.ts";
import { openModelFile } from "../../src/bundle/mod.ts";
import { COMMIT, hub } from "./fake_hub.ts";
import { serveFaulty } from "./faulty_server.ts";
import { honest, MODEL, MODEL_SHA256, names, QUICK, withPulling } from "./pull_support.ts";

const FILES = {
  "README.md": new TextEncoder().encode("# read me"),
  "tiny.Q4_K_M.gguf": MODEL,
  "tiny.Q8_0.gguf": MODEL,
};

Deno.test("pullModel() of hf:user/repo takes Q4_K_M of the commit that was listed, checked by its sum", () =>
  withPulling(hub(FILES), async ({ folder, server }) => {
    const endpoint = new URL(server.url);
    const options = { folder, endpoint, ...QUICK };
    const model = await pullModel("hf:user/repo", options);
    assertEquals([model.id, model.files[0].sha256], ["tiny.Q4_K_M", MODEL_SHA256]);
    assertEquals(server.asked[1].path, `/user/repo/resolve/${COMMIT}/tiny.Q4_K_M.gguf`);
    assertEquals(new ModelStore(folder).pathOf("hf:User/Repo"), model.path);
    assertEquals((await pullModel("hf:user/repo:q8_0", options)).id, "tiny.Q8_0");
    await assertRejects(
      () => pullModel("hf:user/repo:Q5_0", options),
      Error,
      'it has no "Q5_0": name one of tiny.Q4_K_M.gguf, tiny.Q8_0.gguf, or its quantisation',
    );
  }));

Deno.test("pullModel() brings all parts of a split model, and makes it one at the end only", async () => {
  const parts = splitModel();
  const files = {
    "Q8_0/big-00001-of-00002.gguf": parts[0],
    "Q8_0/big-00002-of-00002.gguf": parts[1],
  };
  await withPulling(hub(files), async ({ folder, server }) => {
    const options = { folder, endpoint: new URL(server.url), ...QUICK };
    const model = await pullModel("hf:user/repo:Q8_0", options);
    assertEquals(model.id, "big");
    assertEquals(openModelFile(model.path).file.parts.length, 2);
    // As a crash between the two parts leaves it.
    await Deno.remove(`${folder}/big.source.json`);
    await Deno.remove(model.path);
    assertEquals((await pullModel("hf:user/repo:Q8_0", options)).receivedBytes, parts[0].length);
    const store = new ModelStore(folder);
    assertEquals(store.list().map(({ id, sizeBytes }) => [id, sizeBytes]), [
      ["big", parts[0].length + parts[1].length],
    ]);
    assertEquals(store.remove("big").length, 2);
    assertEquals(await names(folder), [".partial"]);
    const byUrl = `${server.url}/user/repo/resolve/${COMMIT}/Q8_0/big-00002-of-00002.gguf`;
    assertEquals((await pullModel(byUrl, options)).id, "big");
  });
  const one = { "Q8_0/big-00001-of-00002.gguf": parts[0] };
  await withPulling(hub(one), async ({ folder, server }) => {
    await assertRejects(
      () => pullModel("hf:user/repo:Q8_0", { folder, endpoint: new URL(server.url), ...QUICK }),
      Error,
      "some are missing",
    );
  });
});

Deno.test("pullModel() brings a model's projector along, under the model's name", () =>
  withPulling(
    hub({ ...FILES, "mmproj-F16.gguf": MODEL.slice(), "mmproj-Q8_0.gguf": MODEL }),
    async ({ folder, server }) => {
      const options = { folder, endpoint: new URL(server.url), ...QUICK };
      const model = await pullModel("hf:user/repo", options);
      const files = ["tiny.Q4_K_M.gguf", "tiny.Q4_K_M.mmproj.gguf"];
      assertEquals(model.files.map(({ name }) => name), files);
      assertEquals(server.asked.at(-1)!.path, `/user/repo/resolve/${COMMIT}/mmproj-Q8_0.gguf`);
      assertEquals((await pullModel("hf:user/repo", options)).wasThere, true);
      const store = new ModelStore(folder);
      assertEquals(store.list().map(({ id, sizeBytes }) => [id, sizeBytes]), [
        ["tiny.Q4_K_M", 2 * MODEL.length],
      ]);
      // What was pulled before there was one, or without it, gets it.
      await Deno.remove(`${folder}/${files[1]}`);
      assertEquals((await pullModel("hf:user/repo", options)).receivedBytes, MODEL.length);
      assertEquals(store.remove("tiny.Q4_K_M"), files);
      assertEquals(await names(folder), [".partial"]);
    },
  ));

Deno.test("chooseProjector() takes the model's own, and what is fastest of it", () => {
  const of = (model: string, ...paths: string[]) =>
    chooseProjector(paths.map((rfilename) => ({ rfilename })), model)?.rfilename;
  assertEquals(of("a.gguf", "a.gguf", "b.gguf"), undefined);
  assertEquals(
    of("a.gguf", "mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"),
    "mmproj-F16.gguf",
  );
  assertEquals(of("x/a.gguf", "mmproj-Q8_0.gguf", "x/mmproj-a-f16.gguf"), "x/mmproj-a-f16.gguf");
  assertEquals(of("x/a.gguf", "y/mmproj-model-f16.gguf"), "y/mmproj-model-f16.gguf");
  assertEquals(of("a.gguf", "a.mmproj.gguf"), "a.mmproj.gguf");
  assertEquals(of("a.gguf", "../mmproj-F16.gguf", "mmproj-F16.txt", "summproj.gguf"), undefined);
});

Deno.test("pullModel() by another name of the same files brings nothing, and moves nothing", () =>
  withPulling(hub(FILES), async ({ folder, server }) => {
    const options = { folder, endpoint: new URL(server.url), ...QUICK };
    const { path } = await pullModel("hf:user/repo:Q4_K_M", options);
    const { ino } = await Deno.stat(path);
    const gone = new AbortController();
    const onProgress = () => gone.abort(new Error("gone"));
    const again = await pullModel("hf:user/repo", { ...options, signal: gone.signal, onProgress });
    assertEquals([again.wasThere, again.receivedBytes], [true, 0]);
    assertEquals((await Deno.stat(path)).ino, ino);
    assertEquals(new ModelStore(folder).pathOf("hf:user/repo"), path);
  }));

Deno.test("pullModel() leaves parts in their place until all others have come", async () => {
  const [first, second] = splitModel();
  const other = second.slice();
  other[other.length - 1] ^= 1;
  const PARTS = ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"];
  const files: Record<string, Uint8Array> = { [PARTS[0]]: first, [PARTS[1]]: second };
  await withPulling(hub(files), async ({ folder, server }) => {
    const options = { folder, endpoint: new URL(server.url), ...QUICK };
    const { path, id } = await pullModel("hf:user/repo", options);
    const partial = [".partial", ...PARTS, "big.source.json"];
    files[PARTS[1]] = other;
    // Another repository whose first part is the same: refused, and nothing has changed.
    const foreign = () => pullModel("hf:user/repo:big", options);
    await assertRejects(foreign, Error, "which is from hf:user/repo");
    assertEquals(await names(folder), partial);
    assertEquals(openModelFile(path).file.parts.length, 2);
    // A new version of one part, and an end before it has come.
    const gone = new AbortController();
    const onProgress = () => gone.abort(new Error("gone"));
    const watched = { ...options, signal: gone.signal, onProgress };
    await assertRejects(() => pullModel("hf:user/repo", watched), Error, "gone");
    assertEquals(await names(folder), partial);
    assertEquals((await pullModel("hf:user/repo", options)).receivedBytes, other.length);
    assertEquals(await Deno.readFile(path), first);
    assertEquals(await Deno.readFile(`${folder}/${PARTS[1]}`), other);
    assertEquals(await names(`${folder}/.partial`), []);
    assertEquals(new ModelStore(folder).list().map((model) => model.id), [id]);
  });
});

/** A model in two files, which has nothing but a small tensor in each. */
function splitModel(): [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const part = (no: number) =>
    encodeGguf({
      metadata: [
        ["general.architecture", text("llama")],
        ["split.no", u32(no)],
        ["split.count", u32(2)],
        ["split.tensors.count", u32(2)],
      ],
      tensors: [{
        name: `blk.${no}.x`,
        type: "F32",
        dims: [32],
        pieces: () => [new Uint8Array(128).fill(no)],
      }],
    });
  return [part(0), part(1)];
}

// fault 33: redirects.
Deno.test("pullModel() shows the token to the hub, and to no host that it redirects to", async () => {
  await using store = serveFaulty(() => honest());
  const answer = hub(FILES);
  await withPulling((ask) => {
    if (!ask.path.includes("/resolve/")) return answer(ask);
    const headers = { location: `${store.url}/blob?x=1`, "x-linked-size": `${MODEL.length}` };
    return { status: 302, headers };
  }, async ({ folder, server }) => {
    const options = { folder, endpoint: new URL(server.url), token: "hf_secret", ...QUICK };
    assertEquals((await pullModel("hf:user/repo", options)).receivedBytes, MODEL.length);
    for (const { headers } of server.asked) {
      assertEquals(headers.get("authorization"), "Bearer hf_secret");
    }
    for (const { headers } of store.asked) assertEquals(headers.get("authorization"), null);
    const record = await Deno.readTextFile(`${folder}/tiny.Q4_K_M.source.json`);
    assertEquals(record.includes("hf_secret"), false);
  });
});

Deno.test("pullModel() follows no redirects in a circle, to nowhere, or out of https", async () => {
  const cases: [string | undefined, string][] = [
    ["/tiny.gguf", "redirects in a circle"],
    [undefined, "redirects to nowhere"],
    ["file:///etc/passwd", "not of the web"],
  ];
  for (const [location, message] of cases) {
    const headers: Record<string, string> = location === undefined ? {} : { location };
    await withPulling(() => ({ status: 302, headers }), async ({ pull, server }) => {
      await assertRejects(() => pull(), Error, message);
      assertEquals(server.asked.length, 1);
    });
  }
  await withPulling(
    ({ number }) => ({ status: 307, headers: { location: `/${number}` } }),
    async ({ pull }) => {
      await assertRejects(() => pull(), Error, "redirects in a circle");
    },
  );
  const ask = globalThis.fetch;
  const web = new Web({ endpoint: new URL("https://hub.example"), token: "t", stallMs: 1000 });
  try {
    globalThis.fetch = () =>
      Promise.resolve(
        new Response(null, { status: 302, headers: { location: "http://a.example" } }),
      );
    await assertRejects(
      () => web.get(new URL("https://hub.example/x")),
      Error,
      "redirects from https to http",
    );
  } finally {
    globalThis.fetch = ask;
  }
});

Deno.test("chooseFiles() finds a quantisation by its whole name, and no projector", () => {
  const choose = (choice: string | null, ...paths: string[]) =>
    chooseFiles(paths.map((rfilename) => ({ rfilename })), { repo: "u/r", choice })
      .map(({ rfilename }) => rfilename).join();
  assertEquals(choose("Q4_K", "a-Q4_K_M.gguf", "a-Q4_K.gguf"), "a-Q4_K.gguf");
  assertEquals(choose("q4_k_m", "a-UD-Q4_K_M.gguf", "a-Q4_K_M.gguf"), "a-Q4_K_M.gguf");
  assertEquals(choose("Q4_0", "x/Q4_0/a.gguf", "a-Q4_0_4_4.gguf"), "x/Q4_0/a.gguf");
  assertEquals(choose(null, "a-Q8_0.gguf", "a-Q4_0.gguf", "mmproj-Q4_K_M.gguf"), "a-Q4_0.gguf");
  assertEquals(choose(null, "a.gguf", "mmproj-a.gguf"), "a.gguf");
  assertEquals(choose("b.gguf", "x/b.gguf", "a.gguf"), "x/b.gguf");
  assertThrows(() => choose(null, "a.gguf", "b.gguf"), Error, "it has several models: name one");
  assertThrows(() => choose(null, "model.safetensors"), Error, "it has no .gguf file");
  assertThrows(() => choose(null, "../../a.gguf"), Error, "it has no .gguf file");
  assertThrows(() => choose("Q4.*", "a-Q4_0.gguf"), Error, 'no "Q4.*"');
});

Deno.test("parseReference() takes what people copy, and nothing that leads elsewhere", () => {
  const of = (reference: string) => sourceOf(parseReference(reference));
  assertEquals(of("hf:user/repo"), "hf:user/repo");
  assertEquals(of("hf.co/user/repo:Q8_0"), "hf:user/repo:Q8_0");
  assertEquals(of("https://huggingface.co/user/repo"), "hf:user/repo");
  const page = "https://huggingface.co/user/repo/resolve/main/a.gguf";
  assertEquals(of(`${page}?download=true`), page);
  for (
    const wrong of [
      ...["", "llama3", "hf:", "hf:user", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b:../x"],
      ...["hf:a/b:", "ftp://a/b.gguf", "https://u:p@a.example/b.gguf", "hf:a/b:x y"],
    ]
  ) assertThrows(() => parseReference(wrong), Error, "Cannot pull");
});

Deno.test("safeFileName() keeps names within the folder, and renamed() keeps what they end in", () => {
  assertEquals(safeFileName("a/b/c.gguf"), "c.gguf");
  assertEquals(safeFileName("Größe (1).Q4_0.GGUF"), "Größe (1).Q4_0.GGUF");
  for (
    const wrong of [
      ...["..\\x.gguf", ".gguf", ".hidden.gguf", "a.exe", "con.gguf", "a\0.gguf", "a\n.gguf"],
      ...["", "a/", "-rf.gguf", `${"x".repeat(300)}.gguf`, "a\u202e.gguf", "C:x.gguf"],
    ]
  ) assertThrows(() => safeFileName(wrong), Error, "Cannot keep a file named");
  assertEquals(renamed("x-00001-of-00002.gguf", "y"), "y-00001-of-00002.gguf");
  for (const wrong of ["../y", "a/b", "a\\b", ""]) {
    assertThrows(() => renamed("x.gguf", wrong), Error, "Cannot keep a file named");
  }
});

Deno.test("pullModel() of an address that hides a path keeps to the folder", () =>
  withPulling(() => honest(), async ({ folder, server }) => {
    const inner = `${folder}/store`;
    const model = await pullModel(`${server.url}/x%2f..%2f..%2ftiny.gguf`, {
      folder: inner,
      ...QUICK,
    });
    assertEquals(model.path, `${inner}/tiny.gguf`);
    assertEquals(await names(folder), ["store"]);
  }));
