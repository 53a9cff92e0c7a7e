/** What messages of the state's stream say, as JSON. */
import type { FileRecord } from "../batch_store.ts";
import type { Upload } from "./chunks.ts";
import type { FoundMessage } from "./messages.ts";

/** What says that there is a file. */
export interface Head {
  readonly record: FileRecord;
  readonly upload: Upload;
}

/** A record as a message's bytes. */
export function toJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The record of a message that `toJson` made. */
export function readJson<T>({ data }: Pick<FoundMessage, "data">): T {
  return JSON.parse(new TextDecoder().decode(data));
}
