/** The handlers of `/v1/batches`: files of requests that are answered when there is time. */
import type { Context } from "hono";
import { z } from "zod";
import { RequestError } from "../../base/errors.ts";
import { OneByOne } from "../../base/one_by_one.ts";
import {
  type BatchRecord,
  type BatchStore,
  newId,
  type Progress,
  type VersionedBatch,
} from "../../batch/mod.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import type { AppSettings } from "../options.ts";
import { withOthers } from "../known_fields.ts";
import { harmless, optional } from "../parse_fields.ts";
import { readFields } from "../read_fields.ts";
import { accessOf, idOf, own, pageFields, pageResponse, readQuery } from "./store_access.ts";

/** What jobs may ask. */
export const BATCH_ENDPOINTS = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/responses",
] as const;

const WINDOW_SECONDS = 24 * 3600;
const METADATA_KEYS_MAX = 16;
/** That a key may have open when nobody says. */
const BATCHES_PER_KEY = 100;

export const batchSchema = withOthers(
  z.object({
    input_file_id: z.string().regex(/^[\w-]{1,128}$/, "expected the id of a file"),
    endpoint: z.enum(BATCH_ENDPOINTS),
    completion_window: z.literal("24h"),
    metadata: optional(
      z.record(z.string().max(64), z.string().max(512))
        .refine((data) => Object.keys(data).length <= METADATA_KEYS_MAX, "too many keys"),
    ),
  }),
  { unsupported: { output_expires_after: harmless.never } },
);

export const batchListQuery = z.object(pageFields(100, 20));

export async function createBatch(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = await readFields(c, settings, batchSchema);
  const { input_file_id: inputFileId, endpoint, metadata } = fields;
  const { store, owner, batchesPerKey = BATCHES_PER_KEY } = accessOf(c, settings);
  const param = "input_file_id";
  const file = own(await store.files.get(inputFileId), {
    ...{ owner, kind: "file", id: inputFileId, param },
  });
  if (file.purpose !== "batch") {
    throw fieldError(param, `Invalid value for "${param}": the file's purpose is not "batch"`);
  }
  const { record } = await creationsIn(store).run(async () => {
    await checkRoom(store, owner, batchesPerKey);
    const createdAt = Math.floor(Date.now() / 1000);
    return await store.batches.create({
      ...{ id: newId("batch_"), owner, endpoint, inputFileId, metadata: metadata ?? null },
      ...{ status: "validating", times: {}, createdAt, expiresAt: createdAt + WINDOW_SECONDS },
      ...{ total: 0, progress: NO_PROGRESS, errors: [], outputFileId: null, errorFileId: null },
      ...{ isOpen: true, keeper: null },
    });
  });
  return Response.json(batchCard(record, NO_PROGRESS));
}

/** @throws {RequestError} 429 when the owner has as many open ones as there may be. */
async function checkRoom(store: BatchStore, owner: string, most: number): Promise<void> {
  const count = await store.batches.countOpen(owner);
  if (count < most) return;
  throw new RequestError(
    `Cannot create a batch: a key may have ${most} under way, and has ${count}: wait until one ` +
      "has ended, or cancel one (POST /v1/batches/ID/cancel)",
    { status: 429, type: "rate_limit_error", code: "too_many_batches" },
  );
}

/** Creations in each store: two that counted at once would both find room. */
const creations = new WeakMap<BatchStore, OneByOne>();

function creationsIn(store: BatchStore): OneByOne {
  const queue = creations.get(store) ?? new OneByOne();
  creations.set(store, queue);
  return queue;
}

const NO_PROGRESS: Progress = { completed: 0, failed: 0 };

export async function listBatches(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const { store, owner } = accessOf(c, settings);
  const { items, hasMore } = await store.batches.list({ owner, ...readQuery(c, batchListQuery) });
  const progress = await Promise.all(items.map((record) => progressOf(record, store)));
  const withProgress = items.map((record, index) => ({ record, progress: progress[index] }));
  return pageResponse(
    { items: withProgress, hasMore },
    ({ record, progress }) => batchCard(record, progress),
  );
}

export async function showBatch(c: Context<ServerEnv>, settings: AppSettings): Promise<Response> {
  const { record } = await findBatch(c, settings);
  const { store } = accessOf(c, settings);
  return Response.json(batchCard(record, await progressOf(record, store)));
}

/**
 * Ends a batch early: what runs is given up, what has an answer keeps it.
 * @throws {RequestError} 409 when it has ended, or is about to.
 */
export async function cancelBatch(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const { store } = accessOf(c, settings);
  for (;;) {
    const { record, version } = await findBatch(c, settings);
    const { id, status, times } = record;
    const progress = await progressOf(record, store);
    if (status === "cancelling" || status === "cancelled") {
      return Response.json(batchCard(record, progress));
    }
    if (status !== "validating" && status !== "in_progress") {
      throw new RequestError(`Cannot cancel the batch "${id}": it is ${status}`, {
        ...{ status: 409, code: "batch_not_cancellable" },
      });
    }
    const cancelling = Math.floor(Date.now() / 1000);
    const changed = await store.batches.replace(
      // Whoever keeps it notices; whoever is first takes it on.
      { ...record, status: "cancelling", times: { ...times, cancelling }, keeper: null },
      version,
    );
    // Else somebody has taken it on meanwhile.
    if (changed !== null) return Response.json(batchCard(changed.record, progress));
  }
}

async function findBatch(c: Context<ServerEnv>, settings: AppSettings): Promise<VersionedBatch> {
  const { store, owner } = accessOf(c, settings);
  const id = idOf(c);
  const found = await store.batches.get(id);
  own(found?.record, { owner, kind: "batch", id });
  return found!;
}

/** Its jobs know while it goes on; when it has ended it knows itself. */
async function progressOf(
  { id, status, progress }: BatchRecord,
  store: BatchStore,
): Promise<Progress> {
  const goesOn = status === "in_progress" || status === "finalizing" || status === "cancelling";
  return goesOn ? await store.jobs.progress(id) : progress;
}

function batchCard(record: BatchRecord, { completed, failed }: Progress) {
  const { times, errors } = record;
  return {
    id: record.id,
    object: "batch",
    endpoint: record.endpoint,
    errors: errors.length === 0 ? null : { object: "list", data: errors },
    input_file_id: record.inputFileId,
    completion_window: "24h",
    status: record.status,
    output_file_id: record.outputFileId,
    error_file_id: record.errorFileId,
    created_at: record.createdAt,
    in_progress_at: times.in_progress ?? null,
    expires_at: record.expiresAt,
    finalizing_at: times.finalizing ?? null,
    completed_at: times.completed ?? null,
    failed_at: times.failed ?? null,
    expired_at: times.expired ?? null,
    cancelling_at: times.cancelling ?? null,
    cancelled_at: times.cancelled ?? null,
    request_counts: { total: record.total, completed, failed },
    metadata: record.metadata,
  };
}
