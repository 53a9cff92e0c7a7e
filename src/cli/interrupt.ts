/**
 * Ctrl-C and SIGTERM as an AbortSignal: the first asks the work to end, the second ends the process.
 */

/** The user stopped the work before it was done. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** Listens for interruptions until it is disposed. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #listener = () => {
    if (this.signal.aborted) Deno.exit(130);
    this.#controller.abort(new InterruptedError("interrupted"));
  };

  constructor() {
    for (const name of SIGNALS) Deno.addSignalListener(name, this.#listener);
  }

  /** Aborted by the first interruption. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) Deno.removeSignalListener(name, this.#listener);
  }
}
