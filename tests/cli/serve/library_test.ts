import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Ollama } from "ollama/browser";
import { RequestError } from "../../../src/base/errors.ts";
import { mayChange, ServedLibrary } from "../../../src/cli/serve/served_library.ts";
import { FileCatalog } from "../../../src/models/mod.ts";
import type { Disk } from "../../../src/pull/disk.ts";
import { ModelStore } from "../../../src/pull/mod.ts";
import { hub } from "../../pull/fake_hub.ts";
import { type Answer, type Ask, type FaultyServer, serveFaulty } from "../../pull/faulty_server.ts";
import { honest, MODEL, names } from "../../pull/pull_support.ts";
import { runCli, startCli } from "../run_cli.ts";
import { finish, Log } from "../server_process.ts";

/** A server with an empty folder of models, and a hub. */
async function withLibrary(
  answer: (ask: Ask) => Answer,
  use: (
    job: { client: Ollama; url: string; folder: string; server: FaultyServer },
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(answer);
  const flags = ["--models-dir", folder, "--manage-models", "--port", "0", "--threads", "1"];
  const child = startCli(["serve", ...flags], { env: { HF_ENDPOINT: server.url } });
  await child.stdin.close();
  const log = new Log(child.stderr);
  try {
    const [, url] = await log.match(/ at (http:\/\/127\.0\.0\.1:\d+)/);
    await use({ client: new Ollama({ host: url }), url, folder, server });
  } finally {
    child.kill("SIGTERM");
    await finish(child, log);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("serve --manage-models lets Ollama's client pull a model, use it and delete it", () =>
  withLibrary(
    hub({ "tiny.Q4_K_M.gguf": MODEL }, { pace: { bytes: 65_536, ms: 5 } }),
    async ({ client, folder, url }) => {
      const model = "hf.co/user/repo";
      // Two at once: one download.
      const [parts] = await Promise.all([
        Array.fromAsync(await client.pull({ model, stream: true })),
        client.pull({ model }),
      ]);
      assertEquals(parts[0].status, "pulling manifest");
      assertEquals(parts.at(-1)?.status, "success");
      const bars = parts.filter(({ total }) => total !== undefined);
      assert(bars.length > 1 && bars.every(({ total }) => total === MODEL.length));
      assertEquals((await client.list()).models.map(({ name }) => name), ["tiny.Q4_K_M"]);
      const prompt = "a";
      const answer = await client.generate({
        ...{ model: "tiny.Q4_K_M", prompt, raw: true, options: { num_predict: 1 } },
      });
      assertEquals(answer.done, true);
      await client.delete({ model: "tiny.Q4_K_M:latest" });
      assertEquals(await names(folder), [".partial"]);
      await assertRejects(() => client.delete({ model: "tiny.Q4_K_M" }), Error, "does not exist");
      const bad = await assertRejects(() => client.pull({ model: "llama3", stream: true }));
      assertEquals((bad as { status_code?: number }).status_code, 400);
      await assertRejects(() => client.pull({ model: "llama3" }), Error, "give hf:user/repo:QUANT");
      await assertRejects(
        () => client.pull({ model: `${url}/x.gguf` }),
        Error,
        "Cannot pull from an address for a client",
      );
      const failed = await fetch(`${url}/api/pull`, {
        method: "POST",
        body: JSON.stringify({ model: "hf:user/other" }),
      });
      // Also where the hub is asked first: nothing has come yet.
      assertEquals(failed.status, 404);
      assertMatch(
        await failed.text(),
        /^{"error":"Cannot pull hf:user\/other: .* 404: [^\n]*"code":"model_not_found"}$/,
      );
    },
  ));

Deno.test("serve finds a model by what it was pulled as, on every route", () =>
  withLibrary(
    hub({ "tiny.Q4_K_M.gguf": MODEL, "tiny.Q8_0.gguf": MODEL }),
    async ({ client, folder, url }) => {
      await client.pull({ model: "hf.co/user/repo:Q8_0" });
      await client.pull({ model: "hf.co/user/repo" });
      const ask = { prompt: "a", raw: true, options: { num_predict: 1 } };
      const called = async (model: string) => (await client.generate({ ...ask, model })).model;
      assertEquals(await called("hf.co/user/repo:Q8_0"), "tiny.Q8_0");
      assertEquals(await called("repo:q8_0"), "tiny.Q8_0");
      assertEquals(await called("hf:user/repo:latest"), "tiny.Q4_K_M");
      assertEquals((await client.show({ model: "user/repo:Q8_0" })).modelfile, "FROM tiny.Q8_0\n");
      const body = JSON.stringify({ model: "hf:user/repo:Q8_0", prompt: "a", max_tokens: 1 });
      const answer = await fetch(`${url}/v1/completions`, { method: "POST", body });
      assertEquals((await answer.json()).model, "tiny.Q8_0");
      const card = await fetch(`${url}/v1/models/hf.co/user/repo:Q8_0`);
      assertEquals((await card.json()).id, "tiny.Q8_0");
      await assertRejects(() => called("hf.co/user/repo:Q2_K"), Error, "does not exist here");
      await client.delete({ model: "hf.co/user/repo:Q8_0" });
      const left = await names(folder);
      assertEquals(left, [".partial", "tiny.Q4_K_M.gguf", "tiny.Q4_K_M.source.json"]);
    },
  ));

Deno.test("mayChange() is true of folders that are there and may be written to", async () => {
  const folder = await Deno.makeTempDir();
  assertEquals(mayChange(folder), true);
  await Deno.remove(folder);
  assertEquals(mayChange(folder), false);
});

Deno.test("serve ends a pull when its client has gone, and goes on with it for the next", () => {
  const pace = { bytes: 65_536, ms: 300 };
  return withLibrary(
    hub({ "tiny.gguf": MODEL }, { pace }),
    async ({ client, folder, server }) => {
      const parts = await client.pull({ model: "hf:user/repo", stream: true });
      for await (const { completed } of parts) if ((completed ?? 0) > 65_536) break;
      assert(server.openCount > 0);
      client.abort();
      // By itself it would go on for seconds.
      const patience = performance.now() + 1_500;
      while (server.openCount > 0 && performance.now() < patience) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assertEquals(server.openCount, 0);
      pace.ms = 0;
      const before = await Array.fromAsync(Deno.readDir(folder));
      assertEquals(before.map(({ name }) => name), [".partial"]);
      await client.pull({ model: "hf:user/repo" });
      assertEquals(await names(folder), [".partial", "tiny.gguf", "tiny.source.json"]);
      assertEquals((await Deno.stat(`${folder}/tiny.gguf`)).size, honest().body?.length);
    },
  );
});

Deno.test("serve --manage-models wants a folder that is there", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.remove(folder);
  const flags = ["--port", "0", "--threads", "1"];
  for (const more of [[], ["--models-dir", folder]]) {
    const { code, stderr } = await runCli(["serve", "--manage-models", ...flags, ...more], {
      env: { GANGLION_MODELS_DIR: "" },
    });
    assertEquals(code, 2);
    assertMatch(stderr, /Cannot use --manage-models: /);
  }
});

/** A library of a folder that its catalog spells in another way, and what it lets go. */
async function withFolder(
  use: (job: { folder: string; library: ServedLibrary; unloaded: string[] }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const unloaded: string[] = [];
  await using server = serveFaulty(hub({ "tiny.gguf": MODEL }));
  await Deno.writeFile(`${folder}/own.gguf`, MODEL);
  await Deno.writeFile(`${folder}/named.gguf`, MODEL);
  const files = [{ id: "named", path: `${folder}/named.gguf` }];
  const library = new ServedLibrary({
    catalog: new FileCatalog({ files, folder: `${folder}/./`, refreshMs: 0 }),
    registry: { unload: (id) => unloaded.push(id) > 0 },
    pull: { folder, endpoint: new URL(server.url) },
  });
  try {
    await use({ folder, library, unloaded });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ServedLibrary unloads what it replaces or deletes, however its folder is spelled", () =>
  withFolder(async ({ folder, library, unloaded }) => {
    const pull = { signal: new AbortController().signal, onProgress: () => {} };
    assertEquals(await library.pull("hf:user/repo", pull), "tiny");
    assertEquals(unloaded, ["tiny"]);
    assertEquals(library.remove("tiny"), true);
    assertEquals(unloaded, ["tiny", "tiny"]);
    assertEquals((await names(folder)).includes("tiny.gguf"), false);
  }));

Deno.test("ServedLibrary deletes only what was pulled, and nothing that serve was started with", () =>
  withFolder(async ({ folder, library }) => {
    assertThrows(() => library.remove("own"), RequestError, "nobody pulled it");
    const source = { source: "hf:user/repo", pulledAt: "2026-11-26T00:00:00Z" };
    const files = [{ name: "named.gguf", sizeBytes: 1, sha256: null, validator: null }];
    new ModelStore(folder).keepRecord("named", { ...source, files });
    assertThrows(() => library.remove("named"), RequestError, "was started with it");
    assertEquals(library.remove("nobody"), false);
    assertEquals((await names(folder)).slice(0, 2), ["named.gguf", "named.source.json"]);
  }));

/** What a library with this hub and this disk refuses a pull with. */
async function refusal(
  answer: (ask: Ask) => Answer,
  { disk, reference = "hf:user/repo" }: { disk?: Disk; reference?: string } = {},
): Promise<{ error: RequestError; folder: string }> {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(answer);
  await Deno.writeFile(`${folder}/other.gguf`, MODEL.subarray(1));
  const library = new ServedLibrary({
    catalog: new FileCatalog({ files: [], folder }),
    registry: { unload: () => true },
    pull: { folder, endpoint: new URL(server.url), retries: 0, ...(disk && { disk }) },
  });
  const pull = { signal: new AbortController().signal, onProgress: () => {} };
  try {
    return {
      error: await assertRejects(() => library.pull(reference, pull), RequestError),
      folder,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("ServedLibrary says by a status why nothing came, and never where its folder is", async () => {
  const said = (status: number, headers = {}) => () => ({ status, headers });
  const tiny = hub({ "tiny.gguf": MODEL });
  const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  const write = () => {
    throw full;
  };
  const cases: [Parameters<typeof refusal>, number, string][] = [
    [[tiny, { reference: "../etc/passwd" }], 400, "invalid_value"],
    [[hub({ "a.gguf": MODEL, "b.gguf": MODEL })], 400, "invalid_value"],
    [[said(401)], 403, "model_not_permitted"],
    [[said(403)], 403, "model_not_permitted"],
    // What the hub says to whoever shows no token, where there is no such repository.
    [[said(401, { "x-error-code": "RepoNotFound" })], 404, "model_not_found"],
    [[said(404)], 404, "model_not_found"],
    [[hub({ "read.me": MODEL })], 404, "model_not_found"],
    [[tiny, { reference: "hf:user/repo:Q2_K" }], 404, "model_not_found"],
    [[hub({ "other.gguf": MODEL })], 409, "model_in_use"],
    [[said(429, { "retry-after": "3600" })], 503, "hub_busy"],
    [[said(500)], 502, "pull_failed"],
    [[hub({ "tiny.gguf": new TextEncoder().encode("GGUF and no more") })], 502, "pull_failed"],
    [[tiny, { disk: { freeBytes: () => 1 << 20, write } }], 507, "disk_full"],
    [[tiny, { disk: { freeBytes: () => null, write } }], 507, "disk_full"],
  ];
  for (const [[answer, options], status, code] of cases) {
    const { error, folder } = await refusal(answer, options);
    assertEquals([error.status, error.code], [status, code], error.message);
    assert(!error.message.includes(folder), error.message);
  }
});

Deno.test("serve --models-dir is where its own MODEL is looked for, and pulled to", async () => {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(hub({ "tiny.gguf": MODEL }));
  const flags = ["--models-dir", folder, "--port", "0", "--threads", "1"];
  const child = startCli(["serve", "hf:user/repo", ...flags], {
    env: { HF_ENDPOINT: server.url, GANGLION_MODELS_DIR: `${folder}/elsewhere` },
  });
  await child.stdin.close();
  const log = new Log(child.stderr);
  try {
    await log.match(/Serving tiny at http/);
    assertEquals(await names(folder), [".partial", "tiny.gguf", "tiny.source.json"]);
  } finally {
    child.kill("SIGTERM");
    await finish(child, log);
    await Deno.remove(folder, { recursive: true });
  }
});
