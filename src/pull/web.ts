/**
 * Requests to servers that nobody vouches for: redirects are followed by hand, a token goes to one
 * host only, silence ends a request. Knows nothing of files.
 */
import project from "../../deno.json" with { type: "json" };
import { fetchReason } from "../base/network_errors.ts";
import { fatal, RequestFault } from "./fault.ts";

export interface WebOptions {
  /** The hub; its host is the only one that is ever shown the token. */
  readonly endpoint: URL;
  readonly token: string | null;
  /** How long a server may be silent. */
  readonly stallMs: number;
}

export interface GetOptions {
  /** First and last byte; left out: everything. */
  readonly range?: { readonly first: number; readonly last: number };
  readonly signal?: AbortSignal;
}

/** What hubs say on the way to where their files lie. */
export interface LinkedFile {
  readonly sha256: string | null;
  readonly sizeBytes: number | null;
}

const REDIRECTS_MAX = 10;

export class Web {
  readonly #options: WebOptions;

  constructor(options: WebOptions) {
    this.#options = options;
  }

  /**
   * Asks for `url`.
   * @throws {RequestFault} unless the answer is a 200 or a 206.
   */
  async get(url: URL, { range, signal }: GetOptions = {}): Promise<Reply> {
    const watch = new Watchdog(this.#options.stallMs, signal);
    let linked: LinkedFile = { sha256: null, sizeBytes: null };
    const seen = new Set<string>();
    try {
      for (let at = url;;) {
        if (seen.has(at.href) || seen.size > REDIRECTS_MAX) {
          throw fatal(`${at.host} redirects in a circle`);
        }
        seen.add(at.href);
        const response = await this.#ask(at, { range, signal: watch.signal });
        watch.touch();
        linked = linkedFile(response.headers, linked);
        if (![301, 302, 303, 307, 308].includes(response.status)) {
          return await checked(new Reply(response, { url: at, linked, watch }));
        }
        await response.body?.cancel();
        at = redirectTarget(response, at);
      }
    } catch (error) {
      watch.end();
      throw watch.explain(error);
    }
  }

  async #ask(
    url: URL,
    { range, signal }: { range: GetOptions["range"]; signal: AbortSignal },
  ): Promise<Response> {
    const { endpoint, token } = this.#options;
    const headers = new Headers({
      // Ranges of compressed bytes are of no use.
      "accept-encoding": "identity",
      "user-agent": `ganglion/${project.version}`,
    });
    if (range !== undefined) headers.set("range", `bytes=${range.first}-${range.last}`);
    if (token !== null && url.origin === endpoint.origin && isPrivate(url)) {
      headers.set("authorization", `Bearer ${token}`);
    }
    return await fetch(url, { headers, redirect: "manual", signal });
  }
}

