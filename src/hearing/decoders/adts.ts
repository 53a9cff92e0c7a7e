/** AAC as it is sent, frame by frame (ADTS, ISO/IEC 14496-3, 1.A.3): files called .aac. */
import { damaged, unknown } from "../sound_error.ts";
import { has, SOUND_NAMES, tagBytes } from "../sound_kind.ts";
import type { Samples } from "../types.ts";
import { LONG, RATES } from "./aac/bands.ts";
import { AacDecoder } from "./aac/decoder.ts";
import { BitReader } from "./bit_reader.ts";
import { SampleList } from "./sample_list.ts";

const SYNC = 0xfff;
const HEAD_BYTES = 7;
/** What frames say that they are: AAC-LC among others. */
const PROFILES = ["AAC Main", "AAC-LC", "AAC SSR", "AAC LTP"] as const;
const LOW_COMPLEXITY = 1;

interface Frame {
  readonly rate: number;
  /** Blocks of samples. */
  readonly blocks: number;
  readonly hasSums: boolean;
  /** Of all of it, its head included. */
  readonly bytes: number;
}

/** @throws {RequestError} 400 when it is damaged, no AAC-LC, or too long. */
export function decodeAdts(file: Uint8Array): Samples {
  let at = tagBytes(file);
  const { rate } = readHead(new BitReader(file.subarray(at), adts), at);
  const samples = new SampleList(rate);
  const decoder = new AacDecoder(rate);
  while (at < file.length && !has(file, at, "TAG")) {
    const bits = new BitReader(file.subarray(at), adts);
    const frame = readHead(bits, at);
    if (frame.rate !== rate) throw adts("its samples change their rate");
    if (frame.bytes > file.length - at) throw adts("it ends within its sound");
    const own = new BitReader(file.subarray(at + bits.byte, at + frame.bytes), adts);
    // Sums are not looked at; of several blocks each has one of its own, and all have places.
    if (frame.hasSums) own.skipBytes(2 * frame.blocks);
    for (let block = 0; block < frame.blocks; block++) {
      decoder.decode(own, samples.grow(LONG));
      if (frame.hasSums && frame.blocks > 1) own.skipBytes(2);
    }
    at += frame.bytes;
  }
  return { rate, values: samples.take() };
}

function readHead(bits: BitReader, at: number): Frame {
  const isFrame = bits.bytesLeft >= HEAD_BYTES && bits.read(12) === SYNC;
  // Behind which version it is: a layer, which is 0.
  if (!isFrame || (bits.read(3) & 3) !== 0) throw adts(`there is no frame at byte ${at}`);
  const hasSums = bits.read(1) === 0;
  const profile = bits.read(2), rate = RATES[bits.read(4)];
  if (profile !== LOW_COMPLEXITY) {
    throw unknown(`its file is ${PROFILES[profile]}, which is not read`);
  }
  if (rate === undefined) throw adts("a frame of it has no rate");
  bits.read(8);
  const bytes = bits.read(13);
  bits.read(11);
  const blocks = bits.read(2) + 1;
  if (bytes <= HEAD_BYTES) throw adts(`the frame at byte ${at} has ${bytes} bytes`);
  return { rate, blocks, hasSums, bytes };
}

function adts(what: string): Error {
  return damaged(SOUND_NAMES.aac, what);
}
