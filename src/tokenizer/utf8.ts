/** UTF-8, as far as counting bytes goes. */

/** Bytes of the character that begins with `leadByte`; 1 where no character begins with it. */
export function utf8Length(leadByte: number): number {
  if (leadByte < 0xc0) return 1;
  if (leadByte < 0xe0) return 2;
  return leadByte < 0xf0 ? 3 : 4;
}
