/** Keys that clients must show, where the server was given some. Knows nothing of who has which. */
import type { MiddlewareHandler } from "hono";
import { createHash, timingSafeEqual } from "node:crypto";
import { RequestError } from "../base/errors.ts";
import type { ServerEnv } from "./guards.ts";
import { errorResponse } from "./http_errors.ts";
import { PAGE_ROUTES } from "./page.ts";

/** Read without a key: the page asks for one, and whoever watches a server has none. */
const PUBLIC_PATHS = new Set([
  ...PAGE_ROUTES.map(({ path }) => path),
  ...["/health", "/v1/health", "/livez", "/readyz"],
]);
/** At a path of the page vectors are posted for, too. */
const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** A set of keys that tells nothing by the time that looking takes. */
export class ApiKeys {
  #digests: readonly Uint8Array[] = [];

  constructor(keys: readonly string[] = []) {
    this.replace(keys);
  }

  /** True where no key is asked for. */
  get isEmpty(): boolean {
    return this.#digests.length === 0;
  }

  /** From now on these keys are good, and no others. */
  replace(keys: readonly string[]): void {
    this.#digests = keys.map(digest);
  }

  /** Compares digests of one length, with all keys, whatever the first of them says. */
  has(key: string): boolean {
    const given = digest(key);
    let isGood = false;
    for (const known of this.#digests) isGood = timingSafeEqual(known, given) || isGood;
    return isGood;
  }
}

/**
 * Who sends a request, as what belongs to somebody is marked: the hash of the key; everybody is the
 * same where no key is asked for.
 */
export function ownerOf(request: Request, keys: ApiKeys): string {
  const key = keys.isEmpty ? undefined : givenKey(request);
  return key === undefined ? "" : digest(key).toHex();
}

/** Answers 401 to who has no key, on paths that are not public. */
export function requireKey(keys: ApiKeys): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    const { method, path } = c.req;
    const isPublic = READING.has(method) && PUBLIC_PATHS.has(path);
    if (keys.isEmpty || isPublic) return await next();
    const given = givenKey(c.req.raw);
    if (given !== undefined && keys.has(given)) return await next();
    const response = errorResponse(keyError(given === undefined), c);
    response.headers.set("www-authenticate", "Bearer");
    return response;
  };
}

function givenKey({ headers }: Request): string | undefined {
  return headers.get("x-api-key") ??
    /^bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "")?.[1];
}

function digest(key: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(key).digest());
}

/** Never repeats what was sent: it may be a key of another server. */
function keyError(isMissing: boolean): RequestError {
  const what = isMissing ? "This server asks for an API key" : "The API key is not known here";
  return new RequestError(
    `${what}: send one as "Authorization: Bearer KEY" or "X-Api-Key: KEY"`,
    { status: 401, code: isMissing ? "missing_api_key" : "invalid_api_key" },
  );
}
