import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Ollama } from "ollama/browser";
import { RequestError } from "../../../src/base/errors.ts";
import { mayChange, ServedLibrary } from "../../../src/cli/serve/served_library.ts";
import { FileCatalog } from "../../../src/models/mod.ts";
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
      assertMatch(
        await failed.text(),
        /\n{"error":"Cannot pull hf:user\/other: .* 404: [^\n]*"code":"pull_failed"}\n$/,
      );
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

Deno.test("serve lets clients change no folder that --manage-models was not given for", async () => {
  const folder = await Deno.makeTempDir();
  const flags = ["--port", "0", "--threads", "1"];
  const child = startCli(["serve", ...flags], { env: { GANGLION_MODELS_DIR: folder } });
  await child.stdin.close();
  const log = new Log(child.stderr);
  try {
    const [, url] = await log.match(/ at (http:\/\/127\.0\.0\.1:\d+)/);
    const ask = async (path: string, method: string) => {
      const body = JSON.stringify({ model: "hf:user/repo", stream: false });
      const response = await fetch(url + path, { method, body });
      return [response.status, (await response.json()).code];
    };
    assertEquals(await ask("/api/pull", "POST"), [501, "not_supported"]);
    assertEquals(await ask("/api/delete", "DELETE"), [403, "not_supported"]);
  } finally {
    child.kill("SIGTERM");
    await finish(child, log);
    await Deno.remove(folder, { recursive: true });
  }
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
