/** Texts in messages, and in chunks where they are too long for one. */
import { headers } from "@nats-io/transport-node";
import type { Chunks } from "./chunks.ts";
import type { FoundMessage, Put } from "./messages.ts";
import { MESSAGE_BYTES_MAX } from "./streams.ts";

/** Names the upload that is in the place of the message's own bytes: "ID COUNT". */
const UPLOAD_HEADER = "Ganglion-Upload";

/** A text as it is put into a message, with more headers, if any. */
export async function putText(
  chunks: Chunks,
  text: string,
  { group, more = {} }: { readonly group: string; readonly more?: Record<string, string> },
): Promise<Required<Pick<Put, "data" | "headers">>> {
  const data = new TextEncoder().encode(text);
  const fields = headers();
  for (const [name, value] of Object.entries(more)) fields.set(name, value);
  if (data.length <= MESSAGE_BYTES_MAX) return { data, headers: fields };
  const { id, chunkCount } = await chunks.put(group, once(data));
  fields.set(UPLOAD_HEADER, `${id} ${chunkCount}`);
  return { data: new Uint8Array(), headers: fields };
}

/**
 * The text of a message.
 * @throws {Error} when its chunks are gone.
 */
export async function readText(
  chunks: Chunks,
  { data, header }: Pick<FoundMessage, "data" | "header">,
  group: string,
): Promise<string> {
  const upload = header(UPLOAD_HEADER);
  if (upload === "") return new TextDecoder().decode(data);
  const [id, count] = upload.split(" ");
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of chunks.read({ group, id, chunkCount: Number(count) })) {
    text += decoder.decode(bytes, { stream: true });
  }
  return text + decoder.decode();
}

/** Removes what is in chunks of a message that was not put after all. */
export async function dropText(
  chunks: Chunks,
  { headers }: Required<Pick<Put, "data" | "headers">>,
  group: string,
): Promise<void> {
  const upload = headers.get(UPLOAD_HEADER);
  if (upload !== "") await chunks.remove(group, upload.split(" ")[0]);
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(data);
}
