/**
 * Takes batches from status to status: checks files, fills the queue, writes what came of it. Any
 * number of keepers may look after one store, and die at any moment: each step can be done again.
 */
import {
  type BatchRecord,
  type BatchStatus,
  type BatchStore,
  type IndexedResult,
  type JobResult,
  newId,
  type VersionedBatch,
} from "./batch_store.ts";
import { OneByOne } from "../base/one_by_one.ts";
import { pause } from "../base/pause.ts";
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
        if (error instanceof LostClaim || error instanceof Stopped) continue;
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
    const renewals = setInterval(() => claim.renewQuietly(), renewalMs(this.#in.claimMs));
    try {
      await this.#step(claim);
    } catch (error) {
      // Others need not wait until it is theirs.
      if (!(error instanceof LostClaim)) await claim.change({}).catch(() => {});
      throw error;
    } finally {
      clearInterval(renewals);
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
    if (status === "cancelling") {
      await this.#enqueueRest(claim);
      await this.#store.jobs.finishAll(id, CANCELLED);
    }
    if (status === "in_progress" && this.#in.now() >= claim.record.expiresAt * 1000) {
      await this.#store.jobs.finishAll(id, EXPIRED);
    }
    if (status === "in_progress") await claim.enter("finalizing", {}, { keeps: true });
    await this.#writeFiles(claim);
  }

  async #validate(claim: Claim): Promise<void> {
    const { inputFileId, endpoint, expiresAt } = claim.record;
    const options = { endpoint, lineBytesMax: this.#in.lineBytesMax };
    const content = await this.#store.files.read(inputFileId);
    const gone = { total: 0, errors: [FILE_GONE] };
    const { total, errors } = content === null
      ? gone
      : await checkInput(this.#whileHeld(claim, content), options);
    if (errors.length > 0) return await claim.enter("failed", { errors });
    // Where another keeper has begun to fill the queue, what is there has results.
    const isNew = claim.record.total === 0;
    if (isNew && this.#in.now() >= expiresAt * 1000) return await claim.enter("expired", {});
    // Before any job is there: whatever happens from now on, each line has its result at the end.
    await claim.change({ total }, { keeps: true });
    if (!await this.#enqueue(claim)) return await claim.enter("failed", gone);
    await claim.enter("in_progress", {});
  }

  /** A batch that was cancelled while jobs were put into the queue: the others get results, too. */
  async #enqueueRest(claim: Claim): Promise<void> {
    const { id, total, times } = claim.record;
    if (total === 0 || times.in_progress !== undefined || await this.#enqueue(claim)) return;
    // Nobody knows what the other lines were called.
    await this.#store.jobs.finishAll(id, CANCELLED);
    const { completed, failed } = await this.#store.jobs.progress(id);
    await claim.change({ total: completed + failed }, { keeps: true });
  }

  /** Puts what is not there yet into the queue; false where the file is gone. */
  async #enqueue(claim: Claim): Promise<boolean> {
    const { id, inputFileId, endpoint } = claim.record;
    const options = { endpoint, lineBytesMax: this.#in.lineBytesMax };
    const content = await this.#store.files.read(inputFileId);
    if (content === null) return false;
    await this.#store.jobs.enqueue(id, readJobs(this.#whileHeld(claim, content), options));
    return true;
  }

  /** What it yields, as long as the batch is this keeper's. */
  async *#whileHeld<T>(claim: Claim, items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      if (this.#stop.signal.aborted) throw new Stopped();
      claim.check();
      yield item;
    }
  }

  /**
   * The results of a batch whose jobs all have one.
   * @throws {Error} at their end when one is missing: a batch is not closed then, for that would
   *   remove it for good.
   */
  async *#results(claim: Claim): AsyncGenerator<IndexedResult> {
    const { id, total } = claim.record;
    let count = 0;
    for await (const each of this.#whileHeld(claim, this.#store.jobs.results(id))) {
      count++;
      yield each;
    }
    if (count === total) return;
    throw new Error(`Cannot finish ${id}: the store shows ${count} of its ${total} results`);
  }

  async #writeFiles(claim: Claim): Promise<void> {
    const { id, owner, times } = claim.record;
    const createdAt = Math.floor(this.#in.now() / 1000);
    const counts = { output: 0, error: 0 };
    let isExpired = false;
    for await (const each of this.#results(claim)) {
      counts[fileOf(each)]++;
      isExpired ||= each.result.error?.code === EXPIRED.error!.code;
    }
    const write = async (file: "output" | "error") => {
      if (counts[file] === 0) return null;
      // The same name whenever it is written, so that it is never there twice.
      const fileId = `file-${id.replace(/^batch_/, "")}-${file}`;
      const { id: written } = await this.#store.files.put({
        ...{ id: fileId, owner, purpose: "batch_output" as const },
        ...{ filename: `${id}_${file}.jsonl`, createdAt },
      }, writeResults(id, this.#results(claim), file));
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

/** This keeper is to stop. */
class Stopped extends Error {}

/** A batch that one keeper has for a while. */
class Claim {
  readonly #in: Required<KeeperOptions>;
  readonly #keeperId: string;
  #batch: VersionedBatch;
  #isLost = false;
  /** Each needs the version that the one before left. */
  readonly #changes = new OneByOne();

  constructor(options: Required<KeeperOptions>, keeperId: string, batch: VersionedBatch) {
    this.#in = options;
    this.#keeperId = keeperId;
    this.#batch = batch;
  }

  get record(): BatchRecord {
    return this.#batch.record;
  }

  /** @throws {LostClaim} when it was seen that somebody else has it, or has changed it. */
  check(): void {
    if (this.#isLost) throw new LostClaim();
  }

  /** @throws {LostClaim} when the batch has changed since it was read. */
  renew(): Promise<void> {
    return this.#replace((record) => {
      const untilMs = this.#in.now() + this.#in.claimMs;
      return { ...record, keeper: { id: this.#keeperId, untilMs } };
    });
  }

  /** While a step goes on, which hears of it by `check`. */
  renewQuietly(): void {
    // A store that is out of reach may be there again before the claim ends.
    if (!this.#isLost) this.renew().catch(() => {});
  }

  /** Changes fields, and lets go of the batch unless it `keeps` it. */
  async change(
    fields: Partial<BatchRecord>,
    { keeps = false }: { readonly keeps?: boolean } = {},
  ): Promise<void> {
    await this.#replace((record) => ({
      ...{ ...record, ...fields, keeper: keeps ? record.keeper : null },
    }));
  }

  async enter(
    status: BatchStatus,
    fields: Partial<BatchRecord>,
    options?: { readonly keeps?: boolean },
  ): Promise<void> {
    const times = { ...this.record.times, [status]: Math.floor(this.#in.now() / 1000) };
    await this.change({ ...fields, status, times }, options);
  }

  #replace(change: (record: BatchRecord) => BatchRecord): Promise<void> {
    return this.#changes.run(async () => {
      this.check();
      const { record, version } = this.#batch;
      // One that was let go is not renewed.
      const batch = await this.#in.store.batches.replace(change(record), version);
      this.#isLost = batch === null || batch.record.keeper === null;
      if (batch === null) throw new LostClaim();
      this.#batch = batch;
    });
  }
}

/** Often enough to hear soon that the batch was cancelled. */
function renewalMs(claimMs: number): number {
  return Math.min(1000, claimMs / 3);
}
