/** What a sound file is, by its first bytes. Decodes nothing. */

/** What is read. */
export type SoundKind = "wav" | "mp3" | "flac" | "opus" | "webm" | "mp4" | "aac";

/** As sentences have them. */
export const SOUND_NAMES: Readonly<Record<SoundKind, string>> = {
  wav: "a WAV",
  mp3: "an MP3",
  flac: "a FLAC",
  opus: "an Ogg of Opus",
  webm: "a WebM or Matroska",
  mp4: "an MP4 or M4A",
  aac: "an AAC",
};

/** Where it is in an Ogg file, whose first page has one. */
const FIRST_PACKET = 28;

/** Files of the same boxes that hold pictures (HEIF, AVIF): photos of telephones are such. */
const PHOTO_BRANDS = ["hei", "hev", "mif", "msf", "miaf", "avif", "avis"];

/** Null: it is none that is read. */
export function soundKindOf(file: Uint8Array): SoundKind | null {
  // One for more than 4 GiB says its size elsewhere, and instead of it that it does.
  if ((has(file, 0, "RIFF") || has(file, 0, "RF64")) && has(file, 8, "WAVE")) return "wav";
  if (has(file, 0, "fLaC")) return "flac";
  if (has(file, 0, "\x1aE\xdf\xa3")) return "webm";
  if (has(file, 0, "OggS") && has(file, FIRST_PACKET, "OpusHead")) return "opus";
  if (has(file, 4, "ftyp") && !PHOTO_BRANDS.some((brand) => has(file, 8, brand))) return "mp4";
  if (isAdts(file, tagBytes(file))) return "aac";
  return isMp3(file) ? "mp3" : null;
}

/** What people send that is not read, as a sentence has it; null: nobody knows. */
export function unreadName(file: Uint8Array): string | null {
  if (has(file, 0, "OggS")) {
    return has(file, FIRST_PACKET, "\x01vorbis") ? "an Ogg of Vorbis" : "an Ogg without Opus";
  }
  if (has(file, 0, "FORM") && has(file, 8, "AIF")) return "an AIFF";
  if (has(file, 0, "RIFX")) return "a WAV of a rare kind";
  return has(file, 0, "#!AMR") ? "an AMR" : null;
}

/** Twelve ones, and a layer that no MP3 has. */
function isAdts(file: Uint8Array, at: number): boolean {
  return file[at] === 0xff && (file[at + 1] & 0xf6) === 0xf0;
}

/** Bytes of the marks (ID3) that a file begins with. */
export function tagBytes(file: Uint8Array): number {
  if (!has(file, 0, "ID3") || file.length < 10) return 0;
  // Of each byte of the size seven bits; behind the head, which may be repeated at the end.
  const size = file.subarray(6, 10).reduce((sum, byte) => 128 * sum + (byte & 127), 0);
  return 10 + size + ((file[5] & 16) !== 0 ? 10 : 0);
}

/** Whether a file begins as one: with marks (ID3), or with a frame. */
function isMp3(file: Uint8Array): boolean {
  if (has(file, 0, "ID3")) return true;
  const [a, b, c] = file;
  // Eleven ones; then neither layer, bit rate nor sample rate has the value that none may have.
  const isFrame = a === 0xff && b >= 0xe0;
  return isFrame && (b & 6) !== 0 && c >> 4 !== 15 && (c >> 2 & 3) !== 3;
}

/** Whether bytes are these, a letter each. */
export function has(file: Uint8Array, at: number, letters: string): boolean {
  for (let i = 0; i < letters.length; i++) {
    if (file[at + i] !== letters.charCodeAt(i)) return false;
  }
  return true;
}
