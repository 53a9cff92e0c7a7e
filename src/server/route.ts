/** What a route is. */
import type { Context } from "hono";
import type { z } from "zod";
import type { ServerEnv } from "./guards.ts";
import type { AppSettings } from "./options.ts";

export type Handler = (
  c: Context<ServerEnv>,
  settings: AppSettings,
) => Response | Promise<Response>;

/** A method of a path. HEAD goes where GET goes. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** Hono's way of writing it. */
  readonly path: string;
  readonly handle: Handler;
  readonly summary: string;
  /** Of its body, JSON. */
  readonly body?: z.ZodType;
  /** The field of its body that the model's prompt is made of; left out: there is no prompt. */
  readonly promptField?: string;
  /** Of its body where that is a form (multipart/form-data). */
  readonly form?: z.ZodType;
  /** Of what stands behind the question mark. */
  readonly query?: z.ZodObject;
  /** What it answers where that is not JSON. */
  readonly answer?: "application/octet-stream";
  /** What a stream of it is; left out: it never is one. */
  readonly stream?: "text/event-stream" | "application/x-ndjson";
}
