/**
 * A request's body to the fields of its route. Fields that the route does not know fail no request
 * (clients send what other servers know), but are named: in the answer's header and in the log; or,
 * where the server is strict, in a 400.
 */
import type { Context, MiddlewareHandler } from "hono";
import type { z } from "zod";
import type { ServerEnv } from "./guards.ts";
import { fieldError } from "./http_errors.ts";
import { type Body, meantField, unknownFields } from "./known_fields.ts";
import type { AppSettings } from "./options.ts";
import { countValues, parseFields } from "./parse_fields.ts";
import { readJsonList, readJsonObject } from "./request_body.ts";

/** The answer's header that names what was ignored. */
const IGNORED_FIELDS_HEADER = "x-ignored-fields";

/** Of ignored fields that are named, and of each one's name. */
const NAMES_MAX = 16;
const NAME_CHARS_MAX = 64;

/**
 * Reads the body by `schema`.
 * @throws {RequestError} as `readJsonObject` and `parseFields`; 400 for too many values, and for a
 *   field that is not known, where the server is strict.
 */
export async function readFields<T extends z.ZodType>(
  c: Context<ServerEnv>,
  settings: AppSettings,
  schema: T,
): Promise<z.output<T>> {
  const body = await readJsonObject(c.req.raw, settings);
  refuseMany(body, settings);
  noteUnknown(c, settings, schema, body);
  return parseFields(schema, body);
}

/**
 * Reads a body that is a list by `schema`; what its items have beside is not looked at.
 * @throws {RequestError} as `readFields`.
 */
export async function readList<T extends z.ZodType>(
  c: Context<ServerEnv>,
  settings: AppSettings,
  schema: T,
): Promise<z.output<T>> {
  const body = await readJsonList(c.req.raw, settings);
  refuseMany(body, settings);
  return parseFields(schema, body);
}

/** Of the longest body, the bytes for each of which it may have a value. */
const BYTES_PER_VALUE = 64;

/**
 * The same of a form's fields, which have been read.
 * @throws {RequestError} as `parseFields`; 400 for a field that is not known, where the server is
 *   strict.
 */
export function readFormFields<T extends z.ZodType>(
  c: Context<ServerEnv>,
  settings: AppSettings,
  { schema, body }: { readonly schema: T; readonly body: Body },
): z.output<T> {
  noteUnknown(c, settings, schema, body);
  return parseFields(schema, body);
}

/** A value costs a hundred times the time of its bytes: 8 MiB of `{}` took the server 12 s. */
function refuseMany(body: Body | readonly unknown[], { bodyBytesMax }: AppSettings): void {
  const most = Math.floor(bodyBytesMax / BYTES_PER_VALUE);
  if (countValues(body, most) <= most) return;
  throw fieldError(
    null,
    `Cannot read the body: it has more than ${most} values: send less, or start the server with ` +
      "a larger --max-body",
    "too_many_values",
  );
}

/** Names what `readFields` ignored in the header of the answer, be it an error. */
export function ignoredFields(): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    await next();
    const names = c.get("ignoredFields");
    if (names !== undefined) c.res.headers.set(IGNORED_FIELDS_HEADER, names);
  };
}

function noteUnknown(
  c: Context<ServerEnv>,
  { strictRequests, log }: AppSettings,
  schema: z.ZodType,
  body: Body,
): void {
  const unknown = unknownFields(schema, body, NAMES_MAX + 1);
  if (unknown.length === 0) return;
  if (strictRequests) throw unknownError(schema, unknown[0]);
  const names = unknown.slice(0, NAMES_MAX).map(harmlessName);
  if (unknown.length > NAMES_MAX) names.push("...");
  const fields = names.join(", ");
  c.set("ignoredFields", fields);
  log.debug("ignored fields", { request_id: c.get("requestId"), path: c.req.path, fields });
}

function unknownError(schema: z.ZodType, path: string) {
  const name = path.slice(0, NAME_CHARS_MAX);
  const meant = meantField(schema, name);
  const advice = meant === null ? "leave it out" : `did you mean "${meant}"?`;
  return fieldError(name, `Unknown field ${JSON.stringify(name)}: ${advice}`, "unknown_parameter");
}

/** What a header may hold, and no list be misread by. */
function harmlessName(path: string): string {
  return path.slice(0, NAME_CHARS_MAX).replace(/[^\w.-]/g, "?") || "?";
}
