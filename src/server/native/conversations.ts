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
import { answerWhole, readWork, withModel } from "../answers/answer.ts";
import type { ServerEnv } from "../guards.ts";
import { fieldError } from "../http_errors.ts";
import { conversationFields, toConversation } from "../openai/chat_request.ts";
import { chatAsk } from "../openai/handlers.ts";
import type { AppSettings } from "../options.ts";
import { optional, parseFields } from "../parse_fields.ts";
import { cutShortError } from "../work_stop.ts";

/** Where they are, and how many bytes all of them may take. */
export interface ConversationFolder {
  readonly path: string;
  readonly bytesMax: number;
}

const ENDING = ".kv";
/** No path, no hidden file, no other stream of a file. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const nameField = z.string().regex(NAME, "expected 1 to 64 letters, digits, '.', '_' or '-'");
const model = optional(z.string().max(512));

export const saveSchema = z.object({
  model,
  name: nameField,
  ...conversationFields,
  messages: optional(conversationFields.messages),
  prompt: optional(z.string()),
});

export const restoreSchema = z.object({ model, name: nameField });

/** Names that are being written: two models must not write one file. */
const busy = new Set<string>();

/** Keeps what a model computed of a conversation; what it has not, it computes first. */
export async function saveConversation(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const fields = parseFields(saveSchema, await readWork(c, settings));
  const folder = folderOf(settings);
  return await withModel(
    c,
    settings,
    { id: fields.model },
    (work) =>
      answerWhole(work, async (signal) => {
        const { model } = work.lease;
        const kept = conversationsOf(model);
        const ids = idsOf(model, fields);
        const path = pathOf(folder, fields.name);
        const { finishReason } = await model.generate({
          ids,
          maxTokens: 0,
          sampling: { temperature: 0 },
          signal,
        }).result;
        if (finishReason === "cancelled") throw cutShortError(settings);
        const bytesMax = Math.max(0, folder.bytesMax - bytesBeside(folder, fields.name));
        if (busy.has(path)) throw busyError(fields.name);
        busy.add(path);
        try {
          const tokens = await kept.save(ids, { path, bytesMax });
          const { size: bytes } = Deno.statSync(path);
          return Response.json({ ...cardOf(fields.name, bytes), model: model.id, tokens });
        } catch (error) {
          throw inWords(error);
        } finally {
          busy.delete(path);
        }
      }),
  );
}

/** Brings one back: the next request that begins with it computes the rest only. */
export async function restoreConversation(
  c: Context<ServerEnv>,
  settings: AppSettings,
): Promise<Response> {
  const { name, model: id } = parseFields(restoreSchema, await readWork(c, settings));
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

/** Forgets one. */
export function deleteConversation(c: Context<ServerEnv>, settings: AppSettings): Response {
  const folder = folderOf(settings);
  const name = c.req.param("name") ?? "";
  find(folder, name);
  Deno.removeSync(pathOf(folder, name));
  return Response.json({ object: "conversation", name, deleted: true });
}

function cardOf(name: string, bytes: number) {
  return { object: "conversation", name, bytes };
}

function idsOf(model: LanguageModel, fields: z.output<typeof saveSchema>): readonly number[] {
  const { messages, prompt } = fields;
  if ((messages === undefined) === (prompt === undefined)) {
    throw fieldError("messages", `One of "messages" and "prompt" is needed`);
  }
  if (prompt !== undefined) return model.encodePrompt(prompt.toWellFormed());
  const conversation = toConversation({ ...fields, messages: messages! });
  return chatAsk(model, { conversation, format: {}, request: {} }).prompts[0].ids;
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

/** Bytes of all that are not called so. */
function bytesBeside(folder: ConversationFolder, name: string): number {
  return filesOf(folder).reduce((sum, file) => sum + (file.name === name ? 0 : file.bytes), 0);
}

function busyError(name: string): RequestError {
  return new RequestError(`The conversation "${name}" is being saved just now: try again`, {
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
