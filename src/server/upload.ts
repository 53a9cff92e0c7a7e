/**
 * A file that a client uploads as multipart/form-data, piece by piece as it comes: it may be larger
 * than memory. Knows nothing of what is in it, nor where it goes.
 */
import { Busboy, type BusboyFileStream, type BusboyInstance } from "@fastify/busboy";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { messageOf, RequestError } from "../base/errors.ts";
import { fieldError } from "./http_errors.ts";

/** What a form may have. */
export interface UploadLimits {
  readonly fileBytesMax: number;
  /** How long nothing of it may come; it may take so long, and its bytes at the least rate. */
  readonly stallMs: number;
  /** Of each field beside the file; default 1 KiB. */
  readonly fieldBytesMax?: number;
}

export interface Upload {
  /** As the client calls it. */
  readonly filename: string;
  /**
   * The file's bytes, to be read once. Ends when the whole form has come.
   * @throws {RequestError} 413 when the file is too long, 408 when nothing comes any more, or less
   *   than 16 KiB/s, 400 when the form breaks off or is broken.
   */
  readonly content: AsyncIterable<Uint8Array>;
  /**
   * The form's other fields; complete when `content` has been read. Of a name that comes twice the
   * last one counts.
   */
  readonly fields: ReadonlyMap<string, string>;
}

const FIELDS_MAX = 16;
const FIELD_BYTES_MAX = 1024;
/** What a form has beside its file. */
const REST_BYTES_MAX = 64 * 1024;
/** Slower clients are as good as silent: each of them keeps a request from others. */
const BYTES_PER_SECOND_MIN = 16 * 1024;

/**
 * Reads a form up to where its file begins, in the field called `name`.
 * @throws {RequestError} as `content`, and 400 when it has no such file.
 */
export async function readUpload(
  request: Request,
  name: string,
  limits: UploadLimits,
): Promise<Upload> {
  const { fileBytesMax } = limits;
  if (Number(request.headers.get("content-length") ?? 0) > fileBytesMax + REST_BYTES_MAX) {
    throw tooLong(limits);
  }
  const parser = createParser(request, limits);
  const fields = new Map<string, string>();
  const file = Promise.withResolvers<{ stream: BusboyFileStream; filename: string }>();
  const whole = Promise.withResolvers<void>();
  // Somebody always hears of it: here, or who reads the content.
  whole.promise.catch(() => {});
  file.promise.catch(() => {});
  const fail = (error: unknown) => {
    const reason = inWords(error);
    file.reject(reason);
    whole.reject(reason);
    source.destroy();
  };
  parser.on("field", (field, value, _isNameCut, isCut) => {
    const own = nameOf(field);
    if (isCut) fail(fieldError(own, `"${own}" is longer than ${fieldBytesOf(limits)} bytes`));
    fields.set(own, value);
  });
  const tooMany = () =>
    fail(fieldError(null, `The form has more than ${FIELDS_MAX} fields`, "invalid_form"));
  parser.on("fieldsLimit", tooMany);
  parser.on("partsLimit", tooMany);
  parser.on("file", (field, stream, filename) => {
    stream.on("error", fail);
    if (field === name) return file.resolve({ stream, filename: filename ?? "" });
    stream.resume();
    file.reject(fieldError(nameOf(field), `Unexpected file: only "${name}" may be one`));
  });
  parser.on("finish", () => {
    file.reject(fieldError(name, `The form has no file in its field "${name}"`));
    whole.resolve();
  });
  const source = pump(request, parser, limits);
  source.on("error", fail);
  parser.on("error", fail);
  try {
    const { stream, filename } = await file.promise;
    const content = contentOf(stream, { whole: whole.promise, source, limits });
    return { filename: filename.toWellFormed().slice(0, 255), fields, content };
  } catch (error) {
    source.destroy();
    throw error;
  }
}

/** A part may well have no name; the parser's types do not say so. */
function nameOf(field: string | undefined): string {
  return (field ?? "").slice(0, 100).toWellFormed();
}

function fieldBytesOf({ fieldBytesMax = FIELD_BYTES_MAX }: UploadLimits): number {
  return fieldBytesMax;
}

function createParser(request: Request, of: UploadLimits): BusboyInstance {
  const type = request.headers.get("content-type") ?? "";
  const limits = {
    ...{ files: 1, fields: FIELDS_MAX, parts: FIELDS_MAX + 1 },
    ...{ fieldSize: fieldBytesOf(of), fieldNameSize: 100, headerPairs: 32 },
    // One more: a file of that length is not too long.
    fileSize: of.fileBytesMax + 1,
  };
  try {
    if (!/^multipart\/form-data\b/i.test(type)) throw new Error(`it is ${type || "of no type"}`);
    return new Busboy({ headers: { "content-type": type }, limits });
  } catch (error) {
    throw fieldError(
      null,
      `Cannot read the body as multipart/form-data: ${(error as Error).message}`,
      "invalid_form",
    );
  }
}

/** The body's way into the parser; fails when it comes too slowly, or is too much. */
function pump(request: Request, parser: BusboyInstance, limits: UploadLimits): Readable {
  const { stallMs } = limits;
  const body = request.body ?? new Blob([]).stream();
  const source = Readable.fromWeb(body as unknown as NodeReadableStream);
  const giveUp = (why: string) =>
    source.destroy(
      new RequestError(`Cannot read the body: ${why}`, { status: 408, code: "body_timeout" }),
    );
  const stalled = () => giveUp(`nothing came for ${stallMs / 1000} s`);
  let timer = setTimeout(stalled, stallMs);
  const startMs = performance.now();
  let byteCount = 0;
  source.on("data", (piece: Uint8Array) => {
    byteCount += piece.length;
    if (byteCount > limits.fileBytesMax + REST_BYTES_MAX) source.destroy(tooLong(limits));
    const patienceMs = stallMs + 1000 * byteCount / BYTES_PER_SECOND_MIN;
    if (performance.now() - startMs > patienceMs) giveUp("it comes at less than 16 KiB/s");
    clearTimeout(timer);
    timer = setTimeout(stalled, stallMs);
  });
  source.on("close", () => clearTimeout(timer));
  source.pipe(parser);
  return source;
}

async function* contentOf(
  stream: BusboyFileStream,
  { whole, source, limits }: {
    readonly whole: Promise<void>;
    readonly source: Readable;
    readonly limits: UploadLimits;
  },
): AsyncGenerator<Uint8Array> {
  // Where the form breaks off, the file's stream does not end.
  whole.catch((error) => stream.destroy(error));
  let byteCount = 0;
  try {
    for await (const piece of stream) {
      byteCount += piece.length;
      if (byteCount > limits.fileBytesMax) throw tooLong(limits);
      yield piece;
    }
    await whole;
  } catch (error) {
    throw inWords(error);
  } finally {
    source.destroy();
  }
}

function inWords(error: unknown): unknown {
  if (error instanceof RequestError) return error;
  const reason = messageOf(error);
  return fieldError(null, `Cannot read the body: it broke off: ${reason}`, "body_incomplete");
}

function tooLong({ fileBytesMax }: UploadLimits): RequestError {
  return new RequestError(
    `Cannot take the file: it is longer than ${fileBytesMax} bytes: split it`,
    { status: 413, code: "file_too_large" },
  );
}
