/**
 * The server as a function from requests to answers: which path does what, and what happens before
 * and after. Listens nowhere: see serve.ts.
 */
import { type Context, Hono } from "hono";
import { RequestError } from "../base/errors.ts";
import { METRICS_CONTENT_TYPE } from "../metrics/mod.ts";
import { admit } from "./admission.ts";
import { requireKey } from "./api_keys.ts";
import { guards, requestIds, type ServerEnv } from "./guards.ts";
import { health, live, ready } from "./health.ts";
import { errorResponse, toRequestError } from "./http_errors.ts";
import { listStates, load, unload } from "./manage_models.ts";
import { openApiDocument } from "./openapi.ts";
import { type AppOptions, type AppSettings, appSettings } from "./options.ts";
import { pageResponse } from "./page.ts";
import type { Handler, Route } from "./route.ts";
import { API_ROUTES } from "./routes.ts";
import { watchRequests } from "./telemetry/requests.ts";

/** Every path, with the methods that it answers. HEAD goes where GET goes. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  "/": { GET: () => pageResponse() },
  "/health": { GET: health },
  "/livez": { GET: live },
  "/readyz": { GET: ready },
  "/metrics": { GET: showMetrics },
  "/models": { GET: listStates },
  "/models/load": { POST: load },
  "/models/unload": { POST: unload },
  "/openapi.json": { GET: () => Response.json(openApiDocument(API_ROUTES)) },
  ...handlersByPath(API_ROUTES),
};

/** Makes the application. Each request's work ends with its client, or with `lifecycle`. */
export function createApp(options: AppOptions): Hono<ServerEnv> {
  const settings = appSettings(options);
  const { admission, lifecycle, metrics, models } = settings;
  metrics.watch({
    models,
    underWay: () => admission.underWay,
    isDraining: () => lifecycle.isDraining,
  });
  const app = new Hono<ServerEnv>();
  app.use(requestIds());
  app.use(watchRequests(settings));
  app.use(guards(settings));
  app.use(requireKey(settings.apiKeys));
  app.use(admit(settings));
  for (const [path, handlers] of Object.entries(ROUTES)) {
    for (const [method, handle] of Object.entries(handlers)) {
      app.on(method, path, (c) => handle(c, settings));
    }
    app.all(path, (c) => methodNotAllowed(c, Object.keys(handlers)));
  }
  app.notFound(unknownPath);
  app.onError((error, c) => {
    if (!(error instanceof RequestError)) settings.onError(error, c.get("requestId"));
    return errorResponse(toRequestError(error));
  });
  return app;
}

function handlersByPath(routes: readonly Route[]): Record<string, Record<string, Handler>> {
  const paths: Record<string, Record<string, Handler>> = {};
  for (const { path, method, handle } of routes) (paths[path] ??= {})[method] = handle;
  return paths;
}

function showMetrics(_c: Context<ServerEnv>, { metrics }: AppSettings): Response {
  return new Response(metrics.text(), { headers: { "content-type": METRICS_CONTENT_TYPE } });
}

function methodNotAllowed(c: Context<ServerEnv>, methods: readonly string[]): Response {
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  const isOptions = c.req.method === "OPTIONS";
  const response = isOptions ? new Response(null, { status: 204 }) : errorResponse(
    new RequestError(`${c.req.path} does not take ${c.req.method}: use ${methods.join(" or ")}`, {
      status: 405,
      code: "method_not_allowed",
    }),
  );
  response.headers.set("allow", allow);
  return response;
}

function unknownPath(c: Context<ServerEnv>): Response {
  return errorResponse(
    new RequestError(`Unknown path ${JSON.stringify(c.req.path.slice(0, 200))}`, {
      status: 404,
      code: "unknown_url",
    }),
  );
}
