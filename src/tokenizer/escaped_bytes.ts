/**
 * Bytes as RWKV's vocabularies spell them: printable ASCII as it is, the rest as Python shows
 * bytes: "\n", "\x00", "\\".
 */

const BACKSLASH = 0x5c;
/** By letter, what it stands for behind a backslash; others stand for themselves. */
const ESCAPES: ReadonlyMap<number, number> = new Map([
  [0x74, 0x09],
  [0x6e, 0x0a],
  [0x72, 0x0d],
]);
const HEX_LETTER = 0x78;

/**
 * Writes to `out` what `text` spells; what ends within an escape ends there.
 * @returns how many bytes it is, no more than `text` has.
 */
export function readEscaped(text: Uint8Array, out: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== BACKSLASH) out[count++] = text[i];
    else if (++i < text.length) {
      const letter = text[i];
      const byte = letter === HEX_LETTER ? hexByte(text, i + 1) : -1;
      if (byte >= 0) i += 2;
      out[count++] = byte >= 0 ? byte : ESCAPES.get(letter) ?? letter;
    }
  }
  return count;
}

/** The byte that two hexadecimal digits at `at` name, or -1. */
function hexByte(text: Uint8Array, at: number): number {
  if (at + 2 > text.length) return -1;
  const [high, low] = [hexDigit(text[at]), hexDigit(text[at + 1])];
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/** The value of a hexadecimal digit's character, or -1. */
export function hexDigit(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  if (character >= 0x41 && character <= 0x46) return character - 0x37;
  return character >= 0x61 && character <= 0x66 ? character - 0x57 : -1;
}
