import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hub } from "../pull/fake_hub.ts";
import { type Answer, type Ask, serveFaulty } from "../pull/faulty_server.ts";
import { assertPulled, honest, MODEL, MODEL_SHA256 } from "../pull/pull_support.ts";
import { runCli, startCli } from "./run_cli.ts";
import "../support/thread_pool.ts";

/** A server, and `ganglion` with an empty folder of models. */
async function withStore(
  answer: (ask: Ask) => Answer,
  use: (job: {
    url: string;
    folder: string;
    env: Record<string, string>;
    run: (...args: string[]) => ReturnType<typeof runCli>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  await using server = serveFaulty(answer);
  const env = { GANGLION_MODELS_DIR: folder };
  try {
    const run = (...args: string[]) => runCli(args, { env });
    await use({ url: server.url, folder, env, run });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("pull, list, show, run and rm know a model by its name", () =>
  withStore(() => honest(), async ({ url, folder, run }) => {
    const none = await run("list");
    assertEquals([none.code, none.stdout], [0, ""]);
    assertMatch(none.stderr, /^No models in .*: ganglion pull hf:user/);
    const { code, stdout, stderr } = await run("pull", `${url}/tiny.gguf`, "--json");
    assertEquals(code, 0, stderr);
    const pulled = JSON.parse(stdout);
    assertEquals(
      [pulled.model, pulled.path, pulled.bytes, pulled.received_bytes, pulled.was_there],
      [
        ...["tiny", `${folder}/tiny.gguf`, MODEL.length, MODEL.length, false],
      ],
    );
    await assertPulled(folder);
    const list = await run("ls");
    assertMatch(
      list.stdout,
      /^NAME +SIZE +MODIFIED +FROM\ntiny +3\.\d MiB +\d+ s ago +http:\/\/127/,
    );
    assertEquals(JSON.parse((await run("show", "tiny", "--json")).stdout).arch, "llama");
    const answer = await run("run", "tiny", "hello there", "--max-tokens", "2", "--threads", "1");
    assertEquals(answer.code, 0, answer.stderr);
    const wrong = await run("show", "tinny");
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, 'Cannot find a model "tinny": did you mean "tiny"?');
    assertEquals((await run("rm", "tiny")).stdout, "tiny is gone: tiny.gguf\n");
    const gone = await run("rm", "tiny");
    assertEquals(gone.code, 1);
    assertStringIncludes(gone.stderr, 'Cannot remove "tiny": it is no file');
  }));

// fault 36: kill -9 at any moment.
Deno.test("pull, killed three times, goes on where it was and ends byte-identical", () =>
  withStore(
    () => ({ ...honest(), pace: { bytes: 65_536, ms: 25 } }),
    async ({ url, folder, env, run }) => {
      for (const bytes of [1, 400_000, 900_000]) {
        const child = startCli(["pull", `${url}/tiny.gguf`], { env });
        await waitFor(async () => await writtenBytes(`${folder}/.partial/tiny.gguf`) >= bytes);
        child.kill("SIGKILL");
        await Promise.all([
          child.status,
          child.stdin.abort().catch(() => {}),
          child.stdout.cancel(),
        ]);
        await child.stderr.cancel();
      }
      const { stdout, stderr } = await run("pull", `${url}/tiny.gguf`, "--json");
      assertEquals(JSON.parse(stdout || stderr).model, "tiny");
      await assertPulled(folder);
    },
  ));

Deno.test("run fetches a model that is named by a reference, once", () =>
  withStore(hub({ "tiny.gguf": MODEL }), async ({ url, env }) => {
    const args = ["run", "hf:user/repo", "hello there", "--max-tokens", "1", "--threads", "1"];
    const first = await runCli(args, { env: { ...env, HF_ENDPOINT: url } });
    assertEquals(first.code, 0, first.stderr);
    // It is here now: no hub is asked.
    const again = await runCli(args, { env: { ...env, HF_ENDPOINT: "http://127.0.0.1:1" } });
    assertEquals(again.code, 0, again.stderr);
  }));

Deno.test("pull goes through HTTP_PROXY, and tells plain lines where there is no terminal", () =>
  withStore(() => honest(), async ({ url, folder, env }) => {
    const args = ["pull", "http://models.invalid/tiny.gguf", "--sha256", MODEL_SHA256];
    const proxied = await runCli(args, { env: { ...env, HTTP_PROXY: url } });
    assertEquals(proxied.code, 0, proxied.stderr);
    assertMatch(proxied.stdout, /^tiny: 3\.\d MiB, /);
    // A machine that has much to do takes long enough to show how far it is.
    assertMatch(proxied.stderr, /^(Pulling [^\n]+ MiB\)\n)*Try it: ganglion run tiny\n$/);
    await assertPulled(folder);
  }));

Deno.test("pull refuses what cannot be meant, with 2, and what does not come, with 1", () =>
  withStore(() => ({ status: 404 }), async ({ url, run, env }) => {
    const cases: [string[], number, string][] = [
      [["llama3"], 2, "give hf:user/repo:QUANT"],
      [["hf:user"], 2, "not of the form hf:user/repo:QUANT"],
      [[`${url}/tiny.exe`], 2, "ends in .gguf or .ganglion"],
      [[`${url}/tiny.gguf`, "--offline"], 1, "--offline forbids"],
      [[`${url}/tiny.gguf`], 1, "answered 404"],
    ];
    for (const [args, code, message] of cases) {
      const result = await run("pull", ...args);
      assertStringIncludes(result.stderr, message);
      assertEquals([result.code, result.stdout], [code, ""], args.join(" "));
    }
    const hub = await runCli(["pull", "hf:user/repo"], { env: { ...env, HF_ENDPOINT: "here" } });
    assertStringIncludes(hub.stderr, 'Cannot use HF_ENDPOINT: "here" is no address');
  }));

async function writtenBytes(path: string): Promise<number> {
  try {
    return ((await Deno.stat(path)).blocks ?? 0) * 512;
  } catch {
    return 0;
  }
}

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 10));
}
