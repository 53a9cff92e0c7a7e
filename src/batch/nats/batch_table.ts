/** Batches in NATS: a record each, and a mark for each that something is left to be done for. */
import type { BatchRecord, BatchTable, ListOptions, Page, VersionedBatch } from "../batch_store.ts";
import type { NatsLink } from "./link.ts";
import { inOrder } from "./in_order.ts";
import { type FoundMessage, Messages } from "./messages.ts";
import { byLastToken, lastToken, listPage } from "./pages.ts";
import { readJson, toJson } from "./records.ts";
import { STATE, subject, token } from "./streams.ts";

/** Records that are asked for at once. */
const WIDTH = 16;

export class NatsBatches implements BatchTable {
  readonly #messages: Messages;

  constructor(link: NatsLink) {
    this.#messages = new Messages(link, STATE);
  }

  async create(record: BatchRecord): Promise<VersionedBatch> {
    // The mark comes before the record and goes after it, so that no open batch is without.
    if (record.isOpen) await this.#messages.put(markSubject(record.id), { data: NOTHING });
    const version = await this.#messages.put(batchSubject(record), {
      data: toJson(record),
      after: 0,
    });
    if (version === null) throw new Error(`There is a batch ${record.id} already`);
    return { record, version };
  }

  async get(id: string): Promise<VersionedBatch | null> {
    const [found] = await this.#messages.subjects(subject("batches", "*", token(id)));
    const message = found === undefined ? null : await this.#messages.get(found);
    return message === null ? null : toBatch(message);
  }

  async replace(record: BatchRecord, version: number): Promise<VersionedBatch | null> {
    const put = await this.#messages.put(batchSubject(record), {
      data: toJson(record),
      after: version,
    });
    if (put === null) return null;
    if (!record.isOpen) await this.#messages.remove(markSubject(record.id));
    return { record, version: put };
  }

  list({ owner, ...rest }: ListOptions): Promise<Page<BatchRecord>> {
    const filter = subject("batches", token(owner), "*");
    return listPage(this.#messages, { filter, ...rest }, (message) => toBatch(message).record);
  }

  async listOpen(): Promise<readonly VersionedBatch[]> {
    const marks = (await this.#messages.subjects(markFilter())).toSorted(byLastToken);
    const records = inOrder(marks, WIDTH, async (mark) => {
      const [found] = await this.#messages.subjects(subject("batches", "*", lastToken(mark)));
      const message = found === undefined ? null : await this.#messages.get(found);
      if (message === null) return null;
      const batch = toBatch(message);
      // Whoever closed it died before the mark was gone.
      if (!batch.record.isOpen) await this.#messages.remove(mark);
      return batch.record.isOpen ? batch : null;
    });
    return (await Array.fromAsync(records)).filter((each) => each !== null);
  }

  async countOpen(owner: string): Promise<number> {
    const [marks, own] = await Promise.all([
      this.#messages.subjects(markFilter()),
      this.#messages.subjects(subject("batches", token(owner), "*")),
    ]);
    const open = new Set(marks.map(lastToken));
    return own.filter((each) => open.has(lastToken(each))).length;
  }
}

const NOTHING = new Uint8Array();

function batchSubject({ owner, id }: BatchRecord): string {
  return subject("batches", token(owner), token(id));
}

function markSubject(id: string): string {
  return subject("open", token(id));
}

function markFilter(): string {
  return subject("open", "*");
}

function toBatch(message: FoundMessage): VersionedBatch {
  return { record: readJson(message), version: message.sequence };
}
