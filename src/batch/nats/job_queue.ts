/**
 * Jobs in NATS: a work queue that all replicas pull from, and results, of which the first one of
 * each job stays. A message can come twice (its replica died, its acknowledgement was lost with the
 * server): whoever takes one whose job has a result only takes it out of the queue.
 */
import { RequestError } from "../../base/errors.ts";
import type {
  IndexedResult,
  JobLine,
  JobQueue,
  JobResult,
  LeaseOptions,
  Progress,
  TakenJob,
} from "../batch_store.ts";
import { NatsBatches } from "./batch_table.ts";
import { Chunks } from "./chunks.ts";
import {
  CUSTOM_ID_HEADER,
  customIdOf,
  holdJob,
  type JobPlaces,
  type QueuedLine,
} from "./held_job.ts";
import { forEachOf } from "./in_order.ts";
import { JobPuller } from "./job_puller.ts";
import type { NatsLink } from "./link.ts";
import { putText } from "./long_texts.ts";
import { type FoundMessage, Messages } from "./messages.ts";
import { lastToken } from "./pages.ts";
import { Results } from "./results.ts";
import { DEAD, JOBS, nameOf, STATE, subject, token } from "./streams.ts";
import { pause } from "../../base/pause.ts";

/** Messages on their way at once. */
const WIDTH = 32;
/** Before the queue is asked again that did not answer though it is in reach. */
const PAUSE_MS = 200;

export class NatsJobs implements JobQueue {
  readonly #link: NatsLink;
  readonly #batches: NatsBatches;
  readonly #places: JobPlaces;
  readonly #puller: JobPuller;

  constructor(link: NatsLink, { attemptsMax, leaseMs }: Required<LeaseOptions>) {
    const chunks = new Chunks(link);
    this.#link = link;
    this.#batches = new NatsBatches(link);
    this.#places = {
      queue: new Messages(link, JOBS),
      state: new Messages(link, STATE),
      dead: new Messages(link, DEAD),
      results: new Results(link, chunks),
      chunks,
      attemptsMax,
      postponeMsMax: leaseMs / 2,
    };
    this.#puller = new JobPuller(link, async (message) => {
      try {
        const job = await holdJob(message, this.#places);
        await job?.giveBack({ isAttempt: false });
      } catch {
        // Out of reach: it comes again when its lease ends.
      }
    });
  }

  async enqueue(batchId: string, jobs: AsyncIterable<JobLine>): Promise<void> {
    const { queue, results, chunks } = this.#places;
    const group = token(batchId);
    const finished = await results.indices(batchId);
    await forEachOf(jobs, WIDTH, async ({ index, customId, endpoint, body }) => {
      if (finished.has(index)) return;
      const line: QueuedLine = { endpoint, body };
      const more = { [CUSTOM_ID_HEADER]: JSON.stringify(customId) };
      const text = await putText(chunks, JSON.stringify(line), { group, more });
      // The id is for those who ask again within two minutes, not knowing whether it was heard; the
      // stream refuses what is in the queue already, however long it is there.
      const messageId = `${batchId} ${index}`;
      await queue.put(subject("jobs", group, index), { ...text, messageId });
    });
    // Another process may have closed it meanwhile.
    await this.#dropIfClosed(batchId);
  }

  async take(signal: AbortSignal): Promise<TakenJob | null> {
    while (await this.#link.untilUp(signal)) {
      try {
        const message = await this.#puller.next(signal);
        const job = message === null ? null : await holdJob(message, this.#places);
        if (job === null) continue;
        if (!signal.aborted) return job;
        await job.giveBack({ isAttempt: false });
      } catch (error) {
        // What was delivered comes again when its lease ends.
        if (!(error instanceof RequestError) || error.status !== 503) throw error;
        await pause(PAUSE_MS, signal);
      }
    }
    return null;
  }

  async finishAll(batchId: string, result: JobResult): Promise<void> {
    const { queue, results } = this.#places;
    const writer = crypto.randomUUID();
    await this.#forEachQueued(batchId, async (message, index) => {
      await results.put(batchId, { index, customId: customIdOf(message), result, writer });
      await queue.removeOne(message);
    });
  }

  progress(batchId: string): Promise<Progress> {
    return this.#places.results.progress(batchId);
  }

  results(batchId: string): AsyncIterable<IndexedResult> {
    return this.#places.results.read(batchId);
  }

  async drop(batchId: string): Promise<void> {
    const { queue, results, state, chunks } = this.#places;
    const group = token(batchId);
    await this.#forEachQueued(batchId, (message) => queue.removeOne(message));
    await results.remove(batchId);
    await state.remove(subject("leases", group, "*"));
    await chunks.remove(group);
  }

  /**
   * Drops what came for batches that are closed: late answers, and jobs of a process that did not
   * know it yet and died. Any number of processes may do it at once.
   * @returns how many batches had something left.
   */
  async sweep(): Promise<number> {
    const { queue, results, state } = this.#places;
    const groups = new Set<string>();
    for (
      const places of await Promise.all([
        queue.subjects(subject("jobs", "*", "*")),
        results.subjects(),
        state.subjects(subject("leases", "*", "*")),
      ])
    ) for (const place of places) groups.add(place.split(".")[2]);
    let count = 0;
    for (const group of groups) if (await this.#dropIfClosed(nameOf(group))) count++;
    return count;
  }

  async #dropIfClosed(batchId: string): Promise<boolean> {
    const isClosed = (await this.#batches.get(batchId))?.record.isOpen === false;
    if (isClosed) await this.drop(batchId);
    return isClosed;
  }

  async #forEachQueued(
    batchId: string,
    work: (message: FoundMessage, index: number) => Promise<void>,
  ): Promise<void> {
    const { queue } = this.#places;
    await forEachOf(
      await queue.subjects(subject("jobs", token(batchId), "*")),
      WIDTH,
      async (place) => {
        const message = await queue.get(place);
        if (message !== null) await work(message, Number(lastToken(place)));
      },
    );
  }

  close(): void {
    this.#puller.close();
  }
}
