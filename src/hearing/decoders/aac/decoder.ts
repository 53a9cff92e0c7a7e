/**
 * AAC-LC: frames to samples (ISO/IEC 14496-3, 4). Of HE-AAC it decodes what AAC-LC has of it, the
 * lower half of its frequencies: the rest is in parts that are passed over. Knows no files.
 */
import type { BitReader } from "../bit_reader.ts";
import { type Bands, bandsOf, LONG } from "./bands.ts";
import { type Channel, readChannel } from "./channel.ts";
import { readLayout } from "./layout.ts";
import { addNoise, joinPair, readMask } from "./pairs.ts";
import { Random } from "./random.ts";
import { applyTns } from "./tns.ts";
import { type Overlap, Windows } from "./windows.ts";

/** Kinds of a frame's parts. */
const SINGLE = 0, PAIR = 1, COUPLING = 2, DEEP = 3, DATA = 4, PROGRAM = 5, FILL = 6, END = 7;

/** Those of 7.1, twice. */
const CHANNELS_MAX = 16;
/** What the loudest sample of 16 bits is. */
const FULL = 2 ** 15;

export class AacDecoder {
  readonly #bands: Bands;
  readonly #windows = new Windows();
  readonly #random = new Random();
  /** By a channel's place in frames. */
  readonly #overlaps: Overlap[] = [];
  readonly #sum = new Float64Array(LONG);

  constructor(rate: number) {
    this.#bands = bandsOf(rate);
  }

  /**
   * The next frame's samples, the mean of its channels, into `mixed`, [LONG].
   * @throws {Error} what `bits` calls damaged.
   */
  decode(bits: BitReader, mixed: Float32Array): void {
    this.#sum.fill(0);
    let channels = 0;
    for (let kind = bits.read(3); kind !== END; kind = bits.read(3)) {
      const own = kind === SINGLE || kind === DEEP ? 1 : kind === PAIR ? 2 : 0;
      if (channels + own > CHANNELS_MAX) {
        throw bits.damaged(`a frame of it has more than ${CHANNELS_MAX} channels`);
      }
      if (own === 0) skipPart(bits, kind);
      else this.#part(bits, channels, own);
      channels += own;
    }
    if (channels === 0) throw bits.damaged("a frame of it has no channel");
    bits.align();
    const scale = 1 / (FULL * channels);
    for (let i = 0; i < LONG; i++) mixed[i] = scale * this.#sum[i];
  }

  #part(bits: BitReader, place: number, count: number): void {
    bits.read(4);
    const shared = count === 2 && bits.read(1) === 1 ? readLayout(bits, this.#bands) : null;
    const mask = shared && readMask(bits, shared);
    const channels: Channel[] = [];
    for (let i = 0; i < count; i++) {
      const channel = readChannel(bits, this.#bands, shared);
      addNoise(channel, this.#random);
      channels.push(channel);
    }
    if (count === 2) joinPair(channels[0], channels[1], mask);
    channels.forEach(({ spectrum, layout, filters }, i) => {
      applyTns(spectrum, filters);
      const overlap = this.#overlaps[place + i] ??= { samples: new Float64Array(LONG), shape: 0 };
      this.#windows.add(spectrum, layout, overlap, this.#sum);
    });
  }
}

/** Parts without a sound of their own. */
function skipPart(bits: BitReader, kind: number): void {
  switch (kind) {
    case COUPLING:
      throw bits.damaged("it has coupling channels, which are not read");
    case DATA: {
      bits.read(4);
      const isAligned = bits.read(1) === 1;
      const count = bits.read(8);
      const all = count < 255 ? count : count + bits.read(8);
      if (isAligned) bits.align();
      return bits.skipBytes(all);
    }
    case PROGRAM:
      return skipProgram(bits);
    case FILL: {
      const count = bits.read(4);
      return bits.skipBytes(count < 15 ? count : count - 1 + bits.read(8));
    }
  }
}

/** Which channels are where, and a comment; all are mixed anyway. */
function skipProgram(bits: BitReader): void {
  bits.read(4 + 2 + 4);
  const front = bits.read(4), side = bits.read(4), back = bits.read(4);
  const deep = bits.read(2), data = bits.read(3), coupled = bits.read(4);
  for (const mixBits of [4, 4, 3]) if (bits.read(1) === 1) bits.read(mixBits);
  for (let i = 0; i < front + side + back + coupled; i++) bits.read(5);
  for (let i = 0; i < deep + data; i++) bits.read(4);
  bits.align();
  bits.skipBytes(bits.read(8));
}
