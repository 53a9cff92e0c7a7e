/**
 * One file from one address to a place beside where it belongs: several ranges at once, each tried
 * again until nothing comes any more. Knows nothing of models.
 */
import { formatBytes } from "../base/units.ts";
import { ChangedError, fatal, RangesIgnoredError, RequestFault, withRetries } from "./fault.ts";
import type { RemoteFile } from "./hub.ts";
import type { PartialFile, Span } from "./partial_file.ts";
import type { TransferOptions } from "./options.ts";
import type { Reply } from "./web.ts";

/** What the server says of a file. */
export interface FileFacts {
  readonly sizeBytes: number;
  readonly sha256: string | null;
  /** What it calls this version of the file; null: nothing. */
  readonly validator: string | null;
  readonly takesRanges: boolean;
}

/** So that a server that sends a page of words is known at once. */
const FIRST_BYTES = 4;
const MAGICS = ["GGUF", "PWRI", "GANG"];

/**
 * Asks for a file's first bytes: what it is, how large, and whether parts of it can be had.
 * @throws {RequestFault | Error} when it cannot be had, or is no model.
 */
export async function probeFile(file: RemoteFile, options: TransferOptions): Promise<FileFacts> {
  return await withRetries(async () => {
    const range = { first: 0, last: FIRST_BYTES - 1 };
    const reply = await options.web.get(file.url, { range, signal: options.signal });
    const begin = await firstBytes(reply);
    const takesRanges = reply.status === 206;
    const served = takesRanges ? contentRange(reply)?.total ?? null : contentLength(reply);
    const { linked } = reply;
    const sizeBytes = file.sizeBytes ?? linked.sizeBytes ?? served;
    if (sizeBytes === null) throw fatal(`${reply.url.host} does not say how large it is`);
    if (served !== null && served !== sizeBytes) {
      throw fatal(`it has ${served} bytes there, and should have ${sizeBytes}`);
    }
    if (!MAGICS.includes(begin)) {
      throw fatal("it does not begin as a model does: is it the address of the file itself?");
    }
    const sha256 = file.sha256 ?? linked.sha256;
    return { sizeBytes, sha256, validator: validatorOf(reply), takesRanges };
  }, options);
}

async function firstBytes(reply: Reply): Promise<string> {
  let text = "";
  for await (const piece of reply.pieces()) {
    text += String.fromCharCode(...piece.subarray(0, FIRST_BYTES - text.length));
    if (text.length >= FIRST_BYTES) break;
  }
  return text;
}

