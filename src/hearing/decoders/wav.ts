/** WAV: chunks of RIFF with whole numbers of up to 32 bits, floats, or a telephone's bytes. */
import { checkLength } from "../limits.ts";
import { damaged } from "../sound_error.ts";
import type { Samples } from "../types.ts";
import { A_LAW, MU_LAW } from "./g711.ts";

const CHUNKS_FROM = 12;
const CHANNELS_MAX = 64;
const RATE_MIN = 1_000;
const RATE_MAX = 384_000;

/** Numbers of codings. */
const INTEGERS = 1;
const FLOATS = 3;
const A_LAW_BYTES = 6;
const MU_LAW_BYTES = 7;
/** What it is stands further behind. */
const EXTENSIBLE = 0xfffe;

/** Bits of a sample that codings may have; of whole numbers they fill their bytes from above. */
const BITS: Readonly<Record<number, (bits: number) => boolean>> = {
  [INTEGERS]: (bits) => bits >= 1 && bits <= 32,
  [FLOATS]: (bits) => bits === 32 || bits === 64,
  [A_LAW_BYTES]: (bits) => bits === 8,
  [MU_LAW_BYTES]: (bits) => bits === 8,
};

/** What people have that is not read, as a sentence has it. */
const UNREAD: Readonly<Record<number, string>> = {
  0x02: "ADPCM",
  0x11: "ADPCM",
  0x31: "GSM",
  0x50: "MP2",
  0x55: "MP3",
  0xff: "AAC",
};

/** No file is as long: writers leave such sizes (or 0) which do not know the end yet. */
const OPEN_SIZE_MIN = 0x7ff00000;
/** Of RF64: a size that its chunk `ds64` says. */
const LONG_SIZE = 0xffffffff;
/** Files have a handful. */
const CHUNKS_MAX = 1000;

interface Format {
  readonly coding: number;
  readonly channels: number;
  readonly rate: number;
  /** Of a sample of a channel. */
  readonly bytes: number;
}

/** @throws {RequestError} 400 when it is damaged, of a coding that is not read, or too long. */
export function decodeWav(file: Uint8Array): Samples {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  let format: Format | null = null;
  let longSize: number | null = null;
  for (let at = CHUNKS_FROM, count = 0; at + 8 <= file.length;) {
    if (++count > CHUNKS_MAX) throw wav(`has more than ${CHUNKS_MAX} parts`);
    const name = nameAt(file, at);
    const size = view.getUint32(at + 4, true);
    const from = at + 8, left = file.length - from;
    if (name === "data") {
      if (format === null) throw wav("its sound comes before what it is");
      const known = size === LONG_SIZE ? longSize ?? size : size;
      const isOpen = known >= OPEN_SIZE_MIN || known === 0 && !areChunks(view, from);
      if (!isOpen && known > left) throw wav(`ends ${known - left} bytes before its sound does`);
      return mix(view, format, { from, size: isOpen ? left : known });
    }
    if (size > left) throw wav(`ends within a part of ${size} bytes`);
    if (name === "fmt ") format = readFormat(view, from, size);
    if (name === "ds64" && size >= 16) longSize = Number(view.getBigUint64(from + 8, true));
    // Chunks begin at even places.
    at = from + size + size % 2;
  }
  throw wav("has no sound in it");
}

/** Whether what is left is more chunks, to the end of the file, and no sound. */
function areChunks(view: DataView, first: number): boolean {
  let at = first;
  for (let count = 0; at + 8 <= view.byteLength && count < CHUNKS_MAX; count++) {
    const size = view.getUint32(at + 4, true);
    at += 8 + size + size % 2;
  }
  return at > first && at === view.byteLength;
}

function readFormat(view: DataView, at: number, size: number): Format {
  if (size < 16) throw wav(`says in ${size} bytes what it is, which takes 16`);
  const named = view.getUint16(at, true);
  const coding = named === EXTENSIBLE && size >= 26 ? view.getUint16(at + 24, true) : named;
  const channels = view.getUint16(at + 2, true), rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  if (!BITS[coding]?.(bits)) {
    const name = UNREAD[coding] ?? `${coding}`;
    throw wav(
      `is coded as ${name} with ${bits} bits, where whole numbers, floats, µ-law and A-law are ` +
        "read",
    );
  }
  const bytes = Math.ceil(bits / 8);
  if (channels < 1 || channels > CHANNELS_MAX) throw wav(`has ${channels} channels`);
  if (rate < RATE_MIN || rate > RATE_MAX) throw wav(`has ${rate} samples a second`);
  if (view.getUint16(at + 12, true) !== channels * bytes) {
    throw wav("says that its samples are of another size than its channels");
  }
  return { coding, channels, rate, bytes };
}

/** The mean of all channels. */
function mix(
  view: DataView,
  { coding, channels, rate, bytes }: Format,
  { from, size }: { readonly from: number; readonly size: number },
): Samples {
  const count = Math.floor(size / (bytes * channels));
  checkLength(count, rate);
  const read = readerOf(coding, bytes);
  const values = new Float32Array(count);
  for (let i = 0, at = from; i < count; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += read(view, at);
    values[i] = sum / channels;
  }
  return { rate, values };
}

/** Whole numbers become -1 to 1; those of one byte have no sign. */
function readerOf(coding: number, bytes: number): (view: DataView, at: number) => number {
  if (coding === FLOATS) {
    return bytes === 4
      ? (view, at) => view.getFloat32(at, true)
      : (view, at) => view.getFloat64(at, true);
  }
  if (coding !== INTEGERS) {
    const values = coding === A_LAW_BYTES ? A_LAW : MU_LAW;
    return (view, at) => values[view.getUint8(at)];
  }
  switch (bytes) {
    case 1:
      return (view, at) => (view.getUint8(at) - 128) / 128;
    case 2:
      return (view, at) => view.getInt16(at, true) / 2 ** 15;
    case 3:
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
