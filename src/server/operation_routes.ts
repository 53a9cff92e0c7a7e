/** Paths for those who run a server: is it well, what does it do, which models are in memory. */
import { METRICS_CONTENT_TYPE } from "../metrics/mod.ts";
import { health, live, ready } from "./health.ts";
import { neurons } from "./native/neurons.ts";
import { PROPERTY_ROUTES } from "./native/properties.ts";
import { listStates, load, nameSchema, unload } from "./manage_models.ts";
import type { AppSettings } from "./options.ts";
import type { Route } from "./route.ts";

/** Routes of operations, in the document like all others. */
export const OPERATION_ROUTES: readonly Route[] = [
  { method: "GET", path: "/health", handle: health, summary: "Whether requests are answered" },
  { method: "GET", path: "/v1/health", handle: health, summary: "The same as /health" },
  { method: "GET", path: "/livez", handle: live, summary: "503: only a new process helps" },
  { method: "GET", path: "/readyz", handle: ready, summary: "Whether to send requests here" },
  { method: "GET", path: "/metrics", handle: showMetrics, summary: "Numbers for Prometheus" },
  {
    method: "GET",
    path: "/v1/neurons",
    handle: neurons,
    summary: "What a model's neurons did since it was loaded, by layer",
  },
  ...PROPERTY_ROUTES,
  { method: "GET", path: "/models", handle: listStates, summary: "Models and their states" },
  {
    method: "POST",
    path: "/models/load",
    handle: load,
    summary: "Loads a model",
    body: nameSchema,
  },
  {
    method: "POST",
    path: "/models/unload",
    handle: unload,
    summary: "Lets a model go when its requests have ended",
    body: nameSchema,
  },
];

function showMetrics(_c: unknown, { metrics }: AppSettings): Response {
  return new Response(metrics.text(), { headers: { "content-type": METRICS_CONTENT_TYPE } });
}
