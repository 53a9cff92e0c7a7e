/**
 * One request and its answer between `node:http` and the web's types: the request's signal aborts
 * when the client goes, be its answer whole or a stream. Listens nowhere, and knows nothing of what
 * is asked.
 *
 * Not by `Deno.serve`, which (2.9.6) looks for the client's end only while it sends: of a request
 * with a body of more than some 400 bytes a whole answer would be computed for nobody.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers";

/** Answers a request; `completed` settles when the last byte is out, or the client has gone. */
export type ExchangeHandler = (
  request: Request,
  info: { readonly completed: Promise<void> },
) => Response | Promise<Response>;

export interface ExchangeOptions {
  readonly scheme: "http" | "https";
  readonly handle: ExchangeHandler;
  /** Told of what `handle` or its answer's body threw. */
  readonly onError?: (error: unknown) => void;
}

/** How long a client may go on sending a body that nobody wants, so that it can read the answer. */
const UNWANTED_BODY_MS = 2000;

/** Takes the request to `handle`, and what that says to the client. */
export async function exchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { scheme, handle, onError }: ExchangeOptions,
): Promise<void> {
  const client = new AbortController();
  const completed = Promise.withResolvers<void>();
  // Of a client that resets its connection; "close" follows.
  outgoing.on("error", () => {});
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) client.abort();
    completed.resolve();
  });
  const request = toRequest(incoming, { scheme, signal: client.signal });
  if (request === null) {
    outgoing.writeHead(400, ["connection", "close"]).end();
    return;
  }
  try {
    const response = await handle(request, { completed: completed.promise });
    outgoing.once("finish", () => endUnwantedBody(incoming));
    await sendResponse(outgoing, response);
  } catch (error) {
    onError?.(error);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500).end();
  }
}

/** Null: a target, Host or method that the web's types do not have. */
function toRequest(
  incoming: IncomingMessage,
  { scheme, signal }: { readonly scheme: string; readonly signal: AbortSignal },
): Request | null {
  const { method = "GET", url: target = "/", headers: { host = "localhost" } } = incoming;
  // With other characters the host would end elsewhere, and the rest of it be part of the path.
  if (!/^[\w.:[\]-]*$/.test(host)) return null;
  const headers: [string, string][] = [];
  const { rawHeaders } = incoming;
  for (let i = 0; i < rawHeaders.length; i += 2) headers.push([rawHeaders[i], rawHeaders[i + 1]]);
  const body = method === "GET" || method === "HEAD" || !hasBody(incoming)
    ? null
    : bodyStream(incoming);
  try {
    const url = target.startsWith("/")
      ? `${scheme}://${host || "localhost"}${target}`
      : new URL(target, `${scheme}://${host || "localhost"}/`).href;
    return new Request(url, { method, headers, body, signal });
  } catch {
    return null;
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined ||
    Number(headers["content-length"] ?? 0) > 0;
}

/** No more is read of the connection than the reader asks for. */
function bodyStream(incoming: IncomingMessage): ReadableStream<Uint8Array<ArrayBuffer>> {
  let isOver = false;
  return new ReadableStream({
    start(controller) {
      const fail = () => {
        if (!isOver) controller.error(new Error("the client has gone"));
        isOver = true;
      };
      incoming.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
        if (isOver) return;
        controller.enqueue(chunk);
        incoming.pause();
      });
      incoming.once("end", () => {
        if (!isOver) controller.close();
        isOver = true;
      });
      incoming.once("error", fail);
      incoming.once("close", fail);
      incoming.pause();
    },
    pull() {
      incoming.resume();
    },
    cancel() {
      isOver = true;
    },
  }, { highWaterMark: 0 });
}

function endUnwantedBody(incoming: IncomingMessage): void {
  if (incoming.complete) return;
  const timer = setTimeout(() => incoming.destroy(), UNWANTED_BODY_MS);
  incoming.once("close", () => clearTimeout(timer));
  incoming.once("end", () => clearTimeout(timer));
  incoming.resume();
}

async function sendResponse(outgoing: ServerResponse, response: Response): Promise<void> {
  const headers = [...response.headers].flat();
  const reader = response.body?.getReader();
  if (outgoing.destroyed || outgoing.req.method === "HEAD" || reader === undefined) {
    await reader?.cancel();
    outgoing.writeHead(response.status, headers).end();
    return;
  }
  const gone = () => reader.cancel().catch(() => {});
  outgoing.once("close", gone);
  // Whoever makes the body may give up a client that reads nothing, while this waits for it to.
  reader.closed.catch(() => outgoing.destroy());
  try {
    await sendBody(outgoing, reader, () => outgoing.writeHead(response.status, headers));
  } finally {
    outgoing.off("close", gone);
  }
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

/** A body that is there at once goes out with its length; of others the head does not wait. */
async function sendBody(
  outgoing: ServerResponse,
  reader: BodyReader,
  writeHead: () => void,
): Promise<void> {
  const first = reader.read();
  const second = first.then((read) => read.done ? read : reader.read());
  const isWhole = await Promise.race([second.then(({ done }) => done), nextTurn()]);
  if (isWhole) {
    const { value } = await first;
    outgoing.setHeader("content-length", value?.byteLength ?? 0);
    writeHead();
    outgoing.end(value);
    return;
  }
  writeHead();
  outgoing.flushHeaders();
  for (const early of [first, second]) {
    const { done, value } = await early;
    if (done) return void outgoing.end();
    await write(outgoing, value);
  }
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    await write(outgoing, read.value);
  }
  outgoing.end();
}

function nextTurn(): Promise<false> {
  return new Promise((resolve) => setImmediate(() => resolve(false)));
}

/** Resolves when the connection takes more, or is closed. */
async function write(outgoing: ServerResponse, bytes: Uint8Array): Promise<void> {
  if (outgoing.destroyed || outgoing.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      outgoing.off("drain", go);
      outgoing.off("close", go);
      resolve();
    };
    outgoing.on("drain", go);
    outgoing.on("close", go);
  });
}
