/** `serve` as operators meet it: signals, keys, certificates, logs, several models. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { tinyModel } from "../support/tiny_model.ts";
import { runCli, startCli, withTinyModel } from "./run_cli.ts";
import { finish, Log } from "./server_process.ts";

interface Started {
  readonly child: Deno.ChildProcess;
  readonly log: Log;
  readonly url: string;
  readonly port: string;
}

/** Starts a server and calls `use` when it serves; ends it if `use` has not. */
async function withServe(
  args: readonly string[],
  use: (server: Started) => Promise<void>,
): Promise<void> {
  const child = startCli(["serve", ...args, "--port", "0", "--threads", "1"]);
  await child.stdin.close();
  const log = new Log(child.stderr);
  let isEnded = false;
  child.status.then(() => isEnded = true);
  try {
    const [, url, port] = await log.match(/Serving .* at (https?:\/\/127\.0\.0\.1:(\d+))/);
    await use({ child, log, url, port });
  } finally {
    if (!isEnded) child.kill("SIGTERM");
    await finish(child, log);
  }
}

/** Posts a chat, by default one that takes seconds. */
function chat(url: string, fields: Record<string, unknown> = {}, headers: HeadersInit = {}) {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers,
    body: JSON.stringify({
      stream: true,
      ignore_eos: true,
      max_tokens: 4000,
      messages: [{ role: "user", content: "A SECRET" }],
      ...fields,
    }),
  });
}

const LONG = { contextLength: 8192 };

// fault 58: SIGTERM, busy and twice; SIGHUP.
Deno.test("serve lets running answers end on SIGTERM and ends with 0", () =>
  withTinyModel((path) =>
    withServe([path], async ({ child, url }) => {
      const answer = await chat(url, { max_tokens: 300 });
      child.kill("SIGTERM");
      const text = await answer.text();
      assert(text.endsWith("data: [DONE]\n\n"), text.slice(-300));
      assertEquals((await child.status).code, 0);
    }), LONG));

Deno.test("serve cuts answers short on a second SIGTERM, and when draining takes too long", () =>
  withTinyModel(async (path) => {
    for (const isTold of [true, false]) {
      await withServe([path, "--drain-timeout", isTold ? "60" : "0.05"], async (server) => {
        const { child, log, url } = server;
        const answer = await chat(url);
        child.kill("SIGTERM");
        await log.match(/Stopping when/);
        assertEquals((await fetch(`${url}/readyz`).then(drained)).status, 503);
        if (isTold) child.kill("SIGTERM");
        assertMatch(await answer.text(), /"code":"shutting_down"/);
        assertEquals((await child.status).code, 1);
        await log.ended;
        assertMatch(log.text, /error: Cannot finish 1 answer before leaving: cut short/);
      });
    }
  }, LONG));

async function drained(response: Response): Promise<Response> {
  await response.body?.cancel();
  return response;
}

/** Of a server with `TEMPLATE`: it bounds thoughts where a request says nothing. */
async function assertBoundsThoughts(url: string, headers: HeadersInit): Promise<void> {
  const answers = [{}, { thinking_budget_tokens: -1 }].map(async (fields) => {
    const more = { stream: false, max_tokens: 60, temperature: 0, ...fields };
    const { choices: [{ message }] } = await (await chat(url, more, headers)).json();
    return message.content !== "";
  });
  assertEquals(await Promise.all(answers), [true, false]);
}

const TEMPLATE = "{{ messages[0].content }}<think>{# </think> #}";

Deno.test("serve takes a template and keys, reads these again on SIGHUP, and never logs them or prompts", () =>
  withTinyModel(async (path, folder) => {
    const [file, template] = [`${folder}/keys`, `${folder}/template.jinja`];
    await Deno.writeTextFile(file, "# ours\nkey-one\n");
    await Deno.writeTextFile(template, TEMPLATE);
    const flags = [
      ...["--api-key-file", file, "--api-key", "key-two"],
      ...["--chat-template-file", template, "--thinking-budget", "2"],
    ];
    await withServe([path, ...flags], async ({ child, log, url, port }) => {
      await assertBoundsThoughts(url, { authorization: "Bearer key-two" });
      const { code, stderr } = await runCli(["ps", "--port", port]);
      assertEquals(code, 1);
      assertMatch(stderr, /error: Cannot ask .*: it wants a key: give .* with --api-key/);
      const status = async (key: string) => {
        const response = await chat(url, { max_tokens: 1 }, { authorization: `Bearer ${key}` });
        await response.body?.cancel();
        return response.status;
      };
      assertEquals(await Promise.all(["key-one", "key-two", "key-3"].map(status)), [200, 200, 401]);
      await Deno.writeTextFile(file, "key-3\n");
      child.kill("SIGHUP");
      await log.match(/The keys were read again/);
      assertEquals(await Promise.all(["key-one", "key-two", "key-3"].map(status)), [401, 200, 200]);
      await Deno.writeTextFile(file, "\n"); // no key at all would open the door
      child.kill("SIGHUP");
      await log.match(/keys not read again/);
      assertEquals(await status("key-one"), 401);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
      await log.ended;
      for (const line of log.text.trim().split("\n")) assert(JSON.parse(line).event, line);
      assertEquals(/SECRET|key-(one|two|3)/.test(log.text), false, log.text);
    });
  }));

