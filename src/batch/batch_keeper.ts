/**
 * Takes batches from status to status: checks files, fills the queue, writes what came of it. Any
 * number of keepers may look after one store, and die at any moment: each step can be done again.
 */
import {
  type BatchRecord,
  type BatchStatus,
  type BatchStore,
  type JobResult,
  newId,
  type VersionedBatch,
} from "./batch_store.ts";
import { pause } from "./pause.ts";
import { checkInput, readJobs } from "./input_lines.ts";
import { fileOf, writeResults } from "./output_lines.ts";

export interface KeeperOptions {
  readonly store: BatchStore;
  /** The longest line of an input file. */
  readonly lineBytesMax: number;
  /** Told what went wrong that is nobody's request; it is tried again. */
  readonly onError: (error: unknown) => void;
  /** How often it looks; default 500. */
  readonly intervalMs?: number;
  /** How long others leave it a batch that it is silent about; default 30 s. */
  readonly claimMs?: number;
  /** Milliseconds since 1970; default the clock. */
  readonly now?: () => number;
}

/** After what went wrong that is nobody's request, such as a disk that is full. */
const RETRY_MS = 5000;

export class BatchKeeper {
  readonly #store: BatchStore;
  readonly #in: Required<KeeperOptions>;
  readonly #id = newId("keeper_");
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  /** When a batch that could not be taken on is tried again, by its id. */
  readonly #notBeforeMs = new Map<string, number>();

  constructor(options: KeeperOptions) {
    this.#in = { intervalMs: 500, claimMs: 30_000, now: Date.now, ...options };
    this.#store = options.store;
    this.#ended = this.#run();
  }

  /** Resolves when it has let go of what it was doing. */
  stop(): Promise<void> {
    this.#stop.abort();
    return this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let waitMs = this.#in.intervalMs;
      try {
        // What was taken a step on may be due for the next.
        if (await this.#lookAtAll()) waitMs = 0;
      } catch (error) {
        this.#in.onError(error);
        waitMs = RETRY_MS;
      }
      await pause(waitMs, this.#stop.signal);
    }
  }

  /** True when a batch was taken a step on. */
  async #lookAtAll(): Promise<boolean> {
    let hasMoved = false;
    for (const batch of await this.#store.batches.listOpen()) {
      if (this.#stop.signal.aborted) break;
      try {
        if (!await this.#isDue(batch.record)) continue;
        await this.#advance(batch);
        hasMoved = true;
        this.#notBeforeMs.delete(batch.record.id);
      } catch (error) {
        if (error instanceof LostClaim) continue;
        this.#in.onError(error);
        this.#notBeforeMs.set(batch.record.id, this.#in.now() + RETRY_MS);
      }
    }
    return hasMoved;
  }

  /** Most looks find a batch whose jobs go on. */
  async #isDue({ id, status, total, expiresAt, keeper }: BatchRecord): Promise<boolean> {
    const nowMs = this.#in.now();
    if ((this.#notBeforeMs.get(id) ?? 0) > nowMs) return false;
    if (keeper !== null && keeper.id !== this.#id && keeper.untilMs > nowMs) return false;
    if (status !== "in_progress" || nowMs >= expiresAt * 1000) return true;
    const { completed, failed } = await this.#store.jobs.progress(id);
    return completed + failed >= total;
  }

  async #advance(batch: VersionedBatch): Promise<void> {
    const claim = new Claim(this.#in, this.#id, batch);
    await claim.renew();
    try {
      await this.#step(claim);
    } catch (error) {
      if (!(error instanceof LostClaim)) await claim.change({}).catch(() => {});
      throw error;
    }
  }

  async #step(claim: Claim): Promise<void> {
    const { id, status } = claim.record;
    if (!claim.record.isOpen) return;
    if (IS_OVER.has(status)) {
      await this.#store.jobs.drop(id);
      return await claim.change({ isOpen: false });
    }
    if (status === "validating") return await this.#validate(claim);
    if (status === "cancelling") await this.#store.jobs.finishAll(id, CANCELLED);
    if (status === "in_progress" && this.#in.now() >= claim.record.expiresAt * 1000) {
      await this.#store.jobs.finishAll(id, EXPIRED);
    }
    if (status === "in_progress") await claim.enter("finalizing", {}, { keeps: true });
    await this.#writeFiles(claim);
  }

  async #validate(claim: Claim): Promise<void> {
    const { id, inputFileId, endpoint, expiresAt } = claim.record;
    const options = { endpoint, lineBytesMax: this.#in.lineBytesMax };
    const bytes = async () => {
      const content = await this.#store.files.read(inputFileId);
      return content === null ? null : this.#whileHeld(claim, content);
    };
    const first = await bytes();
    const gone = { total: 0, errors: [FILE_GONE] };
    const { total, errors } = first === null ? gone : await checkInput(first, options);
    if (errors.length > 0) return await claim.enter("failed", { errors });
    if (this.#in.now() >= expiresAt * 1000) return await claim.enter("expired", {});
    const again = await bytes();
    if (again === null) return await claim.enter("failed", { errors: gone.errors });
    await this.#store.jobs.enqueue(id, readJobs(again, options));
    await claim.enter("in_progress", { total });
  }

  /** What it yields, as long as the batch is this keeper's. */
  async *#whileHeld<T>(claim: Claim, items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      if (this.#stop.signal.aborted) throw new LostClaim();
      await claim.renewInTime();
      yield item;
    }
  }

  async #writeFiles(claim: Claim): Promise<void> {
    const { id, owner, times } = claim.record;
    const createdAt = Math.floor(this.#in.now() / 1000);
    const counts = { output: 0, error: 0 };
    let isExpired = false;
    for await (const each of this.#whileHeld(claim, this.#store.jobs.results(id))) {
      counts[fileOf(each)]++;
      isExpired ||= each.result.error?.code === EXPIRED.error!.code;
    }
    const write = async (file: "output" | "error") => {
      if (counts[file] === 0) return null;
      // The same name whenever it is written, so that it is never there twice.
      const fileId = `file-${id.replace(/^batch_/, "")}-${file}`;
      const results = this.#whileHeld(claim, this.#store.jobs.results(id));
      const { id: written } = await this.#store.files.put({
        ...{ id: fileId, owner, purpose: "batch_output" as const },
        ...{ filename: `${id}_${file}.jsonl`, createdAt },
      }, writeResults(id, results, file));
      return written;
    };
    const [outputFileId, errorFileId] = [await write("output"), await write("error")];
    const isCancelled = times.cancelling !== undefined;
    await claim.enter(isCancelled ? "cancelled" : isExpired ? "expired" : "completed", {
      ...{ outputFileId, errorFileId },
      progress: { completed: counts.output, failed: counts.error },
    });
  }
}

