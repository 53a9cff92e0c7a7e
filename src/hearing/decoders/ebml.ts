/** Numbers of EBML (RFC 8794, 4), of as many bytes as the first one has zeros in front and one. */

export interface Vint {
  /** Sizes that are not known have all bits: more bytes than any file. */
  readonly value: number;
  readonly bytes: number;
}

const BYTES_MAX = 8;

/**
 * Null: there is none, or not all of it.
 * @param options.keepsMark with the bit that says how long it is, as names have it.
 */
export function readVint(
  file: Uint8Array,
  at: number,
  { keepsMark = false }: { readonly keepsMark?: boolean } = {},
): Vint | null {
  const first = file[at] ?? 0;
  const bytes = Math.clz32(first) - 23;
  if (bytes > BYTES_MAX || at + bytes > file.length) return null;
  let value = keepsMark ? first : first - (1 << BYTES_MAX - bytes);
  for (let i = 1; i < bytes; i++) value = 256 * value + file[at + i];
  return { value, bytes };
}
