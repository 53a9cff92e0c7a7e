/** The handlers of `/v1/files`: what batches read, and what they leave. */
import type { Context } from "hono";
import { z } from "zod";
import { type FileRecord, newId } from "../../batch/mod.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import type { AppSettings } from "../options.ts";
import { readUpload, type Upload } from "../upload.ts";
import { accessOf, idOf, own, pageFields, pageResponse, readQuery } from "./store_access.ts";

/** Of the form; the file comes as it is. */
export const fileForm = z.object({
  file: z.file(),
  purpose: z.literal("batch"),
});

export const fileListQuery = z.object({
  ...pageFields(10_000, 10_000),
  order: z.enum(["asc", "desc"]).default("desc"),
  purpose: z.string().max(64).optional(),
});

/** Keeps a file, piece by piece as it comes. Batches need not wait until it has come. */
export function createFile(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  return settings.admission.aside(() => keepFile(c, settings));
}

async function keepFile(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { store, owner, fileBytesMax } = accessOf(c, settings);
  const limits = { fileBytesMax, stallMs: settings.bodyTimeoutMs };
  const upload = await readUpload(c.req.raw, "file", limits);
  const file = await store.files.put({
    ...{ id: newId("file-"), owner, purpose: "batch" as const },
    ...{ filename: upload.filename, createdAt: Math.floor(Date.now() / 1000) },
  }, checked(upload));
  return Response.json(fileCard(file));
}

/** The file's bytes; fails at their end where the rest of the form is not as it must be. */
async function* checked({ content, fields }: Upload): AsyncGenerator<Uint8Array> {
  let isEmpty = true;
  for await (const piece of content) {
    isEmpty &&= piece.length === 0;
    yield piece;
  }
  if (isEmpty) throw fieldError("file", "The file is empty");
  for (const [name, value] of fields) {
    if (name !== "purpose") {
      throw fieldError(
        name,
        `"${name}" is not supported by this server: leave it out`,
        "unsupported_parameter",
      );
    }
    if (value !== "batch") {
      throw fieldError("purpose", `Invalid value for "purpose": expected "batch"`);
    }
  }
  if (!fields.has("purpose")) throw fieldError("purpose", `"purpose" is missing: give "batch"`);
}

export async function listFiles(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { store, owner } = accessOf(c, settings);
  const page = await store.files.list({ owner, ...readQuery(c, fileListQuery) });
  return pageResponse(page, fileCard);
}

export async function showFile(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  return Response.json(fileCard(await findFile(c, settings)));
}

export async function fileContent(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const { id, owner, bytes } = await findFile(c, settings);
  const content = await accessOf(c, settings).store.files.read(id);
  own(content && { owner }, { owner, kind: "file", id });
  // A server that stops does not wait for who reads slowly.
  const stream = ReadableStream.from(content!)
    .pipeThrough(new TransformStream(), { signal: settings.lifecycle.stopSignal });
  return new Response(stream, {
    headers: { "content-type": "application/octet-stream", "content-length": String(bytes) },
  });
}

export async function deleteFile(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { id } = await findFile(c, settings);
  await accessOf(c, settings).store.files.delete(id);
  return Response.json({ id, object: "file", deleted: true });
}

async function findFile(c: Context<ServerEnv>, settings: AppSettings): Promise<FileRecord> {
  const { store, owner } = accessOf(c, settings);
  const id = idOf(c);
  return own(await store.files.get(id), { owner, kind: "file", id });
}

function fileCard({ id, bytes, createdAt, filename, purpose }: FileRecord) {
  return {
    id,
    object: "file",
    bytes,
    created_at: createdAt,
    filename,
    purpose,
    status: "processed",
  };
}
