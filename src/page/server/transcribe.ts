/** What is said in a sound, by a model that hears. Knows nothing of microphones. */
import type { Client } from "./client.ts";

/** @throws {PageError} when it is refused or fails; an abort is thrown as it is. */
export async function transcribe(
  client: Client,
  { file, model }: { readonly file: File; readonly model: string },
  signal: AbortSignal,
): Promise<string> {
  const body = new FormData();
  body.append("model", model);
  body.append("file", file);
  client.askAgain();
  const response = await client.fetch("/v1/audio/transcriptions", { method: "POST", body, signal });
  const { text } = await response.json();
  return typeof text === "string" ? text : "";
}
