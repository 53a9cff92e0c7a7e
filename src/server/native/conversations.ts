/**
 * Conversations that outlive the server, one by one: what a model computed of each is a file in the
 * folder that the server was started with, under a name that clients choose. Files that no name can
 * mean are nobody's business here.
 */
import type { Context } from "hono";
import { join } from "node:path";
import { z } from "zod";
import { RequestError } from "../../base/errors.ts";
import type { Conversations, LanguageModel } from "../../llm/types.ts";
import { answerOnce, madeInTurns, readWork, withModel, type Work } from "../answers/answer.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import { CHAT_FIELDS_AS_HINTS, conversationFields } from "../openai/chat_request.ts";
import { toConversation } from "../openai/chat_request.ts";
import { chatAsk } from "../openai/handlers.ts";
import { withOthers } from "../known_fields.ts";
import type { AppSettings } from "../options.ts";
import { optional } from "../parse_fields.ts";
import { cutShortError } from "../work_stop.ts";

/** Where they are, and how many bytes all of them may take. */
export interface ConversationFolder {
  readonly path: string;
  readonly bytesMax: number;
}

const ENDING = ".kv";
/** Behind it, while it is written (src/engine/kv_file.ts). */
const PART = ".part";
/** Nobody writes for so long without a byte. */
const PART_MS = 10 * 60_000;
/** No path, no hidden file, no other stream of a file. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const nameField = z.string().regex(NAME, "expected 1 to 64 letters, digits, '.', '_' or '-'");
const model = optional(z.string().max(512));

export const saveSchema = withOthers(
  z.object({
    model,
    name: nameField,
    ...conversationFields,
    messages: optional(conversationFields.messages),
    prompt: optional(z.string()),
  }),
  CHAT_FIELDS_AS_HINTS,
);

export const restoreSchema = z.object({ model, name: nameField });

/**
 * Folders that are being written to, and the file. One save at a time: two models must not write
 * one file, and two saves that counted at once would both take the room that is left.
 */
const busy = new Map<string, string>();

/** Keeps what a model computed of a conversation; what it has not, it computes first. */
export async function saveConversation(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = await readWork(c, settings, saveSchema);
  const folder = folderOf(settings);
  return await answerOnce(c, settings, { id: fields.model }, async (model, signal, work) => {
    const kept = conversationsOf(model);
    const ids = await idsOf(work, fields);
    const path = pathOf(folder, fields.name);
    const { finishReason } = await model.generate({
      ids,
      maxTokens: 0,
      sampling: { temperature: 0 },
      signal,
    }).result;
    if (finishReason === "cancelled") throw cutShortError(settings);
    return await alone(folder, path, async () => {
      const bytesMax = Math.max(0, folder.bytesMax - bytesBeside(folder, fields.name));
      const tokens = await kept.save(ids, { path, bytesMax });
      const { size: bytes } = Deno.statSync(path);
      return Response.json({ ...cardOf(fields.name, bytes), model: model.id, tokens });
    });
  });
}

/** Brings one back: the next request that begins with it computes the rest only. */
export async function restoreConversation(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const { name, model: id } = await readWork(c, settings, restoreSchema);
  const folder = folderOf(settings);
  const { bytes } = find(folder, name);
  return await withModel(c, settings, { id }, async ({ lease: { model } }) => {
    const tokens = await conversationsOf(model).restore(pathOf(folder, name));
    return Response.json({ ...cardOf(name, bytes), model: model.id, tokens });
  });
}

/** What is kept. */
export function listConversations(_c: unknown, settings: AppSettings): Response {
  const data = filesOf(folderOf(settings)).map(({ name, bytes }) => cardOf(name, bytes));
  return Response.json({ object: "list", data });
}

/**
 * Forgets one.
 * @throws {RequestError} 409 while it is being saved: it would be there again.
 */
export function deleteConversation(c: Context<ServerEnv>, settings: AppSettings): Response {
  const folder = folderOf(settings);
  const name = c.req.param("name") ?? "";
  const path = pathOf(folder, name);
  if (busy.get(folder.path) === path) throw busyError();
  find(folder, name);
  Deno.removeSync(path);
  return Response.json({ object: "conversation", name, deleted: true });
}

function cardOf(name: string, bytes: number) {
  return { object: "conversation", name, bytes };
}

