/**
 * Writes tar archives (POSIX ustar) that are the same bytes for the same files: no times, no
 * owners. Knows nothing of compression.
 */

/** A file of an archive. */
export interface TarEntry {
  /** With forward slashes, at most 100 bytes. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly isExecutable?: boolean;
}

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;

/** The archive in pieces; folders are made by whoever unpacks it. */
export function* tar(entries: Iterable<TarEntry>): Generator<Uint8Array> {
  for (const entry of entries) {
    yield header(entry);
    yield entry.bytes;
    yield new Uint8Array(-entry.bytes.length & (BLOCK_BYTES - 1));
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

function header({ path, bytes, isExecutable }: TarEntry): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  const name = new TextEncoder().encode(path);
  if (name.length > NAME_BYTES) throw new Error(`Cannot archive "${path}": its name is too long`);
  block.set(name);
  const put = (offset: number, text: string) => block.set(new TextEncoder().encode(text), offset);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  put(100, octal(isExecutable ? 0o755 : 0o644, 7));
  put(108, octal(0, 7)); // owner
  put(116, octal(0, 7)); // group
  put(124, octal(bytes.length, 11));
  put(136, octal(0, 11)); // time
  put(148, " ".repeat(8)); // the sum, counted as spaces
  put(156, "0"); // a file
  put(257, "ustar\x0000");
  const sum = block.reduce((all, byte) => all + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}
