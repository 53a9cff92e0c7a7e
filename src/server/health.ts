/**
 * Is it there, can it answer, should it be asked: what supervisors and load balancers want to know.
 * Costs nothing, and needs neither key nor model.
 */
import type { Context } from "hono";
import type { ServerEnv } from "./guards.ts";
import type { AppSettings } from "./options.ts";

/** `/livez`: 503 only when nothing but a new process helps. */
export function live(_c: Context<ServerEnv>, settings: AppSettings): Response {
  return hasFailed(settings) ? unavailable("The engine has failed") : ok();
}

/** `/health`: whether requests are answered; in llama.cpp's words. */
export function health(_c: Context<ServerEnv>, settings: AppSettings): Response {
  if (settings.models.state === "loading") return unavailable("Loading model");
  return hasFailed(settings) ? unavailable("The engine has failed") : ok();
}

/** `/readyz`: whether new requests should be sent here. */
export function ready(c: Context<ServerEnv>, settings: AppSettings): Response {
  return settings.lifecycle.isDraining ? unavailable("Shutting down") : health(c, settings);
}

function hasFailed({ models }: AppSettings): boolean {
  return models.list().some((model) => model.failure);
}

function ok(): Response {
  return Response.json({ status: "ok" });
}

function unavailable(message: string): Response {
  return Response.json(
    { error: { code: 503, type: "unavailable_error", message } },
    { status: 503, headers: { "retry-after": "1" } },
  );
}
