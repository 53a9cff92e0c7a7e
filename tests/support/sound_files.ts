/** Sound files for tests: WAV of every coding that is read, and files that were kept. */
import { assert } from "@std/assert";
import { corpus } from "./fuzz.ts";

export interface WavOptions {
  readonly values: readonly number[] | Float32Array;
  readonly rate?: number;
  readonly bits?: number;
  readonly channels?: number;
  readonly isFloat?: boolean;
  /** The coding is named further behind, as in files of many channels. */
  readonly isExtensible?: boolean;
  /** What the file says of its sound's bytes; left out: how many there are. */
  readonly size?: number;
}

/** Samples of -1 to 1; of several channels in turns. */
export function writeWav(options: WavOptions): Uint8Array<ArrayBuffer> {
  const { values, rate = 16000, bits = 16, channels = 1, isFloat, isExtensible } = options;
  const bytes = bits / 8, formatBytes = isExtensible ? 40 : 16;
  // A part of odd length is before the sound: what follows it begins at an even place.
  const from = 12 + 8 + formatBytes + 8 + 4 + 8;
  const file = new Uint8Array(from + values.length * bytes);
  const view = new DataView(file.buffer);
  const name = (at: number, text: string) => file.set(new TextEncoder().encode(text), at);
  name(0, "RIFF");
  view.setUint32(4, file.length - 8, true);
  name(8, "WAVEfmt ");
  view.setUint32(16, formatBytes, true);
  const coding = isFloat ? 3 : 1;
  view.setUint16(20, isExtensible ? 0xfffe : coding, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * channels * bytes, true);
  view.setUint16(32, channels * bytes, true);
  view.setUint16(34, bits, true);
  if (isExtensible) view.setUint16(44, coding, true);
  name(20 + formatBytes, "LIST");
  view.setUint32(24 + formatBytes, 3, true);
  name(from - 8, "data");
  view.setUint32(from - 4, options.size ?? values.length * bytes, true);
  values.forEach((value, i) => {
    const at = from + i * bytes;
    if (isFloat) {
      return bits === 32 ? view.setFloat32(at, value, true) : view.setFloat64(at, value, true);
    }
    if (bits === 8) return view.setUint8(at, 128 + Math.round(127 * value));
    const whole = Math.round(value * (2 ** (bits - 1) - 1));
    for (let byte = 0; byte < bytes; byte++) view.setUint8(at + byte, whole >> 8 * byte & 255);
  });
  return file;
}

/** A tone, so many samples long. */
export function tone(samples: number, { hertz = 440, rate = 16000 } = {}): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => Math.sin(2 * Math.PI * hertz * i / rate));
}

/** A file of `tests/corpus/sound`. */
export function soundFile(name: string): Uint8Array {
  const file = corpus("sound").find((each) => each.name === `${name}.bin`);
  assert(file !== undefined, `${name} is there`);
  return file.bytes;
}
