/**
 * Every request's line in the log and its place in the metrics, once its answer is out or its
 * client has gone. Sees methods, routes and statuses; no bodies, no queries, no keys.
 */
import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { ServerEnv } from "../guards.ts";
import type { AppSettings } from "../options.ts";

/** Asked all the time, by machines or the page: worth a line only to those who debug. */
const QUIET_ROUTES = new Set(
  ["/health", "/v1/health", "/livez", "/readyz", "/metrics", "/models", "/v1/neurons"],
);

/** Counts and logs what it lets through. */
export function watchRequests(
  { metrics, log }: Pick<AppSettings, "metrics" | "log">,
): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    const startMs = performance.now();
    await next();
    const { status } = c.res;
    const { method } = c.req;
    // Paths that clients make up are no names of metrics; "/*" is what is done for all.
    const route = matchedRoutes(c).findLast(({ path }) => path !== "/*")?.path ?? "unknown";
    const done = () => {
      const ms = performance.now() - startMs;
      const known = KNOWN_METHODS.has(method) ? method : "other";
      metrics.request({ route, method: known, status }, ms / 1000);
      const fields = {
        ...{ request_id: c.get("requestId"), method, path: c.req.path.slice(0, 500), status },
        // `completed` resolves for clients that have gone, too.
        ...{ ms: Math.round(ms * 10) / 10, gone: c.req.raw.signal.aborted || undefined },
      };
      if (QUIET_ROUTES.has(route)) log.debug("request", fields);
      else log.info("request", fields);
    };
    const sent = c.env?.completed;
    if (sent === undefined) done();
    else sent.then(done, done);
  };
}

const KNOWN_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
