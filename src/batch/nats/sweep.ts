/**
 * Removes chunks that nothing names: of uploads that broke off with their process, or with the
 * server. Any number of processes may do it at once.
 */
import type { BatchRecord } from "../batch_store.ts";
import { Chunks, uploadTimeMs } from "./chunks.ts";
import { type Head, readJson } from "./records.ts";
import type { NatsLink } from "./link.ts";
import { Messages } from "./messages.ts";
import { CHUNKS, STATE, subject } from "./streams.ts";

/** Younger uploads may be under way. */
const AGE_MS_MIN = 24 * 3600 * 1000;

/** @returns how many uploads were removed. */
export async function sweepChunks(link: NatsLink, nowMs = Date.now()): Promise<number> {
  const state = new Messages(link, STATE);
  const chunks = new Chunks(link);
  const firsts = await new Messages(link, CHUNKS).subjects(subject("chunks", "*", "*", 0));
  let count = 0;
  for (const first of firsts) {
    const [, , group, upload] = first.split(".");
    if (nowMs - uploadTimeMs(upload) < AGE_MS_MIN) continue;
    if (await isNamed(state, group, upload)) continue;
    await chunks.remove(group, upload);
    count++;
  }
  return count;
}

/** By the head of a file, or by a batch whose jobs and results are there. */
async function isNamed(state: Messages, group: string, upload: string): Promise<boolean> {
  const [head] = await state.subjects(subject("files", "*", "*", group));
  if (head !== undefined) {
    const found = await state.get(head);
    return found !== null && readJson<Head>(found).upload.id === upload;
  }
  const [batch] = await state.subjects(subject("batches", "*", group));
  const found = batch === undefined ? null : await state.get(batch);
  return found !== null && readJson<BatchRecord>(found).isOpen;
}
