/** Conversations as files: JSON that other programs may read, too. */
import { existsSync } from "node:fs";
import { z } from "zod";
import { UsageError } from "../../base/errors.ts";
import { explainWriteError } from "../../base/write_errors.ts";
import type { ChatState } from "./chat_state.ts";

const FORMAT = "ganglion-chat-1";
const BYTES_MAX = 64 << 20;

const schema = z.object({
  format: z.literal(FORMAT),
  model: z.string(),
  system: z.string().nullable(),
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), content: z.string() })),
});

/**
 * Writes a conversation; an earlier one at that path is replaced.
 * @throws {UsageError} when something else lies there.
 */
export function saveChat(path: string, model: string, { system, messages }: ChatState): void {
  if (existsSync(path) && readSaved(path) === null) {
    throw new UsageError(`Cannot save to "${path}": another file lies there: give another name`);
  }
  const text = JSON.stringify({ format: FORMAT, model, system, messages }, null, 2);
  try {
    Deno.writeTextFileSync(`${path}.new`, `${text}\n`);
    Deno.renameSync(`${path}.new`, path);
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

/**
 * Reads what `saveChat` wrote.
 * @returns the name of the model that it was with.
 * @throws {UsageError} when it is no conversation.
 */
export function loadChat(path: string, state: ChatState): string {
  const saved = existsSync(path) ? readSaved(path) : null;
  if (saved === null) {
    const reason = existsSync(path) ? "it is no saved conversation" : "there is no such file";
    throw new UsageError(`Cannot load "${path}": ${reason}`);
  }
  state.system = saved.system;
  state.messages = saved.messages;
  return saved.model;
}

function readSaved(path: string): z.infer<typeof schema> | null {
  try {
    if (Deno.statSync(path).size > BYTES_MAX) return null;
    return schema.parse(JSON.parse(Deno.readTextFileSync(path)));
  } catch {
    return null;
  }
}