/** True when nobody on the way can read what is sent. */
function isPrivate({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || isThisMachine(hostname);
}

export function isThisMachine(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/** An answer whose body is read piece by piece, and watched. */
export class Reply {
  readonly url: URL;
  readonly linked: LinkedFile;
  readonly #response: Response;
  readonly #watch: Watchdog;

  constructor(
    response: Response,
    { url, linked, watch }: { url: URL; linked: LinkedFile; watch: Watchdog },
  ) {
    this.#response = response;
    this.#watch = watch;
    this.url = url;
    this.linked = linked;
  }

  get status(): number {
    return this.#response.status;
  }

  get headers(): Headers {
    return this.#response.headers;
  }

  /**
   * Pieces of the body as they come. Whoever stops early ends the request.
   * @throws {RequestFault} when it breaks off or the server is silent.
   */
  async *pieces(): AsyncGenerator<Uint8Array> {
    const reader = this.#response.body?.getReader();
    try {
      this.#watch.touch();
      for (let read = await reader?.read(); read && !read.done; read = await reader?.read()) {
        this.#watch.pause();
        yield read.value;
        this.#watch.touch();
      }
    } catch (error) {
      throw this.#watch.explain(error);
    } finally {
      this.#watch.end();
      reader?.cancel().catch(() => {});
    }
  }

  /** The whole body, unless it is longer than `bytesMax`. */
  async text(bytesMax: number): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    for await (const piece of this.pieces()) {
      bytes += piece.length;
      if (bytes > bytesMax) {
        throw fatal(`${this.url.host} answers with more than ${bytesMax} bytes`);
      }
      text += decoder.decode(piece, { stream: true });
    }
    return text + decoder.decode();
  }

  async cancel(): Promise<void> {
    this.#watch.end();
    await this.#response.body?.cancel().catch(() => {});
  }
}

/** Ends a request when nothing has come for a while. */
class Watchdog {
  readonly signal: AbortSignal;
  readonly #stallMs: number;
  readonly #asker: AbortSignal | undefined;
  readonly #silence = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stallMs: number, asker: AbortSignal | undefined) {
    this.#stallMs = stallMs;
    this.#asker = asker;
    this.signal = asker ? AbortSignal.any([asker, this.#silence.signal]) : this.#silence.signal;
    this.touch();
  }

  /** Something came. */
  touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#silence.abort(), this.#stallMs);
  }

  /** It is our turn. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** What an error of fetch was. */
  explain(error: unknown): unknown {
    if (this.#asker?.aborted) return this.#asker.reason;
    if (this.#silence.signal.aborted) {
      const message = `nothing came for ${this.#stallMs / 1000} s`;
      return new RequestFault(message, { isPassing: true });
    }
    if (!(error instanceof TypeError)) return error;
    const reason = fetchReason(error);
    // Neither gets better by asking again.
    const isPassing = !/certificate|Requests to port \d+ are blocked/i.test(reason);
    return new RequestFault(`the connection failed (${reason})`, { isPassing, cause: error });
  }
}

function linkedFile(headers: Headers, before: LinkedFile): LinkedFile {
  const etag = headers.get("x-linked-etag")?.replace(/^W\//, "").replaceAll('"', "") ?? "";
  const size = headers.get("x-linked-size") ?? "";
  return {
    sha256: before.sha256 ?? (/^[0-9a-f]{64}$/.test(etag) ? etag : null),
    sizeBytes: before.sizeBytes ?? (/^\d{1,15}$/.test(size) ? Number(size) : null),
  };
}

function redirectTarget({ headers }: Response, from: URL): URL {
  const location = headers.get("location");
  if (location === null || !URL.canParse(location, from.href)) {
    throw fatal(`${from.host} redirects to nowhere`);
  }
  const target = new URL(location, from.href);
  if (target.protocol !== "https:" && target.protocol !== "http:") {
    throw fatal(`${from.host} redirects to an address that is not of the web`);
  }
  if (from.protocol === "https:" && target.protocol === "http:") {
    throw fatal(`${from.host} redirects from https to http, where others could change the file`);
  }
  return target;
}

/** @throws {RequestFault} for an answer that is no content. */
async function checked(reply: Reply): Promise<Reply> {
  const { status, headers } = reply;
  const encoding = headers.get("content-encoding") ?? "identity";
  if (status === 200 || status === 206) {
    if (encoding === "identity") return reply;
    await reply.cancel();
    throw fatal(`${reply.url.host} sends it compressed (${encoding.slice(0, 20)}), unasked`);
  }
  await reply.cancel();
  throw statusFault(status, reply);
}

function statusFault(status: number, { url, headers }: Reply): RequestFault {
  const is = (what: string) => `${url.host} answered ${status}: ${what}`;
  // To whom a repository is not shown the hub says 401, as where there is none.
  const isHidden = /NotFound$/.test(headers.get("x-error-code") ?? "");
  if (status === 404 || status === 410 || status === 401 && isHidden) {
    const why = status === 401
      ? "there is no such thing, or it is private: check the name, or set HF_TOKEN"
      : "there is no such thing: check the name";
    return new RequestFault(is(why), { isPassing: false, status, obstacle: "not_found" });
  }
  if (status === 401 || status === 403) {
    const why =
      "it is private, or its licence was not accepted: accept it on its page, and set HF_TOKEN";
    return new RequestFault(is(why), { isPassing: false, status, obstacle: "not_permitted" });
  }
  const isPassing = status === 408 || status === 425 || status === 429 || status >= 500;
  const what = status === 429 ? "too many requests" : isPassing ? "it is unwell" : "it refuses";
  const obstacle = status === 429 ? "busy" : "failed";
  const pause = retryAfterMs(headers);
  return new RequestFault(is(what), { isPassing, status, obstacle, retryAfterMs: pause });
}

/** Seconds or a date; null: nothing of the kind. */
function retryAfterMs(headers: Headers): number | null {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? null : Math.max(0, dateMs - Date.now());
}
