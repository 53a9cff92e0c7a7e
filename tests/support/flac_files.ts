/** FLAC written bit by bit: what encoders seldom write, and what they never would. */

/** A number of so many bits, the highest first. */
export type Bits = readonly [value: number, count: number];

export interface FlacOptions {
  readonly rate?: number;
  readonly channels?: number;
  readonly bits?: number;
  /** Of the file; 0: it does not say. */
  readonly total?: number;
  readonly frames: readonly FlacFrame[];
}

export interface FlacFrame {
  /** Samples, 1 to 65536. */
  readonly count: number;
  /** Channels less one, or how two of them are said by their difference. */
  readonly assignment?: number;
  readonly subframes: readonly (readonly Bits[])[];
  /** What is wrong about its sum. */
  readonly wrong?: number;
}

export function writeFlac(
  { rate = 16000, channels = 1, bits = 16, total = 0, frames }: FlacOptions,
): Uint8Array<ArrayBuffer> {
  const info: Bits[] = [[0, 16], [0, 16], [0, 24], [0, 24], [rate, 20], [channels - 1, 3]];
  info.push([bits - 1, 5], [Math.floor(total / 2 ** 32), 4], [total >>> 0, 32]);
  const head = [...pack([[0x664c6143, 32], [0x80, 8], [34, 24], ...info]), ...Array(16).fill(0)];
  return Uint8Array.from([...head, ...frames.flatMap(writeFrame)]);
}

function writeFrame({ count, assignment = 0, subframes, wrong = 0 }: FlacFrame): number[] {
  const head: Bits[] = [[0xfff8, 16], [0x70, 8], [assignment, 4], [0, 4], [0, 8]];
  const frame = pack([...head, [count - 1, 16], [0, 8], ...subframes.flat()]);
  let sum = 0;
  for (const byte of frame) {
    for (let bit = 7; bit >= 0; bit--) {
      const isSet = (sum >> 15 ^ byte >> bit) & 1;
      sum = sum << 1 & 0xffff ^ (isSet ? 0x8005 : 0);
    }
  }
  return [...frame, sum >> 8, (sum & 255) ^ wrong];
}

/** Bytes of them; the last one is filled with zeros. */
export function pack(bits: readonly Bits[]): number[] {
  const bytes: number[] = [];
  let open = 0, count = 0;
  for (const [value, length] of bits) {
    for (let bit = length - 1; bit >= 0; bit--) {
      open = open << 1 | value >> bit & 1;
      if (++count % 8 !== 0) continue;
      bytes.push(open);
      open = 0;
    }
  }
  return count % 8 === 0 ? bytes : [...bytes, open << 8 - count % 8];
}

/** A channel of the same value. */
export const constant = (value: number, bits = 16): Bits[] => [[0, 8], [value, bits]];

/** A channel of values as they are; the last so many bits of all of them are zeros. */
export function verbatim(values: readonly number[], bits = 16, wasted = 0): Bits[] {
  const head: Bits[] = wasted === 0 ? [[2, 8]] : [[3, 8], [1, wasted]];
  return [...head, ...values.map((value): Bits => [value >> wasted, bits - wasted])];
}
