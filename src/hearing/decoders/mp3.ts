/**
 * MP3 by mpg123, compiled to WebAssembly: what goes wrong in it stays in it. Each sound gets an
 * instance of its own, whose memory goes with it.
 */
import { checkLength } from "../limits.ts";
import { damaged } from "../sound_error.ts";
import type { Samples } from "../types.ts";

/**
 * Of a file, decoded at once, a frame or two: a piece has one rate, so a file that changes its own
 * is noticed, and so many more bytes of a long one are not begun with.
 */
const PIECE_BYTES = 1 << 10;

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
  const mixed = new Float32Array(count);
  for (let i = 0; i < count; i++) mixed[i] = (left[i] + right[i]) / 2;
  return mixed;
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
