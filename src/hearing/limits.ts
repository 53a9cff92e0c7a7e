/** What a sound may be at most, and what is known of its file without looking into it. */
import { formatBytes, MiB } from "../base/units.ts";
import { tooLong, unknown } from "./sound_error.ts";

/** Of a file. */
export const SOUND_BYTES_MAX = 20 * MiB;
/** Of a sound: its samples are 115 MB at 48 kHz, and its spectrogram 31 MB of 128 bands. */
export const SECONDS_MAX = 600;

/** @throws {RequestError} 400: files are larger than they may be, or empty. */
export function checkSoundSize(bytes: Uint8Array): void {
  if (bytes.length === 0) throw unknown("its file is empty");
  if (bytes.length <= SOUND_BYTES_MAX) return;
  throw tooLong(
    `its file has ${formatBytes(bytes.length)}, files may have ${formatBytes(SOUND_BYTES_MAX)}`,
  );
}

/** @throws {RequestError} 400 when so many samples are longer than sounds may be. */
export function checkLength(samples: number, rate: number): void {
  if (samples <= SECONDS_MAX * rate) return;
  const longer = `it takes more than ${SECONDS_MAX / 60} minutes, the most that sounds may take`;
  throw tooLong(longer);
}
