import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Lifecycle, loadedModels } from "../../src/server/mod.ts";
import { serve } from "../../src/server/serve.ts";
import { ScriptedModel } from "../support/scripted_model.ts";
import { CHAT, hello, readEvents, withServer } from "./http_client.ts";

const never = new Promise<void>(() => {});

function send(url: string, fields: Record<string, unknown> = {}, init: RequestInit = {}) {
  return fetch(url + CHAT, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...hello, ...fields }),
    ...init,
  });
}

Deno.test("serve() streams over HTTP: headers and pieces before the answer has ended", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withServer({ script: ["first", promise, "last"] }, async ({ server }) => {
    const response = await send(server.url, { stream: true });
    assertEquals(response.status, 200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("first")) text += (await reader.read()).value;
    assert(!text.includes("last"));
    resolve();
    for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
    assert(text.includes("last") && text.endsWith("data: [DONE]\n\n"));
  });
});

Deno.test("serve() sends a stream's headers while its request waits in the queue", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withServer({ script: [promise, "x"] }, async ({ server, model }) => {
    const running = send(server.url);
    await model.until((counters) => counters.started === 1);
    const waiting = await send(server.url, { stream: true });
    assertEquals([waiting.status, model.load.waiting], [200, 1]);
    resolve();
    assertEquals((await readEvents(waiting)).at(-1), "[DONE]");
    await (await running).body?.cancel();
  });
});

// fault 49: gone before the first token, mid-stream, after the end.
Deno.test("serve() aborts a generation when its client hangs up, early or late", async () => {
  for (const script of [[never], ["first", never]]) {
    await withServer({ script }, async ({ server, model }) => {
      for (const [index, stream] of [false, true].entries()) {
        const client = new AbortController();
        const answer = send(server.url, { stream }, { signal: client.signal })
          .then((response) => response.text());
        await model.until((counters) => counters.started === index + 1);
        // The headers of a stream have to be under way before hanging up means anything.
        if (stream) await new Promise((resolve) => setTimeout(resolve, 20));
        client.abort();
        await assertRejects(() => answer);
        await model.until((counters) => counters.aborted === index + 1);
      }
      assertEquals(model.load.running, 0);
    });
  }
});

