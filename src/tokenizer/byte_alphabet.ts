/**
 * GPT-2's alphabet of 256 printable characters, one for each byte: how byte-level BPE vocabularies
 * spell bytes in text. Printable Latin-1 characters stand for themselves, all other bytes for
 * U+0100 and up, in order.
 */

const BYTE_OF_CHARACTER = alphabet();

/**
 * Reads `text`, UTF-8 of characters of the alphabet, as the bytes they stand for.
 * @returns how many bytes were put at `out[at]` and after, or -1 when a character is none of the
 *   alphabet.
 */
export function fromByteAlphabet(text: Uint8Array, out: Uint8Array, at: number): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    let character = text[i];
    if (character >= 0x80) {
      const second = ++i < text.length ? text[i] : 0;
      // All characters of the alphabet have at most two bytes; C2 to C5 begin those up to U+017F.
      if (character < 0xc2 || character > 0xc5 || (second & 0xc0) !== 0x80) return -1;
      character = ((character & 0x1f) << 6) | (second & 0x3f);
    }
    const byte = BYTE_OF_CHARACTER[character];
    if (byte < 0) return -1;
    out[at + count++] = byte;
  }
  return count;
}

/** Bytes by character, -1 where a character is none of the alphabet. */
function alphabet(): Int16Array {
  const byteOf = new Int16Array(0x180).fill(-1);
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) byteOf[isPrintable(byte) ? byte : next++] = byte;
  return byteOf;
}

function isPrintable(latin1: number): boolean {
  return (latin1 >= 0x21 && latin1 <= 0x7e) || (latin1 >= 0xa1 && latin1 !== 0xad);
}
