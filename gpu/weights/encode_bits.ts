/**
 * Codes of superblocks whose files have some bits of a code here and others there, put together two
 * bytes at a time: a byte by itself would take minutes of a large model. Where bits lie is told in
 * src/model/quants/dequantize_superblocks.ts; numbers here are words of 16 bits.
 */

/** Words of a block, and where parts of it begin. */
interface PairsLayout {
  readonly blockWords: number;
  /** Of pairs of bits. */
  readonly pairsAt: number;
  /** Of third bits; left out: there are none. */
  readonly thirdAt?: number;
}

/** By type: codes of two or three bits, as 4. */
export const PAIRS: Readonly<Record<string, PairsLayout>> = {
  Q2_K: { blockWords: 42, pairsAt: 8 },
  Q3_K: { blockWords: 55, pairsAt: 16, thirdAt: 0 },
  TQ2_0: { blockWords: 33, pairsAt: 0 },
};

/** Nibbles of blocks of 256, a piece of 32 columns after the other. */
export function joinPairs(
  from: Uint16Array,
  { blockWords, pairsAt, thirdAt }: PairsLayout,
): Uint16Array<ArrayBuffer> {
  const codes = new Uint16Array(from.length / blockWords * 64);
  let to = 0;
  for (let block = 0; block < from.length; block += blockWords) {
    for (let piece = 0; piece < 8; piece++) {
      const first = block + pairsAt + 16 * (piece >> 2);
      const shift = 2 * (piece & 3);
      for (let k = 0; k < 8; k++) {
        let low = from[first + k] >> shift & 0x0303;
        let high = from[first + 8 + k] >> shift & 0x0303;
        if (thirdAt !== undefined) {
          low |= (from[block + thirdAt + k] >> piece & 0x0101) << 2;
          high |= (from[block + thirdAt + 8 + k] >> piece & 0x0101) << 2;
        }
        codes[to++] = low | high << 4;
      }
    }
  }
  return codes;
}

/** Q4_K pairs two blocks of 32 in 32 bytes: their low halves one, their high halves the other. */
export function pairHalves(from: Uint16Array): Uint16Array<ArrayBuffer> {
  const codes = new Uint16Array(from.length / 72 * 64);
  for (let block = 0, to = 0; block < from.length; block += 72, to += 64) {
    for (let pair = 0; pair < 4; pair++) {
      const first = block + 8 + pair * 16;
      const at = to + pair * 16;
      for (let i = 0; i < 8; i++) {
        const front = from[first + i];
        const back = from[first + 8 + i];
        codes[at + i] = front & 0x0f0f | (back & 0x0f0f) << 4;
        codes[at + 8 + i] = front >> 4 & 0x0f0f | back & 0xf0f0;
      }
    }
  }
  return codes;
}

/** Bytes of Q5_K's blocks: nibbles as in Q4_K, and fifth bits. */
export function joinFifths(from: Uint16Array): Uint16Array<ArrayBuffer> {
  const codes = new Uint16Array(from.length / 88 * 128);
  let to = 0;
  for (let block = 0; block < from.length; block += 88) {
    for (let own = 0; own < 8; own++) {
      const nibbles = block + 24 + 16 * (own >> 1);
      const shift = 4 * (own & 1);
      for (let k = 0; k < 16; k++) {
        const fifth = from[block + 8 + k] >> own & 0x0101;
        codes[to++] = from[nibbles + k] >> shift & 0x0f0f | fifth << 4;
      }
    }
  }
  return codes;
}

/** Signed bytes of Q6_K's blocks, less 32: nibbles of 64 bytes each half, and pairs of bits. */
export function joinSixths(from: Uint16Array): Uint16Array<ArrayBuffer> {
  const codes = new Uint16Array(from.length / 105 * 128);
  let to = 0;
  for (let block = 0; block < from.length; block += 105) {
    for (let own = 0; own < 8; own++) {
      const nibbles = block + 32 * (own >> 2) + 16 * (own & 1);
      const pairs = block + 64 + 16 * (own >> 2);
      const shift = 2 * (own & 2);
      const pairShift = 2 * (own & 3);
      for (let k = 0; k < 16; k++) {
        const pair = from[pairs + k] >> pairShift & 0x0303;
        const code = from[nibbles + k] >> shift & 0x0f0f | pair << 4;
        // Byte by byte: nothing is borrowed from a byte's neighbour.
        codes[to++] = (code | 0x8080) - 0x2020 ^ 0x8080;
      }
    }
  }
  return codes;
}
