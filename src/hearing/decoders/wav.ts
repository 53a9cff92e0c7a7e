/** WAV: chunks of RIFF with whole numbers of 8 to 32 bits, or floats. */
import { checkLength } from "../limits.ts";
import { damaged } from "../sound_error.ts";
import type { Samples } from "../types.ts";

const CHUNKS_FROM = 12;
const CHANNELS_MAX = 64;
const RATE_MIN = 1_000;
const RATE_MAX = 384_000;

const INTEGERS = 1;
const FLOATS = 3;
/** What it is stands further behind. */
const EXTENSIBLE = 0xfffe;

/** No file is as long: writers leave such sizes (or 0) which do not know the end yet. */
const OPEN_SIZE_MIN = 0x7ff00000;

interface Format {
  readonly isFloat: boolean;
  readonly channels: number;
  readonly rate: number;
  readonly bits: number;
}

/** @throws {RequestError} 400 when it is damaged, of a coding that is not read, or too long. */
export function decodeWav(file: Uint8Array): Samples {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let format: Format | null = null;
  for (let at = CHUNKS_FROM; at + 8 <= file.length;) {
    const name = nameAt(file, at);
    const size = view.getUint32(at + 4, true);
    const from = at + 8, left = file.length - from;
    if (name === "data") {
      if (format === null) throw wav("its sound comes before what it is");
      const isOpen = size >= OPEN_SIZE_MIN || size === 0 && !isChunk(view, from);
      if (!isOpen && size > left) throw wav(`ends ${size - left} bytes before its sound does`);
      return mix(view, format, { from, size: isOpen ? left : size });
    }
    if (size > left) throw wav(`ends within a part of ${size} bytes`);
    if (name === "fmt ") format = readFormat(view, from, size);
    // Chunks begin at even places.
    at = from + size + size % 2;
  }
  throw wav("has no sound in it");
}

/** Whether what is left is one more chunk, and no sound. */
function isChunk(view: DataView, at: number): boolean {
  if (at + 8 > view.byteLength) return false;
  const size = view.getUint32(at + 4, true);
  return at + 8 + size + size % 2 === view.byteLength;
}

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16) throw wav(`says in ${size} bytes what it is, which takes 16`);
  const named = view.getUint16(at, true);
  const coding = named === EXTENSIBLE && size >= 26 ? view.getUint16(at + 24, true) : named;
  const channels = view.getUint16(at + 2, true), rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  const isFloat = coding === FLOATS;
  const known = isFloat ? [32, 64] : coding === INTEGERS ? [8, 16, 24, 32] : [];
  if (!known.includes(bits)) {
    throw wav(`is coded as ${coding} with ${bits} bits, where whole numbers or floats are read`);
  }
  if (channels < 1 || channels > CHANNELS_MAX) throw wav(`has ${channels} channels`);
  if (rate < RATE_MIN || rate > RATE_MAX) throw wav(`has ${rate} samples a second`);
  if (view.getUint16(at + 12, true) !== channels * bits / 8) {
    throw wav("says that its samples are of another size than its channels");
  }
  return { isFloat, channels, rate, bits };
}

/** The mean of all channels. */
function mix(
  view: DataView,
  { isFloat, channels, rate, bits }: Format,
  { from, size }: { readonly from: number; readonly size: number },
): Samples {
  const bytes = bits / 8;
  const count = Math.floor(size / (bytes * channels));
  checkLength(count, rate);
  const read = readerOf(isFloat, bits);
  const values = new Float32Array(count);
  for (let i = 0, at = from; i < count; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += read(view, at);
    values[i] = sum / channels;
  }
  return { rate, values };
}

/** Whole numbers become -1 to 1; those of 8 bits have no sign. */
function readerOf(isFloat: boolean, bits: number): (view: DataView, at: number) => number {
  if (isFloat) {
    return bits === 32
      ? (view, at) => view.getFloat32(at, true)
      : (view, at) => view.getFloat64(at, true);
  }
  switch (bits) {
    case 8:
      return (view, at) => (view.getUint8(at) - 128) / 128;
    case 16:
      return (view, at) => view.getInt16(at, true) / 2 ** 15;
    case 24:
      return (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 2 ** 23;
    default:
      return (view, at) => view.getInt32(at, true) / 2 ** 31;
  }
}

function nameAt(file: Uint8Array, at: number): string {
  return String.fromCharCode(...file.subarray(at, at + 4));
}

function wav(what: string): Error {
  return damaged("a WAV", `it ${what}`);
}
