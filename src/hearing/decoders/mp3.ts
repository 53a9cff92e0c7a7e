/**
 * MP3 by mpg123, compiled to WebAssembly: what goes wrong in it stays in it. Each sound gets an
 * instance of its own, whose memory goes with it.
 */
import { checkLength } from "../limits.ts";
import { damaged } from "../sound_error.ts";
import type { Samples } from "../types.ts";

/** Of a file, decoded at once: so many more of a long one are not begun with. */
const PIECE_BYTES = 1 << 16;

/** Whether a file begins as one: with marks (ID3), or with a frame. */
export function isMp3(file: Uint8Array): boolean {
  const [a, b, c] = file;
  if (a === 0x49 && b === 0x44 && c === 0x33) return true;
  // Eleven ones; then neither layer, bit rate nor sample rate has the value that none may have.
  const isFrame = a === 0xff && b >= 0xe0;
  return isFrame && (b & 6) !== 0 && c >> 4 !== 15 && (c >> 2 & 3) !== 3;
}

/** @throws {RequestError} 400 when nothing of it can be decoded, or it is too long. */
export async function decodeMp3(file: Uint8Array): Promise<Samples> {
  // It takes 0.1 s to load, which images and other sounds do not wait for.
  const { MPEGDecoder } = await import("mpg123-decoder");
  const decoder = new MPEGDecoder();
  await decoder.ready;
  const pieces: Float32Array[] = [];
  let rate = 0, count = 0;
  try {
    for (let at = 0; at < file.length; at += PIECE_BYTES) {
      const piece = quietly(() => decoder.decode(file.subarray(at, at + PIECE_BYTES)));
      if (piece.samplesDecoded === 0) continue;
      if (rate !== 0 && piece.sampleRate !== rate) throw mp3("its samples change their rate");
      rate = piece.sampleRate;
      count += piece.samplesDecoded;
      checkLength(count, rate);
      pieces.push(mix(piece.channelData, piece.samplesDecoded));
    }
  } finally {
    decoder.free();
  }
  if (count === 0) throw mp3("none of it can be decoded");
  const values = new Float32Array(count);
  let at = 0;
  for (const piece of pieces) {
    values.set(piece, at);
    at += piece.length;
  }
  return { rate, values };
}

/** The mean of all channels. */
function mix(channels: readonly Float32Array[], count: number): Float32Array {
  const [left, right = left] = channels;
  return Float32Array.from({ length: count }, (_, i) => (left[i] + right[i]) / 2);
}

/** Without what the library writes to the terminal about frames that it cannot decode. */
function quietly<T>(decode: () => T): T {
  const { error } = console;
  console.error = () => {};
  try {
    return decode();
  } finally {
    console.error = error;
  }
}

function mp3(what: string): Error {
  return damaged("an MP3", what);
}
