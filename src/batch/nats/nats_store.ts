/**
 * Files, batches and jobs in NATS JetStream, and nowhere else: replicas on any number of machines
 * share what one server, or a cluster of them, keeps. See `streams.ts` for how it lies there.
 */
import type { BatchStore, LeaseOptions } from "../batch_store.ts";
import { NatsBatches } from "./batch_table.ts";
import { NatsFiles } from "./file_store.ts";
import { NatsJobs } from "./job_queue.ts";
import { NatsLink } from "./link.ts";
import { pause } from "../../base/pause.ts";
import type { QueueAddress } from "./queue_address.ts";
import { setUpStreams } from "./streams.ts";
import { sweepChunks } from "./sweep.ts";

export interface NatsStoreOptions extends LeaseOptions {
  readonly address: QueueAddress;
  /** Told when the queue is lost, why it cannot be reached, and that it is back. */
  readonly onNotice?: (text: string) => void;
}

/** Whoever opens it has more to do than to wait for a server that does not answer. */
const PATIENCE_MS = 1000;
const SWEEP_MS = 3600 * 1000;

/** Opens it, whether there is a server or not: that shows in what its methods do. */
export async function openNatsStore(
  { address, leaseMs = 10_000, attemptsMax = 3, onNotice }: NatsStoreOptions,
): Promise<BatchStore> {
  const { replicaCount } = address;
  const link = new NatsLink({
    ...{ address, onNotice },
    setUp: (nats) => setUpStreams(nats, { leaseMs, replicaCount }),
  });
  const isTried = new AbortController();
  await Promise.race([link.tried, pause(PATIENCE_MS, isTried.signal)]);
  isTried.abort();
  const jobs = new NatsJobs(link, { attemptsMax, leaseMs });
  const closing = new AbortController();
  const sweeping = sweepNowAndThen(async () => {
    await jobs.sweep();
    await sweepChunks(link);
  }, closing.signal);
  return {
    jobs,
    files: new NatsFiles(link),
    batches: new NatsBatches(link),
    close: async () => {
      closing.abort();
      jobs.close();
      await link.close();
      await sweeping;
    },
  };
}

async function sweepNowAndThen(
  sweep: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(SWEEP_MS, signal);
    try {
      if (!signal.aborted) await sweep();
    } catch {
      // Another time: what is left takes room and does no harm.
    }
  }
}
