/**
 * The server as a function from requests to answers: which path does what, and what happens before
 * and after. Listens nowhere: see serve.ts.
 */
import { type Context, Hono } from "hono";
import { RequestError } from "../base/errors.ts";
import { METRICS_CONTENT_TYPE } from "../metrics/mod.ts";
import { admit } from "./admission.ts";
import { requireKey } from "./api_keys.ts";
import { chatCompletions, completions } from "./completions.ts";
import { guards, requestIds, type ServerEnv } from "./guards.ts";
import { health, live, ready } from "./health.ts";
import { errorResponse, toRequestError } from "./http_errors.ts";
import { listStates, load, unload } from "./manage_models.ts";
import { type ModelCard, modelNotFound } from "./model_source.ts";
import { type AppOptions, type AppSettings, appSettings } from "./options.ts";
import { pageResponse } from "./page.ts";
import { watchRequests } from "./telemetry/requests.ts";

type Handler = (c: Context<ServerEnv>, settings: AppSettings) => Response | Promise<Response>;

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
  "/v1/models": { GET: listModels },
  // Names of models have slashes in them.
  "/v1/models/:id{.+}": { GET: showModel },
  "/v1/chat/completions": { POST: chatCompletions },
  "/v1/completions": { POST: completions },
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

function listModels(_c: Context<ServerEnv>, { models }: AppSettings): Response {
  return Response.json({ object: "list", data: models.list().map(modelOnWire) });
}

function showModel(c: Context<ServerEnv>, { models }: AppSettings): Response {
  const id = c.req.param("id");
  // A request may be answered under another name; what is shown is what is there.
  const model = models.list().find((card) => card.id === id);
  if (model === undefined) throw modelNotFound(models, id);
  return Response.json(modelOnWire(model));
}

function showMetrics(_c: Context<ServerEnv>, { metrics }: AppSettings): Response {
  return new Response(metrics.text(), { headers: { "content-type": METRICS_CONTENT_TYPE } });
}

function modelOnWire({ id, created, contextLength }: ModelCard) {
  return {
    id,
    object: "model",
    created,
    owned_by: "ganglion",
    context_length: contextLength ?? null,
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
