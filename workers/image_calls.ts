/**
 * What is asked of a tower: calls of its leader, one at a time. Knows patches and rows; knows
 * nothing of how calls are made.
 */
import { WorkerError } from "../src/base/errors.ts";
import type { TowerInput } from "../src/model/vision_types.ts";
import type { AskAlone } from "./text_calls.ts";

export class ImageCalls {
  readonly #ask: AskAlone;
  /** The image that was asked for last: the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(ask: AskAlone) {
    this.#ask = ask;
  }

  /**
   * Rows of a text model, [kept / mergedRows, outputLength]. Images wait for each other; aborting
   * stops one within a layer. Arrays over shared memory are read where they are, and may not change
   * meanwhile; others are copied.
   * @throws {RequestError} 400 when the input has another shape than the tower, 501 when the model
   *   is none; {WorkerError} when the engine is closed before the last row; the signal's reason.
   */
  see(input: TowerInput, signal?: AbortSignal): Promise<Float32Array> {
    const seen = this.#last.then(() => this.#see(input, signal));
    this.#last = seen.catch(() => {});
    return seen;
  }

  async #see(input: TowerInput, signal?: AbortSignal): Promise<Float32Array> {
    signal?.throwIfAborted();
    const { rows } = await this.#ask("see", { input }, signal);
    if (rows !== null) return rows;
    signal?.throwIfAborted();
    throw new WorkerError("The engine was closed before the image was looked at");
  }
}
