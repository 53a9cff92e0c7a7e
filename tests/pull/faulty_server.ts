/**
 * A server of files that misbehaves as it is told to: speaks HTTP by hand, because no library sends
 * what is wrong.
 */

/** What is asked. */
export interface Ask {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  /** First and last byte; null: everything. */
  readonly range: readonly [number, number] | null;
  /** Of this server, from 0. */
  readonly number: number;
}

/** What is answered; the body is cut to what was asked for unless `isRaw`. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Headers and body are sent as they are. */
  readonly isRaw?: boolean;
  /** The connection ends after so many bytes of the body. */
  readonly cutAt?: number;
  /** Nothing more comes after so many bytes of the body. */
  readonly stallAt?: number;
  /** Bytes of the body a piece, and milliseconds between pieces. */
  readonly pace?: { readonly bytes: number; readonly ms: number };
}

export interface FaultyServer extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly Ask[];
  /** Connections that are open. */
  readonly openCount: number;
}

/** Serves until it is disposed. */
export function serveFaulty(answer: (ask: Ask) => Answer): FaultyServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: Ask[] = [];
  const open = new Set<Deno.Conn>();
  const works: Promise<void>[] = [];
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const accepting = (async () => {
    for await (const connection of listener) {
      open.add(connection);
      works.push(
        serveOne(connection, { answer, asked, over }).catch(() => {}).finally(() => {
          open.delete(connection);
          close(connection);
        }),
      );
    }
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    asked,
    get openCount() {
      return open.size;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      end();
      for (const connection of open) close(connection);
      await accepting.catch(() => {});
      await Promise.all(works);
    },
  };
}

async function serveOne(
  connection: Deno.Conn,
  { answer, asked, over }: {
    answer: (ask: Ask) => Answer;
    asked: Ask[];
    over: Promise<void>;
  },
): Promise<void> {
  const ask = await readAsk(connection, asked.length);
  if (ask === null) return;
  asked.push(ask);
  const { cutAt = Infinity, stallAt = Infinity, pace, ...rest } = answer(ask);
  const { head, body } = rest.isRaw ? rawAnswer(rest) : rangeAnswer(rest, ask);
  await writeAll(connection, new TextEncoder().encode(head));
  const sent = body.subarray(0, Math.min(cutAt, stallAt));
  const step = pace?.bytes ?? 65_536;
  for (let at = 0; at < sent.length; at += step) {
    await writeAll(connection, sent.subarray(at, at + step));
    if (pace) await new Promise((resolve) => setTimeout(resolve, pace.ms));
  }
  if (stallAt < body.length) await over;
}

function rawAnswer({ status = 200, headers = {}, body = new Uint8Array() }: Answer) {
  return { head: headOf(status, headers), body };
}

/** As an honest server: 206 for a range. */
function rangeAnswer({ status, headers, body = new Uint8Array() }: Answer, { range }: Ask) {
  if (status !== undefined || range === null) {
    const all = { "content-length": `${body.length}`, ...headers };
    return { head: headOf(status ?? 200, all), body };
  }
  const [first, last] = [range[0], Math.min(range[1], body.length - 1)];
  if (first >= body.length) {
    return {
      head: headOf(416, { "content-range": `bytes */${body.length}`, "content-length": "0" }),
      body: new Uint8Array(),
    };
  }
  const part = body.subarray(first, last + 1);
  const all = {
    "content-length": `${part.length}`,
    "content-range": `bytes ${first}-${last}/${body.length}`,
    ...headers,
  };
  return { head: headOf(206, all), body: part };
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ connection: "close", ...headers }).map(([name, value]) =>
    `${name}: ${value}\r\n`
  );
  return `HTTP/1.1 ${status} Whatever\r\n${lines.join("")}\r\n`;
}

async function readAsk(connection: Deno.Conn, number: number): Promise<Ask | null> {
  let text = "";
  const buffer = new Uint8Array(16_384);
  while (!text.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) return null;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  const [first, ...lines] = text.split("\r\n\r\n")[0].split("\r\n");
  const [method, path] = first.split(" ");
  const headers = new Headers(lines.map((line): [string, string] => {
    const at = line.indexOf(":");
    return [line.slice(0, at), line.slice(at + 1).trim()];
  }));
  const match = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "");
  const range = match && [Number(match[1]), Number(match[2])] as const;
  return { method, path, headers, range, number };
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await connection.write(rest));
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // The other side was first.
  }
}
