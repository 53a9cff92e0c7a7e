/**
 * Bytes of any length in messages of a fixed one: put as an **upload** of a group, read again with
 * a little read ahead, removed with the group. Knows nothing of files and jobs.
 */
import { newId } from "../batch_store.ts";
import type { NatsLink } from "./link.ts";
import { inOrder } from "./in_order.ts";
import { Messages } from "./messages.ts";
import { CHUNKS, subject } from "./streams.ts";

/** What a group is called, and what it consists of. */
export interface Upload {
  /** A token of a subject. */
  readonly group: string;
  /** Of time and chance: whoever puts the same twice puts two uploads. */
  readonly id: string;
  readonly chunkCount: number;
  readonly bytes: number;
}

const CHUNK_BYTES = 128 * 1024;
/** Chunks on their way at once: 1 MiB. */
const WIDTH = 8;

/** When an upload began, in ms since 1970. */
export function uploadTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 12), 16);
}

export class Chunks {
  readonly #messages: Messages;

  constructor(link: NatsLink) {
    this.#messages = new Messages(link, CHUNKS);
  }

  /** @throws whatever `content` throws; nothing of the upload is left then, if that can be done. */
  async put(group: string, content: AsyncIterable<Uint8Array>): Promise<Upload> {
    const id = newId("");
    let chunkCount = 0;
    let bytes = 0;
    try {
      const sent = inOrder(inChunks(content), WIDTH, (data) => {
        bytes += data.length;
        return this.#messages.put(subject("chunks", group, id, chunkCount++), { data });
      });
      for await (const _ of sent);
      return { group, id, chunkCount, bytes };
    } catch (error) {
      await this.remove(group, id).catch(() => {});
      throw error;
    }
  }

  /**
   * Its bytes, a chunk at a time.
   * @throws {Error} when the upload is removed meanwhile.
   */
  async *read({ group, id, chunkCount }: Omit<Upload, "bytes">): AsyncGenerator<Uint8Array> {
    const numbers = Array.from({ length: chunkCount }, (_, n) => n);
    yield* inOrder(numbers, WIDTH, async (n) => {
      const found = await this.#messages.get(subject("chunks", group, id, n));
      if (found === null) {
        throw new Error(`Cannot read chunk ${n} of ${group}: it was deleted meanwhile: ask again`);
      }
      return found.data;
    });
  }

  /** Removes an upload, or all of a group. */
  async remove(group: string, id = "*"): Promise<void> {
    await this.#messages.remove(subject("chunks", group, id, "*"));
  }
}

/** The same bytes in pieces of one length, the last one excepted. */
async function* inChunks(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(CHUNK_BYTES);
  let used = 0;
  for await (const piece of content) {
    for (let offset = 0; offset < piece.length;) {
      const part = piece.subarray(offset, offset + CHUNK_BYTES - used);
      chunk.set(part, used);
      used += part.length;
      offset += part.length;
      if (used < CHUNK_BYTES) continue;
      yield chunk;
      // The one before may still be on its way.
      chunk = new Uint8Array(CHUNK_BYTES);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}
