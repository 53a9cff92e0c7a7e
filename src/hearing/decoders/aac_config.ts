/** What a file says of its AAC before the frames (ISO/IEC 14496-3, 1.6.2.1). */
import { unknown } from "../sound_error.ts";
import { RATES } from "./aac/bands.ts";
import type { BitReader } from "./bit_reader.ts";

const LOW_COMPLEXITY = 2;
/** HE-AAC: what follows is AAC-LC, at half the rate. */
const SPECTRAL_BANDS = 5, PARAMETRIC_STEREO = 29;
const RATE_MIN = 1_000;
/** No list has more; to bring what numbers of 24 bits may say to 16 kHz takes seconds. */
const RATE_MAX = 96_000;

/** What is not read, as a sentence has it. */
const UNREAD: Readonly<Record<number, string>> = {
  1: "AAC Main",
  3: "AAC SSR",
  4: "AAC LTP",
  6: "scalable AAC",
  17: "error resilient AAC",
  19: "error resilient AAC",
  23: "AAC-LD",
  34: "MP3",
  36: "ALS",
  39: "AAC-ELD",
  42: "xHE-AAC",
};

/** @returns samples of a second, of AAC-LC's part. */
export function readAacRate(bits: BitReader): number {
  let kind = readKind(bits);
  const rate = readRate(bits);
  bits.read(4);
  if (kind === SPECTRAL_BANDS || kind === PARAMETRIC_STEREO) {
    readRate(bits);
    kind = readKind(bits);
  }
  if (kind !== LOW_COMPLEXITY) {
    throw unknown(
      `its file is an MP4 of ${UNREAD[kind] ?? `audio object ${kind}`}, which is not read`,
    );
  }
  if (bits.read(1) === 1) {
    throw unknown("its file is an MP4 of AAC in frames of 960 samples, which is not read");
  }
  if (rate < RATE_MIN || rate > RATE_MAX) throw bits.damaged(`it has ${rate} samples a second`);
  return rate;
}

function readKind(bits: BitReader): number {
  const kind = bits.read(5);
  return kind === 31 ? 32 + bits.read(6) : kind;
}

function readRate(bits: BitReader): number {
  const place = bits.read(4);
  return place === 15 ? bits.read(24) : RATES[place] ?? 0;
}
