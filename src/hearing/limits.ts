/** What a sound may be at most, and what is known of its file without looking into it. */
import { formatBytes, MiB } from "../base/units.ts";
import { tooLong, unknown } from "./sound_error.ts";

/** Of a file. */
export const SOUND_BYTES_MAX = 20 * MiB;
/** Of a sound: its samples are 115 MB at 48 kHz, and its spectrogram 31 MB of 128 bands. */
export const SECONDS_MAX = 600;

/**
 * Whatever their rate: some codings make a minute of silence of a few bytes. Ten minutes of 96 kHz,
 * 230 MB.
 */
export const SAMPLES_MAX = SECONDS_MAX * 96_000;

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
  if (samples > SAMPLES_MAX) {
    const most = SAMPLES_MAX.toLocaleString("en");
    throw tooLong(`it has more than ${most} samples, the most that sounds may have`);
  }
  if (samples <= SECONDS_MAX * rate) return;
  const longer = `it takes more than ${SECONDS_MAX / 60} minutes, the most that sounds may take`;
  throw tooLong(longer);
}
