/**
 * Ctrl-C and SIGTERM as an AbortSignal: the first asks the work to end, the second ends all.
 */

/** The user stopped the work before it was done. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/** Exit status of an interrupted program: the shell's 128 + SIGINT. */
export const EXIT_INTERRUPTED = 130;

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** Calls `handler` for every Ctrl-C or SIGTERM until it is disposed. */
export function onInterrupt(handler: () => void): Disposable {
  for (const name of SIGNALS) Deno.addSignalListener(name, handler);
  return {
    [Symbol.dispose]() {
      for (const name of SIGNALS) Deno.removeSignalListener(name, handler);
    },
  };
}

/**
 * Calls `handler` for every SIGHUP until it is disposed: a terminal that is closed, or an operator
 * who wants files read again, does not end a server.
 */
export function onHangup(handler: () => void): Disposable {
  if (Deno.build.os === "windows") return { [Symbol.dispose]() {} };
  Deno.addSignalListener("SIGHUP", handler);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGHUP", handler) };
}

/** Turns the first interruption into an abort, until it is disposed. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #listening = onInterrupt(() => {
    if (this.signal.aborted) Deno.exit(EXIT_INTERRUPTED);
    this.#controller.abort(new InterruptedError("interrupted"));
  });

  /** Aborted by the first interruption. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}
