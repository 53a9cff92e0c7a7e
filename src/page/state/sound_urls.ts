/**
 * Sounds as the page has them: data URLs beside those of images, in the same lists. Which files are
 * sounds, and how long they may be; pure, knows no browser.
 */
import { isDataUrl } from "./data_urls.ts";

/** Characters of one, some six minutes of MP3: bodies have room for four of them. */
export const SOUND_CHARS_MAX = 8_000_000;

/** What servers read, by the bytes that files begin with. */
const KINDS: readonly (readonly [begin: RegExp, type: string])[] = [
  [/^RIFF....WAVE/s, "audio/wav"],
  [/^fLaC/, "audio/flac"],
  [/^OggS/, "audio/ogg"],
  // deno-lint-ignore no-control-regex
  [/^\x1aE\xdf\xa3/, "audio/webm"],
  [/^....ftyp/s, "audio/mp4"],
  // A layer that no MP3 has.
  [/^\xff[\xf0\xf1\xf8\xf9]/, "audio/aac"],
  [/^(ID3|\xff[\xe2-\xe7\xf2-\xff])/, "audio/mpeg"],
];
/** Bytes that are enough to tell. */
export const SOUND_HEAD_BYTES = 12;

/** For a browser's dialog of files. */
export const SOUND_ACCEPT = "audio/*,.wav,.mp3,.flac,.ogg,.opus,.webm,.m4a,.mp4,.aac";

/** What people call sounds, whatever their browser calls them. */
const NAMES = /\.(wav|mp3|flac|ogg|opus|webm|mka|m4a|mp4|aac|aiff?|wma)$/i;
const HEAD = /^data:audio\/(?:wav|flac|ogg|mpeg|webm|mp4|aac);base64,/;

/** What a file is that begins so; null: no sound that servers read. */
export function soundTypeOf(head: Uint8Array): string | null {
  const letters = String.fromCharCode(...head.subarray(0, SOUND_HEAD_BYTES));
  return KINDS.find(([begin]) => begin.test(letters))?.[1] ?? null;
}

/** Whether people mean a sound with a file, whatever is in it. */
export function isSoundFile({ type, name }: { readonly type: string; readonly name: string }) {
  return type.startsWith("audio/") || NAMES.test(name);
}

/** Whether a value is a sound that the page would make itself: no other address. */
export function isSoundUrl(value: unknown): value is string {
  return isDataUrl(value, HEAD, SOUND_CHARS_MAX);
}

/** The same of one that is known to be a sound or an image. */
export function isOfSound(url: string): boolean {
  return url.startsWith("data:audio/");
}

/** What the server reads of it. */
export function soundData(url: string): string {
  return url.slice(url.indexOf(",") + 1);
}
