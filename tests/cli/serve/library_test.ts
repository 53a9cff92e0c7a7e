import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Ollama } from "ollama/browser";
import { mayChange } from "../../../src/cli/serve/served_library.ts";
import { hub } from "../../pull/fake_hub.ts";
import { type Answer, type Ask, serveFaulty } from "../../pull/faulty_server.ts";
import { honest, MODEL, names } from "../../pull/pull_support.ts";
import { startCli } from "../run_cli.ts";
import { finish, Log } from "../server_process.ts";

/** A server with an empty folder of models, and a hub. */
async function withLibrary(
  answer: (ask: Ask) => Answer,
  use: (job: { client: Ollama; url: string; folder: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(answer);
  const child = startCli(["serve", "--models-dir", folder, "--port", "0", "--threads", "1"], {
    env: { HF_ENDPOINT: server.url },
  });
  await child.stdin.close();
  const log = new Log(child.stderr);
  try {
    const [, url] = await log.match(/ at (http:\/\/127\.0\.0\.1:\d+)/);
    await use({ client: new Ollama({ host: url }), url, folder });
  } finally {
    child.kill("SIGTERM");
    await finish(child, log);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("serve --models-dir lets Ollama's client pull a model, use it and delete it", () =>
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

Deno.test("serve ends a pull when its client has gone, and goes on with it for the next", () =>
  withLibrary(
    hub({ "tiny.gguf": MODEL }, { pace: { bytes: 65_536, ms: 30 } }),
    async ({ client, folder }) => {
      const parts = await client.pull({ model: "hf:user/repo", stream: true });
      for await (const { completed } of parts) if ((completed ?? 0) > 200_000) break;
      client.abort();
      const before = await Array.fromAsync(Deno.readDir(folder));
      assertEquals(before.map(({ name }) => name), [".partial"]);
      await client.pull({ model: "hf:user/repo" });
      assertEquals(await names(folder), [".partial", "tiny.gguf", "tiny.source.json"]);
      assertEquals((await Deno.stat(`${folder}/tiny.gguf`)).size, honest().body?.length);
    },
  ));
