import { assert, assertEquals, assertMatch } from "@std/assert";
import { runCli, startCli, withTinyModel } from "./run_cli.ts";
import { finish, Log } from "./server_process.ts";

/** Of the first request to a server that has just started, with the built-in model. */
const FIRST_TOKEN_MS_MAX = 300;

Deno.test("serve answers at /v1, changes no folder unasked, and ends with 0 on SIGINT", () =>
  withTinyModel(async (path, folder) => {
    const child = startCli(["serve", path, "--port", "0", "--threads", "1"], {
      env: { GANGLION_MODELS_DIR: folder },
    });
    await child.stdin.close();
    const log = new Log(child.stderr);
    const [, url] = await log.match(/Serving tiny at (http:\/\/127\.0\.0\.1:\d+)/);
    const models = await (await fetch(`${url}/v1/models`)).json();
    assertEquals(models.data.map(({ id }: { id: string }) => id), ["tiny"]);
    const page = await fetch(url);
    assertMatch(await page.text(), /<html/);
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "tiny",
        max_tokens: 3,
        messages: [{ role: "user", content: "Hello" }],
      }),
    });
    const answer = await reply.json();
    assertEquals(reply.status, 200, JSON.stringify(answer));
    assert(answer.usage.completion_tokens <= 3);
    const ask = async (path: string, method: string) => {
      const body = JSON.stringify({ model: "hf:user/repo", stream: false });
      const response = await fetch(url + path, { method, body });
      return [response.status, (await response.json()).code];
    };
    // Nobody gave --manage-models.
    assertEquals(await ask("/api/pull", "POST"), [501, "not_supported"]);
    assertEquals(await ask("/api/delete", "DELETE"), [403, "not_supported"]);
    child.kill("SIGINT");
    assertEquals((await finish(child, log)).code, 0);
  }));

Deno.test("serve says so when its port is taken, before it loads anything", () =>
  withTinyModel(async (path) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const port = `${taken.addr.port}`;
    const { code, stderr } = await runCli(["serve", path, "--port", port]);
    assertEquals(code, 1);
    assertMatch(
      stderr,
      new RegExp(`Cannot listen on 127.0.0.1 port ${port}: the port is in use`),
    );
    assertEquals(stderr.includes("    at "), false, stderr);
  }));

Deno.test("serve ends with 1 when the model cannot be loaded", async () => {
  const { code, stderr } = await runCli(["serve", "/no/such.gguf", "--port", "0"]);
  assertEquals(code, 1);
  assertMatch(stderr, /error: .*\/no\/such\.gguf/);
});

Deno.test("serve without a MODEL serves the built-in one, whose first token comes within 0.3 s", async () => {
  const child = startCli(["serve", "--port", "0"]);
  await child.stdin.close();
  const log = new Log(child.stderr);
  const [, url] = await log.match(/Serving built-in at (http:\/\/127\.0\.0\.1:\d+)/);
  const asked = performance.now();
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      stream: true,
      temperature: 0,
      messages: [{ role: "user", content: "What is Ganglion?" }],
    }),
  });
  let text = "";
  let firstTokenMs = Infinity;
  for await (const piece of reply.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (/"content":"[^"]/.test(text)) {
      firstTokenMs = Math.min(firstTokenMs, performance.now() - asked);
    }
  }
  child.kill("SIGINT");
  assertEquals((await finish(child, log)).code, 0);
  assert(firstTokenMs < FIRST_TOKEN_MS_MAX, `${firstTokenMs} ms`);
});

Deno.test("serve answers, and ends, while nobody reads what it logs", () =>
  withTinyModel(async (path) => {
    const child = startCli(["serve", path, "--port", "0", "--threads", "1"]);
    await child.stdin.close();
    // A stream that keeps nothing back: what nobody reads stays in the pipe, which is soon full.
    const reader = child.stderr.getReader();
    let text = "";
    const read = async () => {
      const { value } = await reader.read();
      if (value !== undefined) text += new TextDecoder().decode(value);
      return value !== undefined;
    };
    let url: string | undefined;
    while (url === undefined && await read()) {
      url = /Serving .* at (http:\/\/127\.0\.0\.1:\d+)/.exec(text)?.[1];
    }
    // Some 600 bytes of log each.
    for (let i = 0; i < 400; i++) {
      const reply = await fetch(`${url}/${"a".repeat(500)}`, { signal: AbortSignal.timeout(5000) });
      await reply.body?.cancel();
      assertEquals(reply.status, 404);
    }
    child.kill("SIGTERM");
    assertEquals((await child.status).code, 0);
    while (await read());
    assert(text.split("\n").length > 50, text.slice(-300));
    assert(!text.includes("Stopping"), "all of the log was read, so nothing was held");
    await child.stdout.cancel();
  }));
