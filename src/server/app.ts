/**
 * The server as a function from requests to answers: which path does what, and what happens before
 * and after. Listens nowhere: see serve.ts.
 */
import { type Context, Hono } from "hono";
import { RequestError } from "../base/errors.ts";
import { guards, requestIds, type ServerEnv } from "./guards.ts";
import { errorResponse, toRequestError } from "./http_errors.ts";
import { openApiDocument } from "./openapi.ts";
import { type AppOptions, type AppSettings, appSettings } from "./options.ts";
import { pageResponse } from "./page.ts";
import type { Route } from "./route.ts";
import { API_ROUTES } from "./routes.ts";

/** The page, and what whoever runs the server asks. */
const OWN_ROUTES: readonly Route[] = [
  { method: "GET", path: "/", handle: () => pageResponse(), summary: "The chat page" },
  { method: "GET", path: "/health", handle: health, summary: "Whether requests are answered" },
  { method: "GET", path: "/livez", handle: live, summary: "Whether the process lives" },
  { method: "GET", path: "/readyz", handle: health, summary: "Whether requests are answered" },
  {
    method: "GET",
    path: "/openapi.json",
    handle: () => Response.json(openApiDocument(ROUTES)),
    summary: "This document",
  },
];

/** Every method of every path. */
const ROUTES: readonly Route[] = [...OWN_ROUTES, ...API_ROUTES];

/** Makes the application. Each request's work ends with its client, or with `lifecycle`. */
export function createApp(options: AppOptions): Hono<ServerEnv> {
  const settings = appSettings(options);
  const app = new Hono<ServerEnv>();
  app.use(requestIds());
  app.use(guards(settings));
  for (const { method, path, handle } of ROUTES) app.on(method, path, (c) => handle(c, settings));
  for (const [path, routes] of Map.groupBy(ROUTES, (route) => route.path)) {
    app.all(path, (c) => methodNotAllowed(c, routes.map(({ method }) => method)));
  }
  app.notFound(unknownPath);
  app.onError((error, c) => {
    if (!(error instanceof RequestError)) settings.onError(error, c.get("requestId"));
    return errorResponse(toRequestError(error));
  });
  return app;
}

function health(_c: Context<ServerEnv>, { models, lifecycle }: AppSettings): Response {
  const message = lifecycle.isDraining
    ? "Shutting down"
    : models.state === "loading"
    ? "Loading model"
    : models.list().some((model) => model.failure)
    ? "The engine has failed"
    : null;
  if (message === null) return Response.json({ status: "ok" });
  return Response.json(
    { error: { code: 503, type: "unavailable_error", message } },
    { status: 503, headers: { "retry-after": "1" } },
  );
}

function live(): Response {
  return Response.json({ status: "ok" });
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
