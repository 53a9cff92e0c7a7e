/** What no client library sends: requests byte by byte, on a socket. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { CHAT, hello, withServer } from "./http_client.ts";

const never = new Promise<void>(() => {});

/** Writes `text` on a fresh connection. */
async function open(url: string, text: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  const socket = await Deno.connect({ hostname, port: Number(port) });
  await write(socket, text);
  return socket;
}

async function write(socket: Deno.TcpConn, text: string): Promise<void> {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(await socket.write(rest));
}

/** What comes until `pattern` has, or the connection ends. */
async function readUntil(socket: Deno.TcpConn, pattern: RegExp): Promise<string> {
  const bytes = new Uint8Array(65536);
  let text = "";
  while (!pattern.test(text)) {
    const count = await socket.read(bytes).catch(() => null);
    if (count === null) break;
    text += new TextDecoder().decode(bytes.subarray(0, count));
  }
  return text;
}

/** Sends `text` and returns the answer's status; 0: the connection was closed without one. */
async function statusOf(url: string, text: string): Promise<number> {
  using socket = await open(url, text);
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(await readUntil(socket, /\r\n\r\n/))?.[1] ?? 0);
}

const body = JSON.stringify(hello);
const head = (length: number | string, more = "") =>
  `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n${more}\r\n`;

/** The server answers as if nothing had happened. */
async function assertAlive(url: string): Promise<void> {
  const response = await fetch(url + CHAT, { method: "POST", body });
  assertEquals(response.status, 200);
  await response.body?.cancel();
}

// fault 46: giant, slow and half requests, pipelining, HTTP/1.0, HEAD.
Deno.test("serve() refuses giant headers and URLs, and lives", async () => {
  await withServer({}, async ({ server: { url } }) => {
    const big = "x".repeat(70_000);
    const many = Array.from({ length: 5000 }, (_, i) => `X-${i}: 1\r\n`).join("");
    const requests = [
      head(2, `X-Big: ${big}\r\n`),
      head(2, many),
      `GET /${big} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      head(2, "Transfer-Encoding: chunked\r\n"),
      head(-1),
      head("1e9"),
      head("99999999999999999999"),
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // TLS on the plain port
      "SSH-2.0-OpenSSH\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
    ];
    for (const request of requests) {
      const status = await statusOf(url, request);
      assert(status === 0 || status >= 400 && status < 500, `${status}: ${request.slice(0, 60)}`);
    }
    assertEquals(
      await statusOf(url, `GET /health HTTP/1.1\r\nHost: l\r\nX: ${"y".repeat(8000)}\r\n\r\n`),
      403,
    );
    await assertAlive(url);
  });
});

Deno.test("serve() answers who sends headers slowly when they are there, and others meanwhile", async () => {
  await withServer({}, async ({ server: { url } }) => {
    using slow = await open(url, "POST /v1/chat/completions HTTP/1.1\r\nHost: loc");
    const half = await Promise.all(Array.from({ length: 50 }, () => open(url, "GET / HT")));
    await assertAlive(url);
    await write(slow, `alhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    assertMatch(await readUntil(slow, /Hello, world/), /^HTTP\/1\.1 200/);
    for (const socket of half) socket.close();
    await assertAlive(url);
  });
});

Deno.test("serve() gives up a body that does not come, and takes no work for half of one", async () => {
  await withServer({}, async ({ server: { url }, model }) => {
    using late = await open(url, head(body.length) + body.slice(0, 10));
    assertMatch(await readUntil(late, /body_timeout/), /^HTTP\/1\.1 408/);
    const broken = await open(url, head(body.length) + body.slice(0, 10));
    broken.close();
    await assertAlive(url);
    assertEquals(model.counters.accepted, 1);
  }, { bodyTimeoutMs: 50 });
});

Deno.test("serve() answers pipelined requests in their order", async () => {
  await withServer({ script: ["1"] }, async ({ server: { url } }) => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    using socket = await open(url, get("/health") + head(body.length) + body + get("/nowhere"));
    const text = await readUntil(socket, /unknown_url/);
    assertEquals([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status), [
      ...["200", "200", "404"],
    ]);
  });
});

Deno.test("serve() speaks HTTP/1.0, and answers HEAD without a body", async () => {
  await withServer({}, async ({ server: { url } }) => {
    using old = await open(url, "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assertMatch(await readUntil(old, /never/), /^HTTP\/1\.[01] 200[^]*\{"status":"ok"\}$/);
    using bare = await open(url, "GET /health HTTP/1.0\r\n\r\n"); // no Host: not needed then
    assertMatch(await readUntil(bare, /\r\n\r\n/), /^HTTP\/1\.[01] (200|403)/);
    using headOnly = await open(
      url,
      "HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assertMatch(await readUntil(headOnly, /never/), /^HTTP\/1\.1 200[^]*\r\n\r\n$/);
  });
});

Deno.test("serve() says at HEAD how long GET's answer is", async () => {
  await withServer({}, async ({ server: { url } }) => {
    for (const path of ["/", "/page/app.js", "/v1/models", "/openapi.json", "/nothing"]) {
      const ask = async (method: string) => {
        const line = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
        using socket = await open(url, line);
        const [head, body] = (await readUntil(socket, /never/)).split("\r\n\r\n");
        return { length: Number(/content-length: (\d+)/i.exec(head)?.[1]), body };
      };
      const [head, get] = [await ask("HEAD"), await ask("GET")];
      assertEquals(head.body, "", path);
      assertEquals([head.length, get.length > 0], [get.length, true], path);
    }
  });
});

// fault 47: the Host header of a rebinding site.
Deno.test("serve() refuses a rebinding site's host before it reads anything", async () => {
  await withServer({ script: [never] }, async ({ server: { url }, model }) => {
    const evil = `POST ${CHAT} HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000000\r\n\r\n`;
    assertEquals(await statusOf(url, evil), 403);
    assertEquals(model.counters.accepted, 0);
  });
});