/** What tells two versions of a file apart. */
function validatorOf({ headers }: Reply): string | null {
  return headers.get("etag")?.replace(/^W\//, "") ?? headers.get("last-modified");
}

/**
 * Brings what is missing of `into`.
 * @param onBytes told of bytes that came, or (negative) that were in vain.
 * @throws {ChangedError} when the server's file is another one by now.
 * @throws {RequestFault | Error} when it does not come, or cannot be written.
 */
export async function receiveFile(
  into: PartialFile,
  { file, facts, options, onBytes }: {
    file: RemoteFile;
    facts: FileFacts;
    options: TransferOptions;
    onBytes: (bytes: number) => void;
  },
): Promise<void> {
  let { takesRanges } = facts;
  for (;;) {
    const transfer = new Transfer(into, { file, facts, options, onBytes, takesRanges });
    try {
      return await transfer.run();
    } catch (error) {
      if (!(error instanceof RangesIgnoredError) || !takesRanges) throw error;
      options.onNotice?.(`${file.url.host} sends whole files only: it cannot go on where it was`);
      takesRanges = false;
    }
  }
}

interface Job {
  readonly file: RemoteFile;
  readonly facts: FileFacts;
  readonly options: TransferOptions;
  readonly onBytes: (bytes: number) => void;
  readonly takesRanges: boolean;
}

class Transfer {
  readonly #into: PartialFile;
  readonly #job: Job;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;

  constructor(into: PartialFile, job: Job) {
    this.#into = into;
    this.#job = job;
    const { signal } = job.options;
    this.#signal = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
  }

  /** Returns when no request is under way any more. */
  async run(): Promise<void> {
    const { options, takesRanges } = this.#job;
    const missing = this.#into.missing(takesRanges ? options.spanBytes : Infinity);
    if (missing.length === 0) return;
    const end = missing[missing.length - 1].end;
    const spans = takesRanges ? missing : [{ first: missing[0].first, end }];
    let failure: { error: unknown } | null = null;
    const work = async () => {
      try {
        for (let span = spans.shift(); span; span = spans.shift()) await this.#receive(span);
      } catch (error) {
        failure ??= { error };
        this.#stop.abort(error);
      }
    };
    await Promise.all(Array.from({ length: takesRanges ? options.connections : 1 }, work));
    if (failure !== null) throw (failure as { error: unknown }).error;
  }

  async #receive(span: Span): Promise<void> {
    const { options, onBytes, takesRanges } = this.#job;
    const writer = this.#into.writer(span.first);
    await withRetries(async (hasProgress) => {
      while (writer.offsetBytes < span.end) {
        const first = writer.offsetBytes;
        const { reply, begin, end } = await this.#ask(
          takesRanges ? { first, end: span.end } : { first: 0, end: this.#into.sizeBytes },
        );
        let at = begin;
        for await (const piece of reply.pieces()) {
          // Behind a range nothing is ours, whatever comes; behind a whole file there is nothing.
          if (at + piece.length > end && reply.status === 200) {
            throw new ChangedError("it is longer than it was");
          }
          // What is there already has to come once more where ranges are not to be had.
          const wanted = piece.subarray(
            Math.max(0, Math.min(piece.length, first - at)),
            Math.min(end, span.end) - at,
          );
          writer.write(wanted);
          at += piece.length;
          onBytes(wanted.length);
          if (wanted.length > 0) hasProgress();
          if (writer.offsetBytes >= span.end) break;
        }
        if (at < end && writer.offsetBytes < span.end) {
          throw passing(`it broke off after ${formatBytes(at)}`);
        }
      }
    }, { ...options, signal: this.#signal });
  }

  /** A request for bytes, and which ones come. */
  async #ask(wanted: Span): Promise<{ reply: Reply; begin: number; end: number }> {
    const { file, facts, options, takesRanges } = this.#job;
    const range = takesRanges ? { first: wanted.first, last: wanted.end - 1 } : undefined;
    const reply = await options.web.get(file.url, { range, signal: this.#signal }).catch(
      (error) => {
        // It has become shorter.
        if (error instanceof RequestFault && error.status === 416) {
          throw new ChangedError("it has another length by now");
        }
        throw error;
      },
    );
    try {
      this.#checkVersion(reply, facts);
      if (reply.status === 200) {
        if (takesRanges && wanted.first > 0) throw new RangesIgnoredError("ranges are ignored");
        return { reply, begin: 0, end: this.#into.sizeBytes };
      }
      const range = contentRange(reply);
      if (range === null || range.first !== wanted.first || range.last >= wanted.end) {
        throw passing("other bytes came than were asked for");
      }
      return { reply, begin: range.first, end: range.last + 1 };
    } catch (error) {
      await reply.cancel();
      throw error;
    }
  }

  /** @throws {ChangedError} when what comes is of another file. */
  #checkVersion(reply: Reply, { sizeBytes, sha256, validator }: FileFacts): void {
    const total = reply.status === 206 ? contentRange(reply)?.total : contentLength(reply);
    if (typeof total === "number" && total !== sizeBytes) {
      throw new ChangedError(`it has ${total} bytes by now`);
    }
    // Where a checksum is known it decides: servers of one hub may call one file by many names.
    const now = validatorOf(reply);
    if (sha256 === null && now !== null && validator !== null && now !== validator) {
      throw new ChangedError("it is another version by now");
    }
  }
}

function contentLength({ headers }: Reply): number | null {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** "bytes 0-3/100"; the total is null where the server does not know it. */
function contentRange(
  { headers }: Reply,
): { first: number; last: number; total: number | null } | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(
    headers.get("content-range") ?? "",
  );
  if (match === null) return null;
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (last < first) return null;
  return { first, last, total: match[3] === "*" ? null : Number(match[3]) };
}

function passing(message: string): RequestFault {
  return new RequestFault(message, { isPassing: true });
}
