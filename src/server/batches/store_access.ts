/** What the handlers of files and of batches share: the store, whose things are whose, lists. */
import type { Context } from "hono";
import { z } from "zod";
import { RequestError } from "../../base/errors.ts";
import type { Page } from "../../batch/mod.ts";
import { ownerOf } from "../api_keys.ts";
import type { ServerEnv } from "../guards.ts";
import type { AppSettings, BatchSettings } from "../options.ts";
import { parseFields } from "../parse_fields.ts";

/**
 * The batches of this server, and whose request it is.
 * @throws {RequestError} 501 where it keeps none.
 */
export function accessOf(
  c: Context<ServerEnv>,
  { batches, apiKeys }: AppSettings,
): BatchSettings & { readonly owner: string } {
  if (batches !== null) return { ...batches, owner: ownerOf(c.req.raw, apiKeys) };
  throw new RequestError(
    "This server keeps no files and batches: start it with --batch-folder FOLDER, or --queue " +
      "ADDRESS",
    { status: 501, code: "not_enabled" },
  );
}

/** Ids are never looked up that cannot be: they become names elsewhere. */
export function idOf(c: Context<ServerEnv>): string {
  const id = c.req.param("id") ?? "";
  return /^[\w-]{1,128}$/.test(id) ? id : "";
}

/**
 * The thing, if it is the client's own.
 * @throws {RequestError} 404, which does not tell whether somebody else has it.
 */
export function own<T extends { readonly owner: string }>(
  found: T | null | undefined,
  { owner, kind, id, param = null }: {
    readonly owner: string;
    readonly kind: "file" | "batch";
    readonly id: string;
    readonly param?: string | null;
  },
): T {
  if (found && found.owner === owner) return found;
  throw new RequestError(`There is no ${kind} ${JSON.stringify(id.slice(0, 100))}`, {
    ...{ status: 404, code: `${kind}_not_found`, param },
  });
}

/**
 * A list's parameters, by their schema.
 * @throws {RequestError} 400 that names the one at fault.
 */
export function readQuery<T extends z.ZodType>(c: Context<ServerEnv>, schema: T): z.output<T> {
  return parseFields(schema, c.req.query());
}

export const pageFields = (limitMax: number, limit: number) => ({
  after: z.string().regex(/^[\w-]{1,128}$/, "expected an id").optional(),
  limit: z.coerce.number().int().min(1).max(limitMax).default(limit),
});

/** A page as OpenAI writes it. */
export function pageResponse<T, W extends { readonly id: string }>(
  { items, hasMore }: Page<T>,
  write: (item: T) => W,
): Response {
  const data = items.map(write);
  return Response.json({
    object: "list",
    data,
    first_id: data.at(0)?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  });
}
