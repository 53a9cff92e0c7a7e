/**
 * The two streams of a command: stdout carries the answer and nothing else, stderr everything
 * else. Writes are synchronous, so that nothing is lost when the process exits.
 */

import { explainWriteError } from "../base/write_errors.ts";

/** Whoever read our stdout has gone, as in `ganglion … | head -1`. */
export class BrokenPipeError extends Error {
  override readonly name = "BrokenPipeError";
}

const encoder = new TextEncoder();

/**
 * Writes text to stdout as it is.
 * @throws {BrokenPipeError} when the reader has closed it.
 * @throws {Error} "Cannot write …" when the system refuses, as a full disk does.
 */
export function writeOut(text: string): void {
  try {
    writeAll(Deno.stdout, text);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new BrokenPipeError("stdout is closed");
    throw explainWriteError(error, "stdout");
  }
}

/** Writes one line to stdout. */
export function writeOutLine(line: string): void {
  writeOut(`${line}\n`);
}

/** Writes the JSON document of a `--json` verb. */
export function writeJson(document: unknown): void {
  writeOutLine(JSON.stringify(document));
}

/**
 * Writes to stderr as it is; what cannot be written is lost: nobody reads it, or the disk is full,
 * and neither is a reason for a server to end.
 */
export function writeError(text: string): void {
  try {
    writeAll(Deno.stderr, text);
  } catch {
    // There is nobody to tell.
  }
}

/** Writes one line to stderr. */
export function writeErrorLine(line: string): void {
  writeError(`${line}\n`);
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let rest = encoder.encode(text);
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