async function idsOf(
  work: Work,
  fields: z.output<typeof saveSchema>,
): Promise<readonly number[]> {
  const { model } = work.lease;
  const { messages, prompt } = fields;
  if ((messages === undefined) === (prompt === undefined)) {
    throw fieldError("messages", `One of "messages" and "prompt" is needed`);
  }
  if (prompt !== undefined) {
    return await madeInTurns(work, model.inSteps.prompt(prompt.toWellFormed()));
  }
  const conversation = toConversation({ ...fields, messages: messages! });
  // What stands for an image in a prompt means nothing to another process.
  if (messages!.some(({ images }) => images)) {
    const why = "Conversations with images or sounds cannot be kept: leave them out";
    throw fieldError("messages", why);
  }
  return (await chatAsk(work, { conversation, format: {}, request: {} })).prompts[0].ids;
}

/** @throws {RequestError} 501 where the server was given no folder. */
function folderOf({ conversations }: AppSettings): ConversationFolder {
  if (conversations !== null) return conversations;
  throw new RequestError(
    "This server keeps no conversations: start it with --conversations FOLDER",
    { status: 501, code: "not_enabled" },
  );
}

function conversationsOf({ conversations, id }: LanguageModel): Conversations {
  if (conversations !== undefined) return conversations;
  throw fieldError("model", `Conversations of "${id}" cannot be kept`, "model_not_supported");
}

function pathOf({ path }: ConversationFolder, name: string): string {
  return join(path, name + ENDING);
}

/** @throws {RequestError} 404 where there is none of that name. */
function find(folder: ConversationFolder, name: string): { readonly bytes: number } {
  const file = NAME.test(name) ? fileAt(pathOf(folder, name)) : null;
  if (file !== null) return file;
  throw new RequestError(
    `No conversation is kept under the name ${JSON.stringify(name.slice(0, 100))}`,
    { status: 404, code: "conversation_not_found", param: "name" },
  );
}

/** Null where there is none, or a link, a folder, a device. */
function fileAt(path: string): { readonly bytes: number } | null {
  try {
    const { isFile, size } = Deno.lstatSync(path);
    return isFile ? { bytes: size } : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function filesOf(folder: ConversationFolder): { readonly name: string; readonly bytes: number }[] {
  const files = [];
  for (const entry of Deno.readDirSync(folder.path)) {
    const name = entry.name.slice(0, -ENDING.length);
    if (!entry.name.endsWith(ENDING) || !NAME.test(name)) continue;
    const file = fileAt(pathOf(folder, name));
    if (file !== null) files.push({ name, bytes: file.bytes });
  }
  return files.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** Bytes of all that are not called so, and of what is half written. */
function bytesBeside(folder: ConversationFolder, name: string): number {
  const beside = filesOf(folder).filter((file) => file.name !== name);
  return beside.reduce((sum, { bytes }) => sum + bytes, partBytes(folder, name));
}

/**
 * Bytes of others' files that are being written. Here that is nobody, in another process maybe; but
 * what was cut off long ago (a crash, a pulled plug) is removed.
 */
function partBytes({ path }: ConversationFolder, name: string): number {
  let sum = 0;
  for (const entry of Deno.readDirSync(path)) {
    const of = entry.name.slice(0, -(ENDING + PART).length);
    const isPart = entry.isFile && entry.name === of + ENDING + PART && NAME.test(of);
    if (!isPart || of === name) continue;
    const part = join(path, entry.name);
    const { size, mtime } = Deno.lstatSync(part);
    if (Date.now() - (mtime?.getTime() ?? 0) > PART_MS) Deno.removeSync(part);
    else sum += size;
  }
  return sum;
}

/**
 * Writes a file of the folder while nobody else writes there.
 * @throws {RequestError} 409 while somebody does; 507 without room.
 */
async function alone<T>(
  { path: folder }: ConversationFolder,
  path: string,
  write: () => Promise<T>,
): Promise<T> {
  if (busy.has(folder)) throw busyError();
  busy.set(folder, path);
  try {
    return await write();
  } catch (error) {
    throw inWords(error);
  } finally {
    busy.delete(folder);
  }
}

function busyError(): RequestError {
  return new RequestError("A conversation is being saved just now: try again", {
    status: 409,
    code: "conversation_busy",
  });
}

/** Clients learn what they can do, not where the folder is. */
function inWords(error: unknown): unknown {
  if (!(error instanceof RequestError) || error.status !== 507) return error;
  const why = error.code === "disk_full" ? "its disk is full" : error.message;
  return new RequestError(
    `There is no room for the conversation: ${why}: delete others (DELETE /conversations/NAME)`,
    { status: 507, code: error.code },
  );
}