const IS_OVER: ReadonlySet<BatchStatus> = new Set(["completed", "failed", "expired", "cancelled"]);

const CANCELLED: JobResult = {
  response: null,
  error: {
    code: "batch_cancelled",
    message: "This request was not executed before the batch was cancelled",
  },
};

const EXPIRED: JobResult = {
  response: null,
  error: {
    code: "batch_expired",
    message: "This request could not be executed before the completion window expired",
  },
};

const FILE_GONE = {
  code: "invalid_input_file",
  message: "The input file is not there any more",
  param: "input_file_id",
  line: null,
};

/** Somebody else has the batch, or has changed it. */
class LostClaim extends Error {}

/** A batch that one keeper has for a while. */
class Claim {
  readonly #in: Required<KeeperOptions>;
  readonly #keeperId: string;
  #batch: VersionedBatch;

  constructor(options: Required<KeeperOptions>, keeperId: string, batch: VersionedBatch) {
    this.#in = options;
    this.#keeperId = keeperId;
    this.#batch = batch;
  }

  get record(): BatchRecord {
    return this.#batch.record;
  }

  /** @throws {LostClaim} when the batch has changed since it was read. */
  async renew(): Promise<void> {
    const untilMs = this.#in.now() + this.#in.claimMs;
    await this.#replace({ ...this.record, keeper: { id: this.#keeperId, untilMs } });
  }

  async renewInTime(): Promise<void> {
    const leftMs = (this.record.keeper?.untilMs ?? 0) - this.#in.now();
    if (leftMs < this.#in.claimMs / 2) await this.renew();
  }

  /** Changes fields, and lets go of the batch unless it `keeps` it. */
  async change(
    fields: Partial<BatchRecord>,
    { keeps = false }: { readonly keeps?: boolean } = {},
  ): Promise<void> {
    const { keeper } = this.record;
    await this.#replace({ ...this.record, ...fields, keeper: keeps ? keeper : null });
  }

  async enter(
    status: BatchStatus,
    fields: Partial<BatchRecord>,
    options?: { readonly keeps?: boolean },
  ): Promise<void> {
    const times = { ...this.record.times, [status]: Math.floor(this.#in.now() / 1000) };
    await this.change({ ...fields, status, times }, options);
  }

  async #replace(record: BatchRecord): Promise<void> {
    const changed = await this.#in.store.batches.replace(record, this.#batch.version);
    if (changed === null) throw new LostClaim();
    this.#batch = changed;
  }
}
