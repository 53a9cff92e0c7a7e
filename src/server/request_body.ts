/** A request's body to a JSON object, within limits of size and time. Knows no field of it. */
import { concatBytes } from "../base/bytes.ts";
import { RequestError } from "../base/errors.ts";
import { fieldError } from "./http_errors.ts";

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly bodyTimeoutMs: number;
}

/**
 * Reads the body as a JSON object, whatever its content type says. Of a key that occurs twice, the
 * last value counts.
 * @throws {RequestError} 413 when it is too long, 408 when it takes too long, 415 when it is
 *   compressed, 400 when it breaks off or is not UTF-8, not JSON, or not an object.
 */
export async function readJsonObject(
  request: Request,
  limits: BodyLimits,
): Promise<Record<string, unknown>> {
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") throw encodedError(encoding);
  const bytes = await readBytes(request, limits);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "it is not UTF-8";
    throw fieldError(null, `Cannot read the body as JSON: ${reason}`, "invalid_json");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw fieldError(null, "Cannot read the body: expected a JSON object", "invalid_json");
  }
  return value as Record<string, unknown>;
}

async function readBytes(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const { bodyBytesMax, bodyTimeoutMs } = limits;
  if (Number(request.headers.get("content-length") ?? 0) > bodyBytesMax) throw tooLong(limits);
  if (!request.body) return new Uint8Array();
  const reader = request.body.getReader();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    reader.cancel().catch(() => {});
  }, bodyTimeoutMs);
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      byteCount += read.value.byteLength;
      if (byteCount > bodyBytesMax) {
        reader.cancel().catch(() => {});
        throw tooLong(limits);
      }
      chunks.push(read.value);
    }
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw fieldError(null, "Cannot read the body: it broke off", "body_incomplete");
  } finally {
    clearTimeout(timer);
  }
  if (isLate) {
    throw new RequestError(
      `Cannot read the body: it took longer than ${bodyTimeoutMs / 1000} s to arrive`,
      { status: 408, code: "body_timeout" },
    );
  }
  return chunks.length === 1 ? chunks[0] : concatBytes(chunks);
}

/** What a short body unfolds to may be long: nobody's client compresses by itself. */
function encodedError(encoding: string): RequestError {
  return new RequestError(
    `Cannot read a body that is encoded as ${JSON.stringify(encoding.slice(0, 40))}: send it as ` +
      "it is",
    { status: 415, code: "unsupported_content_encoding" },
  );
}

function tooLong({ bodyBytesMax }: BodyLimits): RequestError {
  return new RequestError(
    `Cannot read the body: it is longer than ${bodyBytesMax} bytes: send less`,
    { status: 413, code: "body_too_large" },
  );
}