// fault 49: Deno.serve (2.9.6) notices it only where head and body came in one read.
Deno.test("serve() frees the slot of who leaves in 100 ms, however the request came", async () => {
  const line = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\n`;
  const writes = (bytes: number, ...cuts: number[]) => {
    const body = JSON.stringify({ ...hello, padding: "x".repeat(bytes) });
    const head =
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
    const text = head + body;
    const ends = [...cuts.map((cut) => head.length + cut), text.length];
    return ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end));
  };
  const hex = JSON.stringify(hello).length.toString(16);
  const chunked = [
    `${line}Transfer-Encoding: chunked\r\n\r\n`,
    `${hex}\r\n${JSON.stringify(hello)}\r\n`,
    "0\r\n\r\n",
  ];
  const requests = [
    ...[writes(0), writes(1000), writes(100_000)],
    ...[writes(0, 0), writes(1000, 500), writes(100_000, 10, 50_000), chunked],
  ];
  await withServer({ script: [never] }, async ({ server, model }) => {
    const { hostname, port } = new URL(server.url);
    for (const [index, texts] of requests.entries()) {
      const socket = await Deno.connect({ hostname, port: Number(port) });
      for (const text of texts) {
        let rest = new TextEncoder().encode(text);
        while (rest.length > 0) rest = rest.subarray(await socket.write(rest));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await model.until((counters) => counters.started === index + 1);
      const leftMs = performance.now();
      socket.close();
      while (model.counters.aborted === index && performance.now() < leftMs + 100) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assertEquals(model.counters.aborted, index + 1, `request ${index}`);
      assertEquals(model.load.running, 0);
    }
  });
});

Deno.test("serve() answers the next request when one client of two has gone", async () => {
  let count = 0;
  await withServer(
    { script: () => (count++ === 0 ? [never] : ["mine"]) },
    async ({ server, model }) => {
      const client = new AbortController();
      const gone = send(server.url, {}, { signal: client.signal });
      await model.until((counters) => counters.started === 1);
      const next = send(server.url);
      client.abort();
      await assertRejects(() => gone);
      assertEquals((await (await next).json()).choices[0].message.content, "mine");
    },
  );
});

// fault 50: a reader that does not read.
Deno.test("serve() drops a reader that never reads: the next request gets its turn", async () => {
  let count = 0;
  // More than the kernel's buffers take; then the generation goes on until it is aborted.
  const endless = [...Array(500).fill("x".repeat(20_000)), never];
  const script = () => (count++ === 0 ? endless : ["mine"]);
  await withServer({ script }, async ({ server, model }) => {
    const { hostname, port } = new URL(server.url);
    const socket = await Deno.connect({ hostname, port: Number(port) });
    const body = JSON.stringify({ ...hello, stream: true });
    await socket.write(new TextEncoder().encode(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ));
    await model.until((counters) => counters.started === 1);
    assertEquals((await (await send(server.url)).json()).choices[0].message.content, "mine");
    assertEquals(model.counters.aborted, 1);
    socket.close();
  }, { streamLagMs: 20, streamBufferChars: 1000 });
});

Deno.test("serve() lets running answers end before it leaves, and takes no new work", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await withServer({ script: ["a", promise, "b"] }, async ({ server, model }) => {
    const answer = send(server.url);
    await model.until((counters) => counters.started === 1);
    const left = server.shutdown();
    // Who asks meanwhile hears why: the listener lives until the last answer is out.
    const status = async (path: string) => {
      const response = await fetch(server.url + path);
      await response.body?.cancel();
      return response.status;
    };
    assertEquals([await status("/readyz"), await status("/livez")], [503, 200]);
    const refused = await send(server.url);
    assertEquals([refused.status, refused.headers.get("retry-after")], [503, "5"]);
    assertEquals((await refused.json()).error.code, "shutting_down");
    assertEquals(model.counters.accepted, 1);
    resolve();
    assertEquals((await (await answer).json()).choices[0].message.content, "ab");
    await left;
    assertEquals(server.cutCount, 0);
    await assertRejects(() => fetch(server.url + "/health"));
  });
});

Deno.test("serve() cuts running answers when draining takes too long, or when told", async () => {
  for (const drainMs of [5, 60_000]) {
    await withServer({ script: ["a", never] }, async ({ server, model }) => {
      const stream = await send(server.url, { stream: true });
      const whole = send(server.url);
      await model.until((counters) => counters.accepted === 2);
      const left = server.shutdown();
      if (drainMs > 1000) server.shutdown();
      assertEquals((await readEvents(stream)).at(-1).error.code, "shutting_down");
      assertEquals((await whole).status, 503);
      await (await whole).body?.cancel();
      await left;
      assertEquals(server.cutCount, 2);
    }, { drainMs });
  }
});

Deno.test("serve() leaves when its signal aborts", async () => {
  const stop = new AbortController();
  const server = serve({
    models: loadedModels([new ScriptedModel()]),
    port: 0,
    signal: stop.signal,
  });
  assertEquals((await (await fetch(server.url + "/health")).json()).status, "ok");
  stop.abort();
  await server.finished;
});

// fault 58: the port is taken.
Deno.test("serve() says what to do when the port is taken", async () => {
  await withServer({}, ({ server }) => {
    assertThrows(
      () => serve({ models: loadedModels([new ScriptedModel()]), port: server.port }),
      Error,
      `Cannot listen on 127.0.0.1 port ${server.port}: the port is in use`,
    );
    return Promise.resolve();
  });
});

Deno.test("serve() refuses a body over the limit without reading all of it", async () => {
  await withServer({}, async ({ server }) => {
    const response = await send(server.url, { padding: "x".repeat(2_000_000) });
    assertEquals(response.status, 413);
    assertEquals((await response.json()).error.code, "body_too_large");
    assertEquals((await send(server.url)).status, 200);
  }, { bodyBytesMax: 50_000, imageBytesMax: 50_000 });
});

Deno.test("Lifecycle drains first and stops later", () => {
  const lifecycle = new Lifecycle();
  assertEquals([lifecycle.isDraining, lifecycle.stopSignal.aborted], [false, false]);
  lifecycle.drain();
  assertEquals([lifecycle.isDraining, lifecycle.stopSignal.aborted], [true, false]);
  lifecycle.stop();
  assert(lifecycle.stopSignal.aborted);
});

// fault 52: a time limit for each request.
Deno.test("serve() ends work that takes longer than a request may, and says so", async () => {
  await withServer({ script: ["a", never] }, async ({ server, model }) => {
    const whole = await send(server.url);
    assertEquals([whole.status, whole.headers.get("x-should-retry")], [504, "false"]);
    assertEquals((await whole.json()).error.code, "request_timeout");
    const events = await readEvents(await send(server.url, { stream: true }));
    assertEquals(events.at(-1).error.code, "request_timeout");
    assertEquals([model.counters.aborted, model.load.running], [2, 0]);
  }, { requestTimeoutMs: 20 });
});

const tls = (name: string) => Deno.readTextFileSync(new URL(`./tls/${name}.pem`, import.meta.url));

Deno.test("serve() speaks HTTPS with a certificate and its key", async () => {
  const cert = tls("cert");
  await withServer({}, async ({ server }) => {
    assertEquals(server.url, `https://127.0.0.1:${server.port}`);
    using client = Deno.createHttpClient({ caCerts: [cert] });
    const response = await fetch(`https://localhost:${server.port}${CHAT}`, {
      method: "POST",
      body: JSON.stringify(hello),
      client,
    });
    assertEquals((await response.json()).choices[0].message.content, "Hello, world");
    await assertRejects(() => fetch(`http://127.0.0.1:${server.port}/health`));
  }, { tls: { cert, key: tls("key") } });
});

Deno.test("serve() says so when certificate or key are none", () => {
  for (const wrong of [{ cert: "none", key: tls("key") }, { cert: tls("cert"), key: "none" }]) {
    assertThrows(
      () => serve({ models: loadedModels([new ScriptedModel()]), port: 0, tls: wrong }),
      Error,
      "Cannot use the TLS certificate and key",
    );
  }
});

Deno.test("serve() ends connections whose bodies never end when it is told twice to stop", async () => {
  await withServer({}, async ({ server }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    const half = "POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{";
    await connection.write(new TextEncoder().encode(half));
    await new Promise((resolve) => setTimeout(resolve, 100));
    server.shutdown();
    await server.shutdown();
    const late = new Promise<"late">((resolve) => setTimeout(() => resolve("late"), 1000));
    const read = async () => {
      while (await connection.read(new Uint8Array(1024)) !== null);
    };
    assertEquals(await Promise.race([read().then(() => "ended", () => "ended"), late]), "ended");
  });
});
