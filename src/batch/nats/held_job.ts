/**
 * A message of the work queue that this process has. What JetStream knows of it is how often it was
 * delivered; a **lease** record beside it, written from the second delivery on, says who has it and
 * how many deliveries were nobody's fault.
 */
import type { JsMsg } from "@nats-io/jetstream";
import { RequestError } from "../../base/errors.ts";
import {
  deadLetter,
  type GiveBackOptions,
  type JobLine,
  type JobResult,
  type TakenJob,
} from "../batch_store.ts";
import type { Chunks } from "./chunks.ts";
import { readText } from "./long_texts.ts";
import type { FoundMessage, Messages } from "./messages.ts";
import { readJson, toJson } from "./records.ts";
import type { Results } from "./results.ts";
import { MESSAGE_BYTES_MAX, nameOf, subject } from "./streams.ts";

/** Where a job's things are. */
export interface JobPlaces {
  readonly queue: Messages;
  /** Of all that changes, the leases among it. */
  readonly state: Messages;
  readonly dead: Messages;
  readonly results: Results;
  readonly chunks: Chunks;
  readonly attemptsMax: number;
  readonly postponeMsMax: number;
}

interface Lease {
  /** Of the HeldJob; empty: nobody. */
  readonly holder: string;
  /** Deliveries that do not count as attempts. */
  readonly pardons: number;
}

/** What a job's message says; its subject says where in which batch, a header its custom id. */
export type QueuedLine = Pick<JobLine, "endpoint" | "body">;

/** In a header, so that a job whose text is lost can still be given a result. */
export const CUSTOM_ID_HEADER = "Ganglion-Custom-Id";

/** The custom id of a job's message. */
export function customIdOf({ header }: Pick<FoundMessage, "header">): string {
  return JSON.parse(header(CUSTOM_ID_HEADER));
}

const LOST: JobResult = {
  response: null,
  error: { code: "request_lost", message: "The request is not in the queue's store any more" },
};

/**
 * Makes a job of a message.
 * @returns null where nothing is to be done for it: it has a result, or just got a dead letter.
 */
export async function holdJob(message: JsMsg, places: JobPlaces): Promise<TakenJob | null> {
  const [, , batch, index] = message.subject.split(".");
  const [batchId, id] = [nameOf(batch), crypto.randomUUID()];
  const leasePlace = subject("leases", batch, index);
  const [isFinished, lease, text] = await Promise.all([
    places.results.has(batchId, Number(index)),
    readLease(places.state, leasePlace),
    readText(places.chunks, messageOf(message), batch).catch(unlessAway),
  ]);
  const customId = customIdOf(messageOf(message));
  if (!isFinished && text === null) {
    await places.results.put(batchId, {
      ...{ index: Number(index), customId, result: LOST, writer: id },
    });
  }
  if (isFinished || text === null) {
    message.ack();
    return null;
  }
  const pardons = lease?.record.pardons ?? 0;
  const attempt = Math.max(1, message.info.deliveryCount - pardons);
  const line: QueuedLine = JSON.parse(text);
  const job = new HeldJob({ ...line, index: Number(index), customId, batchId, attempt }, {
    ...{ id, message, places, pardons, leasePlace, leaseVersion: lease?.version ?? 0 },
  });
  if (attempt > places.attemptsMax) {
    await job.bury();
    return null;
  }
  if (isLost(attempt, lease?.record ?? null)) {
    await job.postpone();
    return null;
  }
  if (lease === null && !message.redelivered) return job;
  return await job.claim() ? job : null;
}

/** True for one that was delivered before, and that nobody gave back since. */
function isLost(attempt: number, lease: Lease | null): boolean {
  return attempt > 1 && lease?.holder !== "";
}

/** Null: the text is gone for good. */
function unlessAway(error: unknown): null {
  if (error instanceof RequestError) throw error;
  return null;
}

