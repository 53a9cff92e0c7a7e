/** Files in NATS: a head, which says that there is one, and an upload of chunks. */
import type { FileRecord, FileStore, ListOptions, Page } from "../batch_store.ts";
import { Chunks } from "./chunks.ts";
import type { NatsLink } from "./link.ts";
import { Messages } from "./messages.ts";
import { listPage } from "./pages.ts";
import { type Head, readJson, toJson } from "./records.ts";
import { STATE, subject, token } from "./streams.ts";

export class NatsFiles implements FileStore {
  readonly #heads: Messages;
  readonly #chunks: Chunks;

  constructor(link: NatsLink) {
    this.#heads = new Messages(link, STATE);
    this.#chunks = new Chunks(link);
  }

  async put(
    about: Omit<FileRecord, "bytes">,
    content: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord> {
    const earlier = await this.#find(about.id);
    if (earlier !== null) return earlier.record;
    const upload = await this.#chunks.put(token(about.id), content);
    const record = { ...about, bytes: upload.bytes };
    const head: Head = { record, upload };
    const put = await this.#heads.put(headSubject(record), { data: toJson(head), after: 0 });
    if (put !== null) return record;
    await this.#chunks.remove(upload.group, upload.id);
    return (await this.#find(about.id))?.record ?? record;
  }

  async get(id: string): Promise<FileRecord | null> {
    return (await this.#find(id))?.record ?? null;
  }

  async read(id: string): Promise<AsyncIterable<Uint8Array> | null> {
    const found = await this.#find(id);
    return found === null ? null : this.#chunks.read(found.upload);
  }

  list(
    { owner, purpose, ...rest }: ListOptions & { readonly purpose?: string },
  ): Promise<Page<FileRecord>> {
    const purposeToken = purpose === undefined ? "*" : token(purpose);
    const filter = subject("files", token(owner), purposeToken, "*");
    return listPage(this.#heads, { filter, ...rest }, (found) => readJson<Head>(found).record);
  }

  async delete(id: string): Promise<boolean> {
    // The head first: what has none is no file, whatever is left of it.
    const removed = await this.#heads.remove(subject("files", "*", "*", token(id)));
    await this.#chunks.remove(token(id));
    return removed > 0;
  }

  async #find(id: string): Promise<Head | null> {
    const [found] = await this.#heads.subjects(subject("files", "*", "*", token(id)));
    const message = found === undefined ? null : await this.#heads.get(found);
    return message === null ? null : readJson<Head>(message);
  }
}

function headSubject({ owner, purpose, id }: FileRecord): string {
  return subject("files", token(owner), token(purpose), token(id));
}
