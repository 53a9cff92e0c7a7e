/** Errors about sounds that clients send. */
import { RequestError } from "../base/errors.ts";

/** A file that cannot be read as what it is. kind: "a WAV", "an MP3". */
export function damaged(kind: string, what: string): RequestError {
  return new RequestError(
    `Cannot read the sound: its file begins as ${kind}, but ${what}: send it again, or save it ` +
      "anew with another program",
    { status: 400, code: "invalid_audio", param: "messages" },
  );
}

/** A file of no kind that is read. */
export function unknown(what: string): RequestError {
  return new RequestError(
    `Cannot read the sound: ${what}: send a WAV, MP3, FLAC, M4A of AAC-LC, or Opus in Ogg or ` +
      'WebM, such as "ffmpeg -i sound.wma sound.mp3" makes',
    { status: 400, code: "invalid_audio", param: "messages" },
  );
}

/** A file that could be read, but is more than sounds may be. */
export function tooLong(what: string): RequestError {
  return new RequestError(`Cannot listen to the sound: ${what}: send a shorter one`, {
    ...{ status: 400, code: "audio_too_long", param: "messages" },
  });
}
