/** Files in NATS: a head, which says that there is one, and an upload of chunks. */
import type { FileRecord, FileStore, ListOptions, Page } from "../batch_store.ts";
import { Chunks, type Upload } from "./chunks.ts";
import type { NatsLink } from "./link.ts";
import { Messages } from "./messages.ts";
import { listPage } from "./pages.ts";
import { STATE, subject, token } from "./streams.ts";

/** What a head's message says. */
interface Head {
  readonly record: FileRecord;
  readonly upload: Upload;
}

export class NatsFiles implements FileStore {
  readonly #heads: Messages;
  readonly #chunks: Chunks;

  constructor(link: NatsLink) {
    this.#heads = new Messages(link, STATE);
    this.#chunks = new Chunks(link);
  }

  async put(
    head: Omit<FileRecord, "bytes">,
    content: AsyncIterable<Uint8Array>,
  ): Promise<FileRecord> {
    const earlier = await this.#find(head.id);
    if (earlier !== null) return earlier.record;
    const upload = await this.#chunks.put(token(head.id), content);
    const record = { ...head, bytes: upload.bytes };
    const data = new TextEncoder().encode(JSON.stringify({ record, upload }));
    const put = await this.#heads.put(headSubject(record), { data, after: 0 });
    if (put !== null) return record;
    await this.#chunks.remove(upload.group, upload.id);
    return (await this.#find(head.id))?.record ?? record;
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
    const filter = subject("files", token(owner), purpose ?? "*", "*");
    return listPage(this.#heads, { filter, ...rest }, ({ data }) => toHead(data).record);
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
    return message === null ? null : toHead(message.data);
  }
}

function headSubject({ owner, purpose, id }: FileRecord): string {
  return subject("files", token(owner), purpose, token(id));
}

function toHead(data: Uint8Array): Head {
  return JSON.parse(new TextDecoder().decode(data));
}
