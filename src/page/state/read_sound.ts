/** A file that a person gives → a sound as it is sent and kept: the file itself. */
import { dataUrl } from "./read_image.ts";
import { SOUND_CHARS_MAX, SOUND_HEAD_BYTES, soundTypeOf } from "./sound_urls.ts";

/**
 * The sound as a data URL.
 * @throws {Error} with words for people, when it is none that servers read, or too long.
 */
export async function readSound(file: File): Promise<string> {
  const name = file.name === "" ? "This" : `“${file.name.slice(0, 80)}”`;
  const head = new Uint8Array(await file.slice(0, SOUND_HEAD_BYTES).arrayBuffer());
  const type = soundTypeOf(head);
  if (type === null) {
    throw new Error(
      `${name} is no sound that models hear here: WAV, MP3, FLAC, M4A, Opus and WebM are.`,
    );
  }
  // Before all of it is read.
  if (file.size > SOUND_CHARS_MAX * 3 / 4 - 64) {
    throw new Error(`${name} is too large: sounds have 6 MB at most. Save it as an MP3.`);
  }
  return await dataUrl(new Blob([file], { type }));
}
