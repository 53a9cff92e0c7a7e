/**
 * What is asked of whole texts: calls of the leader that run alone. Knows ids; knows nothing of how
 * calls are made, or of who waits for whom.
 */
import { WorkerError } from "../src/base/errors.ts";
import type { InputSums } from "../src/engine/input_sums.ts";
import type { LogprobRows } from "../src/engine/logprob_rows.ts";
import type { Pooling } from "../src/model/types.ts";
import type { CallName, Calls } from "./protocol.ts";

/** Calls the leader while no request runs. */
export type AskAlone = <K extends CallName>(
  call: K,
  params: Calls[K]["params"],
  signal?: AbortSignal,
) => Promise<Calls[K]["result"]>;

export class TextCalls {
  readonly #ask: AskAlone;

  constructor(ask: AskAlone) {
    this.#ask = ask;
  }

  /**
   * Texts are read with so much of each adapter while `work` lasts, beside which none is read.
   * @throws what `work` throws.
   */
  async wearing<T>(adapters: readonly number[], work: () => Promise<T>): Promise<T> {
    if (adapters.length === 0) return await work();
    await this.#ask("wear", { adapters });
    try {
      return await work();
    } finally {
      // An engine that has failed meanwhile reads no more texts.
      await this.#ask("wear", { adapters: [] }).catch(() => {});
    }
  }

  /**
   * Sum of −log p (nats) of the ids from index `from` on, each after all before it.
   * @throws {WorkerError} when the engine is closed before the last one.
   */
  async score(ids: readonly number[], from: number): Promise<number> {
    const { nll } = await this.#ask("score", { ids, from });
    if (nll === null) throw new WorkerError("The engine was closed before the text was scored");
    return nll;
  }

  /**
   * Writes a row for each of the ids but the first: how likely it was after all before it. Aborting
   * stops it within a join.
   * @throws {WorkerError} when the engine is closed before the last one; the signal's reason.
   */
  async logprobs(ids: readonly number[], rows: LogprobRows, signal?: AbortSignal): Promise<void> {
    const { isComplete } = await this.#ask("logprobs", { ids, rows }, signal);
    if (isComplete) return;
    signal?.throwIfAborted();
    throw new WorkerError("The engine was closed before the text was scored");
  }

  /**
   * Vectors of texts, several of which fit into a step: see TextPooler. Aborting stops it within a
   * join.
   * @throws {WorkerError} when the engine is closed before their last token; the signal's reason.
   */
  async embed(
    texts: readonly (readonly number[])[],
    pooling: Pooling,
    signal?: AbortSignal,
  ): Promise<readonly Float32Array[]> {
    const { vectors } = await this.#ask("embed", { texts, pooling }, signal);
    if (vectors !== null) return vectors;
    signal?.throwIfAborted();
    throw new WorkerError("The engine was closed before the text was read");
  }

  /**
   * Runs a text for what its products read. Aborting stops it within a join: what was summed up
   * then has a part of the text.
   * @throws {WorkerError} when the engine is closed before the last token; the signal's reason.
   */
  async measure(
    ids: readonly number[],
    readsOutput: boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const { isComplete } = await this.#ask("measure", { ids, readsOutput }, signal);
    if (isComplete) return;
    signal?.throwIfAborted();
    throw new WorkerError("The engine was closed before the text was measured");
  }

  /** What all products have read since the model was loaded. */
  async inputSums(): Promise<readonly InputSums[]> {
    return (await this.#ask("inputSums", {})).sums;
  }
}
