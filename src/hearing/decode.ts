/** A sound file to samples of one channel. */
import { RequestError } from "../base/errors.ts";
import { decodeAdts } from "./decoders/adts.ts";
import { decodeFlac } from "./decoders/flac.ts";
import { decodeMp3 } from "./decoders/mp3.ts";
import { decodeMp4 } from "./decoders/mp4.ts";
import { decodeOggOpus, decodeWebm } from "./decoders/opus.ts";
import { decodeWav } from "./decoders/wav.ts";
import { checkSoundSize } from "./limits.ts";
import { damaged, unknown } from "./sound_error.ts";
import { SOUND_NAMES, type SoundKind, soundKindOf, unreadName } from "./sound_kind.ts";
import type { Samples } from "./types.ts";

/** @throws {RequestError} 400 when a file is damaged, or too long. */
type Decoder = (file: Uint8Array) => Samples | Promise<Samples>;

const DECODERS: Readonly<Record<SoundKind, Decoder>> = {
  wav: decodeWav,
  mp3: decodeMp3,
  flac: decodeFlac,
  opus: decodeOggOpus,
  webm: decodeWebm,
  mp4: decodeMp4,
  aac: decodeAdts,
};

/** No sound is louder, and its square is far from the largest number. */
const LOUDEST = 1e6;

/**
 * Decodes a file, going by its first bytes; channels are mixed.
 * @param decoders others than this version's (for tests).
 * @throws {RequestError} 400 when it is no sound, damaged, or longer than sounds may be.
 */
export async function decodeSound(
  file: Uint8Array,
  decoders: Readonly<Record<SoundKind, Decoder>> = DECODERS,
): Promise<Samples> {
  checkSoundSize(file);
  const kind = soundKindOf(file);
  if (kind === null) {
    const name = unreadName(file);
    const what = name === null
      ? "of no kind that this version reads"
      : `${name}, which is not read`;
    throw unknown(`its file is ${what}`);
  }
  const samples = await decode(file, kind, decoders[kind]);
  const { values } = samples;
  if (values.length === 0) throw damaged(SOUND_NAMES[kind], "it has no sound in it");
  // Files of floats may have anything, and one such number would be in all of the spectrogram.
  for (let i = 0; i < values.length; i++) {
    if (!(Math.abs(values[i]) <= LOUDEST)) values[i] = 0;
  }
  return samples;
}

async function decode(file: Uint8Array, kind: SoundKind, by: Decoder): Promise<Samples> {
  try {
    return await by(file);
  } catch (error) {
    // A decoder of WebAssembly may trap, as may any code that is given what it was not made for.
    const isTrap = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    if (error instanceof RequestError || !isTrap) throw error;
    throw damaged(SOUND_NAMES[kind], `its decoder stops at it: ${error.message}`);
  }
}