Deno.test("serve has several models: loaded when asked for, shown by ps, let go by stop", () =>
  withTinyModel(async (path, folder) => {
    await Deno.mkdir(`${folder}/more`);
    await Deno.writeFile(`${folder}/more/other.gguf`, tinyModel({ seed: 7 }));
    await Deno.writeTextFile(`${folder}/more/broken.gguf`, "no model");
    await withServe([path, "--models-dir", `${folder}/more`], async ({ url, port }) => {
      const ps = async (...more: string[]) => {
        const { stdout, stderr, code } = await runCli(["ps", "--json", "--port", port, ...more]);
        assertEquals(code, 0, stderr);
        return JSON.parse(stdout).models.map((model: { id: string; status: { value: string } }) =>
          `${model.id} ${model.status.value}`
        );
      };
      assertEquals(await ps(), ["tiny loaded"]);
      const ask = async (model: string) => {
        const response = await chat(url, { model, stream: false, max_tokens: 2 });
        return [response.status, await response.json()] as const;
      };
      const [status, answer] = await ask("other");
      assertEquals([status, answer.model], [200, "other"], JSON.stringify(answer));
      const [brokenStatus, { error }] = await ask("broken");
      assertEquals([brokenStatus, error.code], [500, "model_load_failed"]);
      assertEquals(await ps("--all"), ["tiny loaded", "broken unloaded", "other loaded"]);
      const stopped = await runCli(["stop", "tiny", "--url", url]);
      assertEquals([stopped.code, stopped.stdout], [
        0,
        "tiny leaves memory when its requests have ended\n",
      ]);
      let table = await runCli(["ps", "--port", port]);
      while (/ unloading /.test(table.stdout)) table = await runCli(["ps", "--port", port]);
      assertMatch(
        table.stdout,
        /^NAME +STATE +MEMORY .*\nother +loaded +[\d.]+ MiB +0 +0 +5 min\n$/,
      );
      const missing = await runCli(["stop", "nobody", "--port", port]);
      assertEquals(missing.code, 1);
      assertMatch(
        missing.stderr,
        /error: Cannot ask .*\/models\/unload: .*"nobody" does not exist/,
      );
    });
  }));

Deno.test("serve speaks HTTPS by --tls-cert and --tls-key, and says so where no models are yet", () =>
  withTinyModel(async (_path, folder) => {
    const pem = (name: string) => new URL(`../server/tls/${name}.pem`, import.meta.url).pathname;
    const flags = ["--tls-cert", pem("cert"), "--tls-key", pem("key")];
    await withServe(["--models-dir", `${folder}/none`, ...flags], async ({ child, log, url }) => {
      assertMatch(log.text, /Serving no models yet \(there are none in .*\/none\) at https/);
      assertMatch(url, /^https:/);
      using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(pem("cert"))] });
      const response = await fetch(`${url}/health`, { client });
      assertEquals(await response.json(), { status: "ok" });
      client.close();
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0);
    });
  }));

Deno.test("ps says so when no server is there", async () => {
  const { code, stderr } = await runCli(["ps", "--port", "1"]);
  assertEquals(code, 1);
  assertMatch(stderr, /error: Cannot reach a server at http:\/\/127\.0\.0\.1:1: /);
});

Deno.test("serve refuses flags that would leave the door open or closed", () =>
  withTinyModel(async (path, folder) => {
    await Deno.writeTextFile(`${folder}/empty`, "# none\n");
    const cases: [string[], RegExp][] = [
      [["--tls-cert", path], /--tls-cert and --tls-key are needed both/],
      [["--api-key-file", `${folder}/empty`], /holds no key/],
      [["--api-key-file", `${folder}/missing`], /Cannot use --api-key-file/],
      [["--keep-alive", "soon"], /A time is needed/],
      [[path], /Cannot serve two models named "tiny"/],
      [["--lora-model", "tiny=poet.gguf"], /--lora-model tiny: another model is called so/],
      [["--request-timeout", "0"], /A number of at least 0.001 is needed/],
    ];
    await Promise.all(cases.map(async ([flags, message]) => {
      const { code, stderr } = await runCli(["serve", path, "--port", "0", ...flags]);
      assertEquals(code, 2, stderr);
      assertMatch(stderr, message);
    }));
  }));
