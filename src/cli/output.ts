/**
 * The two streams of a command: stdout carries the answer and nothing else, stderr everything
 * else. Writes are synchronous, so that nothing is lost when the process exits; but a server's
 * stderr is written behind its back, so that a reader who stops does not stop it.
 */

import { explainWriteError } from "../base/write_errors.ts";
import { TextQueue } from "./text_queue.ts";

/** Whoever read our stdout has gone, as in `ganglion … | head -1`. */
export class BrokenPipeError extends Error {
  override readonly name = "BrokenPipeError";
}

const encoder = new TextEncoder();

/** A line on the terminal that will be written over: nothing else may stand behind it. */
let hasPassingLine = false;

/** Set: what goes to stderr is written by it. */
let errorQueue: TextQueue | null = null;
/** What is kept for a reader of stderr who has stopped: some thousand lines of a log. */
const ERROR_UNITS_MAX = 1 << 20;
/** How long whoever leaves waits for that reader. */
const ERROR_FLUSH_MS = 1000;

/**
 * Writes text to stdout as it is.
 * @throws {BrokenPipeError} when the reader has closed it.
 * @throws {Error} "Cannot write …" when the system refuses, as a full disk does.
 */
export function writeOut(text: string): void {
  takePassingLineAway();
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
function writeError(text: string): void {
  takePassingLineAway();
  tell(text);
}

/** Shows a line on the terminal of stderr until another one, or anything else, takes its place. */
export function writePassingLine(line: string): void {
  tell(`${LINE_BEGIN}${line}`);
  hasPassingLine = true;
}

/** Takes the line away that `writePassingLine` has shown, if it is still there. */
export function takePassingLineAway(): void {
  if (!hasPassingLine) return;
  hasPassingLine = false;
  tell(LINE_BEGIN);
}

/** To the line's begin, and what stands there goes. */
const LINE_BEGIN = "\r\x1b[K";

/**
 * From now on, and until it is disposed, nothing waits for who reads stderr: a terminal that is
 * held (Ctrl-S), or `| less`. Disposed: the rest is written, if that reader takes it soon.
 * @param onLost told of how many lines were too many to keep.
 */
export function writeErrorsLater(onLost: (lines: number) => void): AsyncDisposable {
  const queue = new TextQueue({
    write: (bytes) => Deno.stderr.write(bytes),
    ...{ unitsMax: ERROR_UNITS_MAX, onLost },
  });
  errorQueue = queue;
  return {
    async [Symbol.asyncDispose]() {
      // A write behind one that hangs would hang, too: then what is left is lost with the process.
      if (await queue.flush(ERROR_FLUSH_MS)) errorQueue = null;
    },
  };
}

function tell(text: string): void {
  if (errorQueue !== null) return errorQueue.push(text);
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
