/** A form with a sound file in it (multipart/form-data), read into memory within its limits. */
import { SOUND_BYTES_MAX } from "../hearing/mod.ts";
import { fieldError } from "./http_errors.ts";
import type { AppSettings } from "./options.ts";
import { readUpload } from "./upload.ts";

/** Of a prompt, which is text that a model reads. */
const FIELD_BYTES_MAX = 16 * 1024;

export interface SoundForm {
  readonly file: Uint8Array;
  /** The other fields, as they were written; names of lists ("include[]") without brackets. */
  readonly fields: ReadonlyMap<string, string>;
}

/**
 * Reads the form; its bytes have a part of the room that all bodies have while they arrive.
 * @throws {RequestError} 400 when it is no form, or has no sound; 413 when that is longer than
 *   sounds may be; 503 when others leave it no room; 408 when it comes too slowly.
 */
export async function readSoundForm(
  request: Request,
  { bodyTimeoutMs, imageBytesMax, bodyRoom }: AppSettings,
): Promise<SoundForm> {
  const { content, fields } = await readUpload(request, "file", {
    // As many as a body of JSON may have, where base64 makes four letters of three bytes.
    fileBytesMax: Math.min(SOUND_BYTES_MAX, Math.floor(imageBytesMax * 3 / 4)),
    ...{ stallMs: bodyTimeoutMs, fieldBytesMax: FIELD_BYTES_MAX },
  });
  const pieces: Uint8Array[] = [];
  let byteCount = 0;
  try {
    for await (const piece of content) {
      bodyRoom.take(piece.length);
      byteCount += piece.length;
      pieces.push(piece);
    }
  } finally {
    bodyRoom.give(byteCount);
  }
  if (byteCount === 0) throw fieldError("file", "The file is empty: send a sound");
  const file = new Uint8Array(byteCount);
  let at = 0;
  for (const piece of pieces) {
    file.set(piece, at);
    at += piece.length;
  }
  return { file, fields: new Map([...fields].map(([name, value]) => [bareName(name), value])) };
}

function bareName(name: string): string {
  const bracket = name.indexOf("[");
  return bracket > 0 ? name.slice(0, bracket) : name;
}
