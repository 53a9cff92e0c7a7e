/**
 * Who may ask: keeps other sites' pages from using a server that listens on this machine only, be
 * it by a name that they point at it (DNS rebinding) or by a request of their own (CSRF). Looks at
 * headers; knows nothing of what is asked.
 */
import type { MiddlewareHandler } from "hono";
import { RequestError } from "../base/errors.ts";
import { errorResponse, isAnthropic } from "./http_errors.ts";
import type { AppSettings } from "./options.ts";

/** Hono's environment in this server. */
export interface ServerEnv {
  Variables: {
    requestId: string;
    /** Their names, as the answer's header has them; undefined: none. */
    ignoredFields?: string;
  };
  /** Settles when the answer's last byte has gone out, or its client has gone. */
  Bindings: { completed?: Promise<void> } | undefined;
}

/** Gives every request an id, and every answer the id and the headers that browsers obey. */
export function requestIds(): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    const given = c.req.header("x-request-id");
    // An id of any other form could forge lines of a log.
    const requestId = given && /^[\w.-]{1,64}$/.test(given) ? given : `req_${crypto.randomUUID()}`;
    c.set("requestId", requestId);
    await next();
    const headers = c.res.headers;
    headers.set("x-request-id", requestId);
    if (isAnthropic(c)) headers.set("request-id", requestId);
    headers.set("x-content-type-options", "nosniff");
    headers.set("x-frame-options", "DENY");
    headers.set("referrer-policy", "no-referrer");
  };
}

/** Answers 403 to hosts and origins that are not allowed, and CORS for those that are. */
export function guards(settings: AppSettings): MiddlewareHandler<ServerEnv> {
  const hosts = new Set(
    ["localhost", settings.hostname, ...settings.allowedHosts].map((host) => host.toLowerCase()),
  );
  const origins = new Set(settings.allowedOrigins);
  return async (c, next) => {
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    if (!hosts.has("*") && !isAllowedHost(host, hosts)) {
      return errorResponse(hostError(host), c);
    }
    const origin = c.req.header("origin");
    if (origin === undefined || isSameOrigin(origin, host)) return await next();
    const isAllowed = origins.has("*") || origins.has(origin) || OF_PROGRAMS.test(origin);
    if (!isAllowed) {
      if (c.req.method === "GET" || c.req.method === "HEAD") return await next();
      return errorResponse(originError(origin), c);
    }
    if (c.req.method === "OPTIONS") c.res = new Response(null, { status: 204 });
    else await next();
    allowOrigin(c.res.headers, origin, c.req.header("access-control-request-headers"));
  };
}

/**
 * Windows of programs on this machine (Electron's and Tauri's, an editor's): no site's page can
 * have such an origin, and what is installed could ask without a browser as well.
 */
const OF_PROGRAMS = /^(?:app|tauri|vscode-webview|vscode-file):\/\//;

const ALLOWED_HEADERS = [
  ...["authorization", "content-type", "x-api-key", "x-request-id", "x-prefix-key"],
  ...["anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"],
];
/** What OpenAI's and Anthropic's clients tell of themselves. */
const CLIENT_HEADER = /^x-stainless-[a-z-]{1,32}$/i;

function allowOrigin(headers: Headers, origin: string, asked = ""): void {
  const ofClients = asked.slice(0, 2000).split(/ *, */).filter((name) => CLIENT_HEADER.test(name));
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-allow-methods", "GET, POST, DELETE, OPTIONS");
  headers.set(
    "access-control-allow-headers",
    [...ALLOWED_HEADERS, ...ofClients].join(", "),
  );
  headers.set(
    "access-control-expose-headers",
    "x-request-id, request-id, x-prefix-key, x-ignored-fields, retry-after",
  );
  headers.set("access-control-max-age", "600");
  headers.append("vary", "origin");
}

/** Addresses are always allowed: only a name can be pointed elsewhere by its owner. */
function isAllowedHost(host: string, allowed: ReadonlySet<string>): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
  return allowed.has(name) || /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || /^\[[\da-f:.]+\]$/.test(name);
}

function isSameOrigin(origin: string, host: string): boolean {
  const url = URL.parse(origin);
  return url !== null && /^https?:$/.test(url.protocol) && url.host === host.toLowerCase();
}

function hostError(host: string): RequestError {
  return new RequestError(
    `Host ${JSON.stringify(host.slice(0, 100))} is not allowed here: ` +
      `use localhost, or start the server with it as an allowed host`,
    { status: 403, type: "permission_error", code: "host_not_allowed" },
  );
}

function originError(origin: string): RequestError {
  return new RequestError(
    `Pages of ${JSON.stringify(origin.slice(0, 100))} may not use this server: ` +
      `start the server with it as an allowed origin`,
    { status: 403, type: "permission_error", code: "origin_not_allowed" },
  );
}
