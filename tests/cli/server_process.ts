/** What tests of `serve` as a process share. */

/** Lines of a process's stderr as they come, and all of them in the end. */
export class Log {
  text = "";
  readonly ended: Promise<void>;
  #wake = () => {};

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.ended = this.#collect(stream);
  }

  /** Waits until the log matches; fails when it ends without. */
  async match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) return match;
      const next = new Promise<"more">((resolve) => this.#wake = () => resolve("more"));
      const what = await Promise.race([next, this.ended.then(() => "end" as const)]);
      if (what === "end") throw new Error(`The log ended without ${pattern}:\n${this.text}`);
    }
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      this.text += piece;
      this.#wake();
    }
  }
}

/** Ends a process's streams, so that the test leaks nothing. */
export async function finish(child: Deno.ChildProcess, log: Log): Promise<Deno.CommandStatus> {
  const [status] = await Promise.all([child.status, log.ended, child.stdout.cancel()]);
  return status;
}
