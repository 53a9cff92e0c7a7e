/** Connections and what is asked on them, byte by byte, before any application. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Listener, type ListenOptions } from "../../src/server/listener.ts";

const encoder = new TextEncoder();

async function withListener(
  options: Partial<ListenOptions>,
  use: (context: { listener: Listener; open: (text: string) => Promise<Client> }) => Promise<void>,
): Promise<void> {
  const handle = () => new Response("hello");
  const listener = new Listener({ hostname: "127.0.0.1", port: 0, handle, ...options });
  const clients: Client[] = [];
  const open = async (text: string) => {
    const client = new Client(await Deno.connect({ port: listener.port }));
    clients.push(client);
    await client.send(text);
    return client;
  };
  const end = () => {
    for (const client of clients) client.close();
    listener.kill();
  };
  // What would wait for ever fails.
  const late = setTimeout(end, 5_000);
  try {
    await use({ listener, open });
  } finally {
    clearTimeout(late);
    end();
    await listener.finished;
  }
}

class Client {
  readonly #connection: Deno.Conn;
  #isClosed = false;
  text = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async send(text: string): Promise<void> {
    let rest = encoder.encode(text);
    while (rest.length > 0) rest = rest.subarray(await this.#connection.write(rest));
  }

  /** Reads until `pattern` has come, or the connection ends: then false. */
  async until(pattern: RegExp): Promise<boolean> {
    const bytes = new Uint8Array(65536);
    while (!pattern.test(this.text)) {
      const count = await this.#connection.read(bytes).catch(() => null);
      if (count === null) return false;
      this.text += new TextDecoder().decode(bytes.subarray(0, count));
    }
    return true;
  }

  close(): void {
    if (!this.#isClosed) this.#connection.close();
    this.#isClosed = true;
  }
}

const get = (more = "") => `GET / HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
const post = (body: string, more = "") =>
  `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

Deno.test("Listener ends a connection whose head takes too long, and no other", async () => {
  await withListener({ headMs: 50 }, async ({ open }) => {
    const half = await open("GET / HTTP/1.1\r\nHost: loc");
    const resting = await open(get());
    assert(await resting.until(/hello$/));
    assert(!await half.until(/never/));
    assertMatch(half.text, /^HTTP\/1\.1 408/);
    await resting.send(get());
    assert(await resting.until(/hello[^]*hello$/), "one that rests between requests is left alone");
  });
});

Deno.test("Listener closes connections that are too many, until others have gone", async () => {
  await withListener({ connectionsMax: 2 }, async ({ open }) => {
    const first = await open(get());
    assert(await first.until(/hello$/));
    await (await open(get())).until(/hello$/);
    assert(!await (await open("")).until(/never/));
    first.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert(await (await open(get())).until(/hello$/));
  });
});

Deno.test("Listener keeps a connection for the next request, whatever was asked before", async () => {
  const handle = async (request: Request) => new Response(`got ${(await request.text()).length}.`);
  await withListener({ handle }, async ({ open }) => {
    const client = await open(post("x".repeat(1000)));
    assert(await client.until(/got 1000\./));
    await client.send(post("x".repeat(100_000)));
    assert(await client.until(/got 100000\./));
    await client.send(get());
    assert(await client.until(/got 0\./));
    assertMatch(client.text, /content-length: 9\r\n/i);
  });
});

Deno.test("Listener says 100 Continue to who waits for it before the body", async () => {
  const handle = async (request: Request) => new Response(await request.text());
  await withListener({ handle }, async ({ open }) => {
    const client = await open(post("", "Expect: 100-continue\r\n").replace(": 0", ": 4"));
    assert(await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/));
    await client.send("body");
    assert(await client.until(/200 OK[^]*body$/));
  });
});

Deno.test("Listener reads no more of a stream than a client that reads nothing takes", async () => {
  let pullCount = 0;
  const canceled = Promise.withResolvers<void>();
  const handle = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          pullCount++;
          await new Promise((resolve) => setTimeout(resolve, 0));
          controller.enqueue(new Uint8Array(65_536));
        },
        cancel: () => canceled.resolve(),
      }, { highWaterMark: 0 }),
    );
  await withListener({ handle }, async ({ open }) => {
    const client = await open(get());
    let before = -1;
    while (pullCount === 0 || pullCount !== before) {
      before = pullCount;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert(pullCount < 200, `${pullCount} pieces of 64 KiB: more than the kernel's buffers`);
    client.close();
    await canceled.promise;
  });
});

Deno.test("Listener ends the connection of an answer that fails while nobody reads it", async () => {
  const over = Promise.withResolvers<boolean>();
  const handle: ListenOptions["handle"] = (_request, { completed }) => {
    completed.then(() => over.resolve(true));
    const late = setTimeout(() => over.resolve(false), 2_000);
    over.promise.then(() => clearTimeout(late));
    let pullCount = 0;
    return new Response(
      new ReadableStream({
        start: (controller) => void setTimeout(() => controller.error(new Error("given up")), 300),
        pull(controller) {
          if (pullCount++ < 200) controller.enqueue(new Uint8Array(65_536));
        },
      }, { highWaterMark: 0 }),
    );
  };
  await withListener({ handle }, async ({ open }) => {
    await open(get());
    assert(await over.promise);
  });
});

Deno.test("Listener.close() ends connections on which nothing is under way, and lets answers end", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await withListener({ handle: () => promise }, async ({ listener, open }) => {
    const half = await open("GET / HTTP/1.1\r\nHost: loc");
    const asking = await open(get());
    await new Promise((resolve) => setTimeout(resolve, 50));
    listener.close();
    assert(!await half.until(/never/));
    resolve(new Response("the end"));
    assert(!await asking.until(/never/), "it is closed behind its answer");
    assertMatch(asking.text, /the end$/);
    await listener.finished;
  });
});

Deno.test("Listener refuses a Host that would be part of the path", async () => {
  let url = "";
  const handle = (request: Request) => new Response(url = request.url);
  await withListener({ handle }, async ({ open }) => {
    const client = await open("GET /v1 HTTP/1.1\r\nHost: localhost/health?\r\n\r\n");
    await client.until(/never/);
    assertMatch(client.text, /^HTTP\/1\.1 400/);
    const plain = await open("GET //evil.example/v1?a=b HTTP/1.1\r\nHost: localhost:1\r\n\r\n");
    await plain.until(/\r\n\r\nhttp.*$/);
    assertEquals(url, "http://localhost:1//evil.example/v1?a=b");
  });
});

// fault 49: gone, by HTTPS.
Deno.test("Listener aborts the request's signal when a client of HTTPS leaves", async () => {
  const pem = (name: string) => Deno.readTextFileSync(new URL(`tls/${name}.pem`, import.meta.url));
  const came = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const handle = async (request: Request) => {
    request.signal.addEventListener("abort", () => gone.resolve());
    await request.text();
    came.resolve();
    await gone.promise;
    return new Response("");
  };
  const tls = { cert: pem("cert"), key: pem("key") };
  await withListener({ handle, tls }, async ({ listener }) => {
    const client = await Deno.connectTls({
      ...{ hostname: "localhost", port: listener.port, caCerts: [tls.cert] },
    });
    await client.write(encoder.encode(post("x".repeat(1000))));
    await came.promise;
    client.close();
    await gone.promise;
  });
});
