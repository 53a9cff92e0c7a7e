/** A sound file to samples of one channel. */
import { decodeMp3, isMp3 } from "./decoders/mp3.ts";
import { decodeWav, isWav } from "./decoders/wav.ts";
import { checkSoundSize } from "./limits.ts";
import { damaged, unknown } from "./sound_error.ts";
import type { Samples } from "./types.ts";

/**
 * Decodes a file, going by its first bytes; channels are mixed.
 * @throws {RequestError} 400 when it is no sound, damaged, or longer than sounds may be.
 */
export async function decodeSound(file: Uint8Array): Promise<Samples> {
  checkSoundSize(file);
  const samples = isWav(file) ? decodeWav(file) : isMp3(file) ? await decodeMp3(file) : null;
  if (samples === null) throw unknown("its file is of no kind that this version reads");
  const { values } = samples;
  if (values.length === 0) throw damaged(isWav(file) ? "a WAV" : "an MP3", "has no sound in it");
  // Files of floats may have anything, and one such number would be in all of the spectrogram.
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]) <= LOUDEST)) values[i] = 0;
  }
  return samples;
}

/** No sound is louder, and its square is far from the largest number. */
const LOUDEST = 1e6;
