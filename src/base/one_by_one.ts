/** Work of which each piece begins when the one before it has ended, well or not. */

export class OneByOne {
  /** Settles when nothing is under way. */
  #before: Promise<unknown> = Promise.resolve();

  /** Does it in its turn; resolves or rejects as `work` does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#before.then(work);
    this.#before = done.catch(() => {});
    return done;
  }
}
