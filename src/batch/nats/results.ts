/** Results in NATS: one message a job, the first, and how many of them there are. */
import { AckPolicy, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { type IndexedResult, isCompleted, type JobResult, type Progress } from "../batch_store.ts";
import type { Chunks } from "./chunks.ts";
import { inOrder } from "./in_order.ts";
import type { NatsLink } from "./link.ts";
import { dropText, putText, readText } from "./long_texts.ts";
import { Messages } from "./messages.ts";
import { lastToken } from "./pages.ts";
import { RESULTS, subject, token } from "./streams.ts";

/** What is kept of a job. */
export interface KeptResult {
  readonly customId: string;
  readonly result: JobResult;
}

/** How far results were counted. They are never changed, so counting goes on from there. */
interface Tally extends Progress {
  /** Of the last one that was counted; 0: none was. */
  readonly sequence: number;
  readonly subject: string;
}

const COMPLETED_HEADER = "Ganglion-Completed";
/** Tells whoever writes twice, not knowing whether the first time succeeded, that it did. */
const WRITER_HEADER = "Ganglion-Writer";
/** Results that are read ahead. */
const WIDTH = 16;
/** How long the server may take to show the next one that it has. */
const FETCH_MS = 5000;
const TALLIES_MAX = 1000;
const NONE: Tally = { sequence: 0, subject: "", completed: 0, failed: 0 };

export class Results {
  readonly #messages: Messages;
  readonly #chunks: Chunks;
  /** By batch. */
  readonly #tallies = new Map<string, Tally>();

  constructor(link: NatsLink, chunks: Chunks) {
    this.#messages = new Messages(link, RESULTS);
    this.#chunks = chunks;
  }

  /** @returns true when it is the first, or was written by the same writer. */
  async put(
    batchId: string,
    { index, customId, result, writer }: KeptResult & { index: number; writer: string },
  ): Promise<boolean> {
    const group = token(batchId);
    const more = {
      [COMPLETED_HEADER]: isCompleted(result) ? "1" : "0",
      [WRITER_HEADER]: writer,
    };
    const kept: KeptResult = { customId, result };
    const text = await putText(this.#chunks, JSON.stringify(kept), { group, more });
    const place = subject("results", group, index);
    if (await this.#messages.put(place, { ...text, after: 0 }) !== null) return true;
    await dropText(this.#chunks, text, group);
    return (await this.#messages.get(place))?.header(WRITER_HEADER) === writer;
  }

  async has(batchId: string, index: number): Promise<boolean> {
    return await this.#messages.get(subject("results", token(batchId), index)) !== null;
  }

  /** Those of all batches. */
  subjects(): Promise<string[]> {
    return this.#messages.subjects(subject("results", "*", "*"));
  }

  /** Of the jobs that have one. */
  async indices(batchId: string): Promise<Set<number>> {
    const subjects = await this.#messages.subjects(subject("results", token(batchId), "*"));
    return new Set(subjects.map((each) => Number(lastToken(each))));
  }

  async *read(batchId: string): AsyncGenerator<IndexedResult> {
    const group = token(batchId);
    const indices = [...await this.indices(batchId)].sort((a, b) => a - b);
    const found = inOrder(indices, WIDTH, async (index) => {
      const message = await this.#messages.get(subject("results", group, index));
      // It was dropped meanwhile; whoever needs all of them counts.
      if (message === null) return null;
      const kept: KeptResult = JSON.parse(await readText(this.#chunks, message, group));
      return { index, ...kept };
    });
    for await (const each of found) if (each !== null) yield each;
  }

  async progress(batchId: string): Promise<Progress> {
    const known = this.#tallies.get(batchId) ?? NONE;
    const isThere = known.sequence > 0 &&
      (await this.#messages.subjects(known.subject)).length > 0;
    const tally = await this.#count(batchId, isThere ? known : NONE);
    if (tally.sequence > 0) this.#keep(batchId, tally);
    return { completed: tally.completed, failed: tally.failed };
  }

  #keep(batchId: string, tally: Tally): void {
    this.#tallies.set(batchId, tally);
    // Batches that others dropped leave theirs here.
    const [oldest] = this.#tallies.keys();
    if (this.#tallies.size > TALLIES_MAX) this.#tallies.delete(oldest);
  }

  async remove(batchId: string): Promise<void> {
    this.#tallies.delete(batchId);
    await this.#messages.remove(subject("results", token(batchId), "*"));
  }

  /** Counts on from where `known` ends; the server sends heads only. */
  #count(batchId: string, known: Tally): Promise<Tally> {
    return this.#messages.use(async ({ manager, streams }) => {
      const { name, num_pending: count } = await manager.consumers.add(RESULTS, {
        filter_subject: subject("results", token(batchId), "*"),
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: known.sequence + 1,
        ack_policy: AckPolicy.None,
        headers_only: true,
        mem_storage: true,
        inactive_threshold: nanos(2 * FETCH_MS),
      });
      let tally = known;
      try {
        const consumer = await streams.consumers.get(RESULTS, name);
        for (let left = count; left > 0;) {
          const fetched = await consumer.fetch({ max_messages: left, expires: FETCH_MS });
          const before = left;
          for await (const message of fetched) {
            tally = counted(tally, message);
            left--;
          }
          // What was counted as pending was dropped meanwhile.
          if (left === before) break;
        }
      } finally {
        manager.consumers.delete(RESULTS, name).catch(() => {});
      }
      return tally;
    });
  }
}

function counted({ completed, failed }: Tally, { seq, subject, headers }: JsMsg): Tally {
  const isCompleted = headers?.get(COMPLETED_HEADER) === "1";
  return {
    ...{ sequence: seq, subject },
    completed: completed + (isCompleted ? 1 : 0),
    failed: failed + (isCompleted ? 0 : 1),
  };
}