interface Hold {
  readonly id: string;
  readonly message: JsMsg;
  readonly places: JobPlaces;
  readonly pardons: number;
  readonly leasePlace: string;
  /** Of the lease as this holder knows it; 0: there is none. */
  leaseVersion: number;
}

class HeldJob implements TakenJob {
  readonly batchId: string;
  readonly index: number;
  readonly customId: string;
  readonly endpoint: string;
  readonly body: string;
  readonly attempt: number;
  readonly #hold: Hold;

  constructor(job: JobLine & { batchId: string; attempt: number }, hold: Hold) {
    this.batchId = job.batchId;
    this.index = job.index;
    this.customId = job.customId;
    this.endpoint = job.endpoint;
    this.body = job.body;
    this.attempt = job.attempt;
    this.#hold = hold;
  }

  async beat(): Promise<boolean> {
    const { id, message, places, leasePlace } = this.#hold;
    const [queued, lease] = await Promise.all([
      places.queue.subjects(message.subject),
      readLease(places.state, leasePlace),
    ]);
    const isOurs = queued.length > 0 && (lease === null || lease.record.holder === id);
    // Nobody's message is kept from others in vain.
    if (isOurs) message.working();
    return isOurs;
  }

  async finish(result: JobResult): Promise<boolean> {
    const { id: writer, message, places } = this.#hold;
    const { batchId, index, customId } = this;
    const isFirst = await places.results.put(batchId, { index, customId, result, writer });
    // If this is lost, the message comes again, and goes because of its result.
    message.ack();
    return isFirst;
  }

  async giveBack({ delayMs = 0, isAttempt }: GiveBackOptions): Promise<void> {
    const { message, places, pardons } = this.#hold;
    const isOurs = await this.#writeLease({
      ...{ holder: "", pardons: isAttempt ? pardons : pardons + 1 },
    });
    // Whoever has it now keeps it: the server would take the word of who had it before.
    if (!isOurs) return;
    if (isAttempt && this.attempt >= places.attemptsMax) return await this.bury();
    message.nak(delayMs);
    await places.queue.use(({ connection }) => connection.flush());
  }

  /**
   * Lets a lost job wait a while of chance: where servers die at regular times, the one that takes
   * it when its lease ends would be the next to die.
   */
  async postpone(): Promise<void> {
    const { message, places, pardons } = this.#hold;
    if (!await this.#writeLease({ holder: "", pardons: pardons + 1 })) return;
    message.nak(Math.floor(Math.random() * places.postponeMsMax));
  }

  /** Says that it is this holder's now, whoever had it before; false: somebody else was quicker. */
  claim(): Promise<boolean> {
    const { id: holder, pardons } = this.#hold;
    return this.#writeLease({ holder, pardons });
  }

  /** The job is given up: people find it among the dead letters, its batch a result. */
  async bury(): Promise<void> {
    const { message, places } = this.#hold;
    const { customId, endpoint, body } = this;
    const attempts = places.attemptsMax;
    const isLong = body.length > MESSAGE_BYTES_MAX / 4;
    const line: Omit<JobLine, "index"> = { customId, endpoint, body: isLong ? "" : body };
    const [, , batch, index] = message.subject.split(".");
    await places.dead.put(subject("dead", batch, index), {
      data: toJson({ ...line, batchId: this.batchId, attempts }),
    });
    await this.finish(deadLetter(attempts));
  }

  /** False, and nothing is written, where somebody else has written since. */
  async #writeLease(lease: Lease): Promise<boolean> {
    const { places, leasePlace, leaseVersion: after } = this.#hold;
    const version = await places.state.put(leasePlace, { data: toJson(lease), after });
    if (version !== null) this.#hold.leaseVersion = version;
    return version !== null;
  }
}

async function readLease(
  state: Messages,
  place: string,
): Promise<{ readonly record: Lease; readonly version: number } | null> {
  const found = await state.get(place);
  return found && { record: readJson<Lease>(found), version: found.sequence };
}

function messageOf({ data, headers }: JsMsg) {
  return { data, header: (name: string) => headers?.get(name) ?? "" };
}
