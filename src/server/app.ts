/**
 * The server as a function from requests to answers: which path does what, and what happens before
 * and after. Listens nowhere: see serve.ts.
 */
import { type Context, type Handler, Hono } from "hono";
import { RequestError } from "../base/errors.ts";
import { nearest } from "../base/nearest.ts";
import { admit } from "./admission.ts";
import { requireKey } from "./api_keys.ts";
import { guards, requestIds, type ServerEnv } from "./guards.ts";
import { headLengths } from "./head_lengths.ts";
import { errorResponse, namingPrompt, onAppError } from "./http_errors.ts";
import { openApiDocument } from "./openapi.ts";
import { OPERATION_ROUTES } from "./operation_routes.ts";
import { type AppOptions, type AppSettings, appSettings } from "./options.ts";
import { PAGE_ROUTES } from "./page.ts";
import { ignoredFields } from "./read_fields.ts";
import type { Route } from "./route.ts";
import { API_ROUTES } from "./routes.ts";
import { watchRequests } from "./telemetry/requests.ts";

/** The page and the document, before what the document is of. */
const OWN_ROUTES: readonly Route[] = [
  ...PAGE_ROUTES,
  {
    method: "GET",
    path: "/openapi.json",
    handle: () => Response.json(openApiDocument(ROUTES)),
    summary: "This document",
  },
];

/** Every method of every path. HEAD goes where GET goes. */
const ROUTES: readonly Route[] = [...OWN_ROUTES, ...OPERATION_ROUTES, ...API_ROUTES];

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
  app.use(headLengths());
  app.use(requestIds());
  app.use(ignoredFields());
  app.use(watchRequests(settings));
  app.use(guards(settings));
  app.use(requireKey(settings.apiKeys));
  app.use(admit(settings));
  for (const route of ROUTES) app.on(route.method, route.path, handlerOf(route, settings));
  for (const [path, routes] of Map.groupBy(ROUTES, (route) => route.path)) {
    app.all(path, (c) => methodNotAllowed(c, routes.map(({ method }) => method)));
  }
  app.notFound(unknownPath);
  app.onError(onAppError(settings));
  return app;
}

/** Models do not know which field a prompt came from: what they refuse of it is told here. */
function handlerOf({ handle, promptField }: Route, settings: AppSettings): Handler<ServerEnv> {
  if (promptField === undefined) return (c) => handle(c, settings);
  return async (c) => {
    try {
      return await handle(c, settings);
    } catch (error) {
      throw namingPrompt(error, promptField);
    }
  };
}

function methodNotAllowed(c: Context<ServerEnv>, methods: readonly string[]): Response {
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ");
  const isOptions = c.req.method === "OPTIONS";
  const response = isOptions ? new Response(null, { status: 204 }) : errorResponse(
    new RequestError(`${c.req.path} does not take ${c.req.method}: use ${methods.join(" or ")}`, {
      status: 405,
      code: "method_not_allowed",
    }),
    c,
  );
  response.headers.set("allow", allow);
  return response;
}

/** Those that have no parameters. */
const PLAIN_PATHS = ROUTES.map(({ path }) => path).filter((path) => !path.includes(":"));

/** Base URLs are given with "/v1" too few or too many, or with a slash at their end. */
function unknownPath(c: Context<ServerEnv>): Response {
  const path = c.req.path.slice(0, 200);
  const meant = nearest(path, PLAIN_PATHS);
  const advice = meant === null ? "" : `: did you mean "${meant}"?`;
  return errorResponse(
    new RequestError(`Unknown path ${JSON.stringify(path)}${advice}`, {
      status: 404,
      code: "unknown_url",
    }),
    c,
  );
}
