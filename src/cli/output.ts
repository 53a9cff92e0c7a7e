/**
 * The two streams of a command: stdout carries the answer and nothing else, stderr everything
 * else. Writes are synchronous, so that nothing is lost when the process exits.
 */

/** Whoever read our stdout has gone, as in `ganglion … | head -1`. */
export class BrokenPipeError extends Error {
  override readonly name = "BrokenPipeError";
}

const encoder = new TextEncoder();

/**
 * Writes text to stdout as it is.
 * @throws {BrokenPipeError} when the reader has closed it.
 */
export function writeOut(text: string): void {
  writeAll(Deno.stdout, text);
}

/** Writes one line to stdout. */
export function writeOutLine(line: string): void {
  writeOut(`${line}\n`);
}

/** Writes the JSON document of a `--json` verb. */
export function writeJson(document: unknown): void {
  writeOutLine(JSON.stringify(document));
}

/** Writes to stderr as it is; silent when nobody reads it. */
export function writeError(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch (error) {
    if (!(error instanceof BrokenPipeError)) throw error;
  }
}

/** Writes one line to stderr. */
export function writeErrorLine(line: string): void {
  writeError(`${line}\n`);
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new BrokenPipeError("stdout is closed");
    throw error;
  }
}
