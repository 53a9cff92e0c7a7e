/** FLAC: frames of blocks, each channel predicted from its own past, the rest in Rice code. */
import { damaged } from "../sound_error.ts";
import { SOUND_NAMES } from "../sound_kind.ts";
import type { Samples } from "../types.ts";
import { BitReader } from "./bit_reader.ts";
import { readSubframe } from "./flac_subframe.ts";
import { SampleList } from "./sample_list.ts";

const STREAM_INFO = 0;
const STREAM_INFO_BYTES = 34;
const BITS_MIN = 4;
/** More are possible, and need sums that numbers cannot hold. */
const BITS_MAX = 24;
const RATE_MIN = 1_000;
/** Fourteen bits, and one that is kept free. */
const SYNC = 0x7ffc;

/** What all frames have in common. */
interface Stream {
  readonly rate: number;
  readonly channels: number;
  readonly bits: number;
  /** Samples of a channel; 0: the file does not say. */
  readonly total: number;
}

/** How two channels are said by their difference. */
const LEFT_SIDE = 8, SIDE_RIGHT = 9, MIDDLE_SIDE = 10;

/** @throws {RequestError} 400 when it is damaged, of a kind that is not read, or too long. */
export function decodeFlac(file: Uint8Array): Samples {
  const bits = new BitReader(file, flac);
  const stream = readHead(file, bits);
  const { rate, total } = stream;
  const samples = new SampleList(rate);
  while (bits.bytesLeft >= 2 && bits.peek(15) === SYNC) readFrame(bits, stream, samples);
  if (samples.count >= total) return { rate, values: samples.take(total) };
  throw flac(`it ends ${total - samples.count} samples before its sound does`);
}

function readHead(file: Uint8Array, bits: BitReader): Stream {
  bits.skipBytes(4);
  let stream: Stream | null = null;
  for (let isLast = false; !isLast;) {
    isLast = bits.read(1) === 1;
    const kind = bits.read(7), size = bits.read(24);
    if (size > bits.bytesLeft) throw flac(`it ends within a part of ${size} bytes`);
    if (kind === STREAM_INFO) {
      if (size < STREAM_INFO_BYTES) throw flac(`it says in ${size} bytes what it is`);
      stream = readInfo(new BitReader(file.subarray(bits.byte, bits.byte + size), flac));
    }
    bits.skipBytes(size);
  }
  if (stream === null) throw flac("it does not say what it is");
  return stream;
}

function readInfo(bits: BitReader): Stream {
  // Sizes of blocks and frames, which each frame has itself.
  bits.skipBytes(10);
  const rate = bits.read(20), channels = bits.read(3) + 1, bitCount = bits.read(5) + 1;
  const total = bits.read(4) * 2 ** 32 + bits.read(32);
  if (rate < RATE_MIN) throw flac(`it has ${rate} samples a second`);
  if (bitCount < BITS_MIN || bitCount > BITS_MAX) {
    throw flac(`its samples have ${bitCount} bits, where ${BITS_MIN} to ${BITS_MAX} are read`);
  }
  return { rate, channels, bits: bitCount, total };
}

function readFrame(bits: BitReader, stream: Stream, samples: SampleList): void {
  const from = bits.byte;
  bits.read(16);
  const sizeCode = bits.read(4), rateCode = bits.read(4), assignment = bits.read(4);
  bits.read(4);
  skipNumber(bits);
  const count = blockSize(bits, sizeCode);
  if (rateCode === 15) throw flac("a frame of it has no rate");
  bits.read(rateCode === 12 ? 8 : rateCode > 12 ? 16 : 0);
  // Its sum over the head; that at the end is over all of the frame.
  bits.read(8);
  const isPair = assignment >= LEFT_SIDE;
  const channels = isPair ? 2 : assignment + 1;
  if (channels !== stream.channels || assignment > MIDDLE_SIDE) {
    throw flac(`a frame of it has other channels than the ${stream.channels} of the file`);
  }
  // Room before anything of it is decoded: a few bytes may say that they are 65,535 samples.
  const mixed = samples.grow(count);
  const scale = 1 / (channels * 2 ** (stream.bits - 1));
  const first = new Float64Array(count);
  const second = isPair ? new Float64Array(count) : first;
  for (let channel = 0; channel < channels; channel++) {
    const isSide = channel === (assignment === SIDE_RIGHT ? 0 : 1) && isPair;
    const values = channel === 1 ? second : first;
    readSubframe(bits, values, stream.bits + (isSide ? 1 : 0));
    if (isPair) continue;
    for (let i = 0; i < count; i++) mixed[i] += values[i] * scale;
  }
  if (isPair) mixPair(mixed, { first, second, assignment, scale });
  bits.align();
  const sum = frameSum(bits, from);
  if (bits.read(16) !== sum) throw flac(`the frame at byte ${from} is not what was written`);
}

/** The mean of both: of a middle, and of either channel with the difference. */
function mixPair(
  mixed: Float32Array,
  { first, second, assignment, scale }: {
    readonly first: Float64Array;
    readonly second: Float64Array;
    readonly assignment: number;
    readonly scale: number;
  },
): void {
  for (let i = 0; i < mixed.length; i++) {
    const a = first[i], b = second[i];
    // A middle has lost the last bit of the sum, which is that of the difference.
    const sum = assignment === LEFT_SIDE
      ? 2 * a - b
      : assignment === SIDE_RIGHT
      ? 2 * b + a
      : 2 * a + Math.abs(b % 2);
    mixed[i] = sum * scale;
  }
}

/** The frame's number, in as many bytes as its first one has ones. */
function skipNumber(bits: BitReader): void {
  let ones = 0;
  for (let byte = bits.read(8); (byte & 0x80) !== 0; byte = byte << 1 & 0xff) ones++;
  if (ones === 1 || ones > 7) throw flac("a frame of it has no number");
  if (ones > 1) bits.skipBytes(ones - 1);
}

function blockSize(bits: BitReader, code: number): number {
  if (code === 0) throw flac("a frame of it has no size");
  if (code === 1) return 192;
  if (code < 6) return 576 << code - 2;
  if (code < 8) return bits.read(code === 6 ? 8 : 16) + 1;
  return 256 << code - 8;
}

/** CRC-16 of x^16 + x^15 + x^2 + 1 over a frame, up to where is read. */
function frameSum(bits: BitReader, from: number): number {
  const { bytes, byte: end } = bits;
  let sum = 0;
  for (let at = from; at < end; at++) sum = (sum << 8 & 0xffff) ^ SUMS[sum >> 8 ^ bytes[at]];
  return sum;
}

const SUMS = Uint16Array.from({ length: 256 }, (_, byte) => {
  let sum = byte << 8;
  for (let bit = 0; bit < 8; bit++) sum = sum << 1 ^ (sum & 0x8000 ? 0x8005 : 0);
  return sum & 0xffff;
});

function flac(what: string): Error {
  return damaged(SOUND_NAMES.flac, what);
}
