/**
 * The streams that a store consists of, and how their subjects are called. Made where they are
 * missing and else left as they are, so that operators may change them (replicas, limits, places).
 *
 * - GANGLION_STATE: records that change, the last one of each subject (`files.OWNER.PURPOSE.ID`,
 *   `batches.OWNER.ID`, `open.ID`, `leases.BATCH.INDEX`, all behind `ganglion.`)
 * - GANGLION_CHUNKS: bytes of files, and of jobs and results that are too long for a message
 *   (`chunks.GROUP.UPLOAD.N`)
 * - GANGLION_JOBS: a work queue of what nobody has finished (`jobs.BATCH.INDEX`)
 * - GANGLION_RESULTS: the first result of each job (`results.BATCH.INDEX`)
 * - GANGLION_DEAD: jobs that were given up, for people to look at, for a week (`dead.BATCH.INDEX`)
 */
import { nanos } from "@nats-io/transport-node";
import {
  AckPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { Nats } from "./link.ts";

export const STATE = "GANGLION_STATE";
export const CHUNKS = "GANGLION_CHUNKS";
export const JOBS = "GANGLION_JOBS";
export const RESULTS = "GANGLION_RESULTS";
export const DEAD = "GANGLION_DEAD";

/** The consumer that all replicas take jobs from. */
export const WORKERS = "workers";

/**
 * What is put into one message at most; longer texts go into chunks. A batch's record may have
 * 256 KiB, and comes with a head.
 */
export const MESSAGE_BYTES_MAX = 512 * 1024;
/** Room for a message's head. */
const HEAD_BYTES = 8 * 1024;

const DEAD_DAYS = 7;
const DEAD_MESSAGES_MAX = 10_000;
/** How long ids of messages are remembered; a subject that is still there is refused for ever. */
const DUPLICATES_MS = 120_000;
/** Jobs that all replicas together may hold. */
const HELD_JOBS_MAX = 20_000;

const LAST_OF_EACH = { max_msgs_per_subject: 1, discard: DiscardPolicy.Old };
const REFUSES_SECOND = {
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  discard_new_per_subject: true,
};

const STREAMS: readonly (Partial<StreamConfig> & { readonly name: string })[] = [
  {
    name: STATE,
    subjects: ["files.*.*.*", "batches.*.*", "open.*", "leases.*.*"],
    ...LAST_OF_EACH,
  },
  { name: CHUNKS, subjects: ["chunks.*.*.*"], ...REFUSES_SECOND },
  {
    name: JOBS,
    subjects: ["jobs.*.*"],
    retention: RetentionPolicy.Workqueue,
    duplicate_window: nanos(DUPLICATES_MS),
    ...REFUSES_SECOND,
  },
  { name: RESULTS, subjects: ["results.*.*"], ...REFUSES_SECOND },
  {
    name: DEAD,
    subjects: ["dead.*.*"],
    max_age: nanos(DEAD_DAYS * 24 * 3600 * 1000),
    max_msgs: DEAD_MESSAGES_MAX,
    ...LAST_OF_EACH,
  },
];

/** A subject of this program's: `subject("jobs", "batch_1", 7)` is "ganglion.jobs.batch_1.7". */
export function subject(...tokens: readonly (string | number)[]): string {
  return ["ganglion", ...tokens].join(".");
}

/** What anybody is called, as a token of a subject, which allows no dots, blanks or stars. */
export function token(name: string): string {
  return "x" + new TextEncoder().encode(name).toHex();
}

/** What `token` made of a name, back. */
export function nameOf(token: string): string {
  return new TextDecoder().decode(Uint8Array.fromHex(token.slice(1)));
}

/**
 * Makes the streams, and the consumer with the given lease.
 * @throws {Error} when the server's limits do not allow them.
 */
export async function setUpStreams(
  { connection, manager }: Nats,
  { leaseMs, replicaCount }: { readonly leaseMs: number; readonly replicaCount: number },
): Promise<void> {
  const { max_payload: bytesMax = 0 } = connection.info ?? {};
  if (bytesMax < MESSAGE_BYTES_MAX + HEAD_BYTES) {
    throw new Error(
      `its max_payload is ${bytesMax} bytes: set at least ${MESSAGE_BYTES_MAX + HEAD_BYTES}`,
    );
  }
  for (const { name, subjects, ...rest } of STREAMS) {
    if (await unlessMissing(() => manager.streams.info(name)) !== null) continue;
    await manager.streams.add({
      name,
      subjects: subjects!.map((each) => subject(each)),
      storage: StorageType.File,
      num_replicas: replicaCount,
      allow_direct: true,
      ...rest,
    });
  }
  await setUpConsumer(manager, leaseMs);
}

async function setUpConsumer(manager: JetStreamManager, leaseMs: number): Promise<void> {
  const config = {
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(leaseMs),
    // Lost jobs are counted by the store, which knows which of them were given back.
    max_deliver: -1,
    max_ack_pending: HELD_JOBS_MAX,
  };
  const found = await unlessMissing(() => manager.consumers.info(JOBS, WORKERS));
  if (found === null) await manager.consumers.add(JOBS, { durable_name: WORKERS, ...config });
  else if (found.config.ack_wait !== config.ack_wait) {
    await manager.consumers.update(JOBS, WORKERS, { ack_wait: config.ack_wait });
  }
}

/** Null: the server has nothing of that name. */
async function unlessMissing<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof JetStreamApiError && error.status === 404) return null;
    throw error;
  }
}
