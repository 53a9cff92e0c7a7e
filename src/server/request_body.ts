/** A request's body to a JSON object, within limits of size and time. */
import { RequestError } from "../base/errors.ts";
import { isJsonObject } from "../base/json_object.ts";
import { Turns } from "../base/turns.ts";
import { formatBytes } from "../base/units.ts";
import { fieldError } from "./http_errors.ts";
import { bytesBesideBase64, imageBytes } from "./image_bytes.ts";

export interface BodyLimits {
  /** Of a body without its images. */
  readonly bodyBytesMax: number;
  /** Of its images, as they are written in it; left out: they count like all else. */
  readonly imageBytesMax?: number;
  readonly bodyTimeoutMs: number;
  /** What all bodies together may take while they arrive; left out: nobody counts. */
  readonly bodyRoom?: BodyRoom;
}

/** Bytes of bodies that have begun to arrive: many slow ones are as much as one too long. */
export class BodyRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** What is held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws {RequestError} 503 when there is no room for so many more. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#bytesMax) throw noRoom(this.#bytesMax);
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/**
 * What a longer body asks for may take this thread a while (a schema of half a megabyte: half a
 * second): others have a turn before each of them.
 */
const TURN_BYTES = 1 << 14;

/**
 * Reads the body as a JSON object, whatever its content type says. Of a key that occurs twice, the
 * last value counts.
 * @throws {RequestError} 413 when it is too long, 503 when others leave it no room, 408 when it
 *   takes too long, 415 when it is compressed, 400 when it breaks off or is not UTF-8, not JSON, or
 *   not an object.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
): Promise<Record<string, unknown>> {
  const { value, byteCount } = await readJson(request, limits);
  if (!isJsonObject(value)) {
    throw fieldError(null, "Cannot read the body: expected a JSON object", "invalid_json");
  }
  const body = value as Record<string, unknown>;
  const { bodyBytesMax } = limits;
  if (byteCount > bodyBytesMax && byteCount - imageBytes(body) > bodyBytesMax) {
    throw tooLong(limits);
  }
  return body;
}

/**
 * The same of a list, which has no images.
 * @throws {RequestError} as `readJsonObject`.
 */
export async function readJsonList(request: Request, limits: BodyLimits): Promise<unknown[]> {
  const { value } = await readJson(request, { ...limits, imageBytesMax: 0 });
  if (Array.isArray(value)) return value;
  throw fieldError(null, "Cannot read the body: expected a JSON array", "invalid_json");
}

async function readJson(
  request: Request,
  limits: BodyLimits,
): Promise<{ readonly value: unknown; readonly byteCount: number }> {
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") throw encodedError(encoding);
  const bytes = await readBytes(request, limits);
  if (bytes.length > TURN_BYTES) await new Turns(undefined).give();
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return { value, byteCount: bytes.length };
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "it is not UTF-8";
    throw fieldError(null, `Cannot read the body as JSON: ${reason}`, "invalid_json");
  }
}

async function readBytes(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const { bodyBytesMax, imageBytesMax = 0, bodyTimeoutMs, bodyRoom } = limits;
  const bytesMax = bodyBytesMax + imageBytesMax;
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLong(limits);
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reader.cancel().catch(() => {});
  }, bodyTimeoutMs);
  // One piece, not a list: a hostile client's pieces are of a byte, and each would be an object.
  let body: Uint8Array = new Uint8Array();
  let byteCount = 0;
  let takenBytes = 0;
  let countedBytes = 0;
  let signCount = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const at = byteCount;
      byteCount += read.value.byteLength;
      if (byteCount > bytesMax) throw tooLong(limits);
      bodyRoom?.take(read.value.byteLength);
      takenBytes = byteCount;
      body = at === 0 ? read.value : withRoom(body, { used: at, needed: byteCount });
      if (at > 0) body.set(read.value, at);
      if (byteCount <= bodyBytesMax) continue;
      // No image has signs besides letters: 32 MiB of brackets would take seconds to parse.
      signCount += bytesBesideBase64(body.subarray(countedBytes, byteCount));
      countedBytes = byteCount;
      if (signCount > bodyBytesMax) throw tooLong(limits);
    }
  } catch (error) {
    if (!(error instanceof RequestError)) {
      throw fieldError(null, "Cannot read the body: it broke off", "body_incomplete");
    }
    reader.cancel().catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
    bodyRoom?.give(takenBytes);
  }
  if (isLate) {
    throw new RequestError(
      `Cannot read the body: it took longer than ${bodyTimeoutMs / 1000} s to arrive`,
      { status: 408, code: "body_timeout" },
    );
  }
  return body.subarray(0, byteCount);
}

/** The bytes, or a copy of those that are used, with room for as many as are needed. */
function withRoom(
  bytes: Uint8Array,
  { used, needed }: { readonly used: number; readonly needed: number },
): Uint8Array {
  if (needed <= bytes.length) return bytes;
  const grown = new Uint8Array(2 * needed);
  grown.set(bytes.subarray(0, used));
  return grown;
}

/** What a short body unfolds to may be long: nobody's client compresses by itself. */
function encodedError(encoding: string): RequestError {
  return new RequestError(
    `Cannot read a body that is encoded as ${JSON.stringify(encoding.slice(0, 40))}: send it as ` +
      "it is",
    { status: 415, code: "unsupported_content_encoding" },
  );
}

function noRoom(bytesMax: number): RequestError {
  return new RequestError(
    `The server is busy (${formatBytes(bytesMax)} of requests arriving): try again later`,
    { status: 503, code: "too_many_bodies", retryAfterSeconds: 1 },
  );
}

function tooLong({ bodyBytesMax, imageBytesMax = 0 }: BodyLimits): RequestError {
  const images = imageBytesMax > 0 ? `, and ${imageBytesMax} bytes of images beside it` : "";
  return new RequestError(
    `Cannot read the body: it is longer than ${bodyBytesMax} bytes${images}: send less`,
    { status: 413, code: "body_too_large" },
  );
}
