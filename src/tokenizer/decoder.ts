/** Ids to text, all at once or one at a time. */
import type { StreamDecoder } from "./types.ts";

/** Where a decoder gets bytes from. */
export interface TokenBytes {
  /** The bytes of `id` in text; none for what does not appear in it. */
  bytesOf(id: number): Uint8Array;
  /** Whether encoding put a space before the text, which decoding takes away again. */
  readonly addsSpacePrefix: boolean;
}

const SPACE = 0x20;

/** Decodes a whole sequence; `hiddenBytesOf` says what stands for tokens that have no bytes. */
export function decodeIds(
  ids: readonly number[],
  source: TokenBytes,
  hiddenBytesOf: (id: number) => Uint8Array,
): string {
  let bytes = new Uint8Array(Math.max(64, 8 * ids.length));
  let length = 0;
  let dropsSpace = source.addsSpacePrefix;
  for (const id of ids) {
    let piece = source.bytesOf(id);
    if (piece.length === 0) {
      piece = hiddenBytesOf(id);
    } else {
      if (dropsSpace && piece[0] === SPACE) piece = piece.subarray(1);
      dropsSpace = false;
    }
    if (length + piece.length > bytes.length) bytes = grown(bytes, 2 * (length + piece.length));
    bytes.set(piece, length);
    length += piece.length;
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, length));
}

function grown(bytes: Uint8Array, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(sizeBytes);
  larger.set(bytes);
  return larger;
}

/** A decoder that holds back what is not a whole code point yet. */
export class Utf8StreamDecoder implements StreamDecoder {
  readonly #source: TokenBytes;
  readonly #utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  #dropsSpace: boolean;

  /** With `atStart`, the space before the text is taken away as `decodeIds` does. */
  constructor(source: TokenBytes, atStart: boolean) {
    this.#source = source;
    this.#dropsSpace = atStart && source.addsSpacePrefix;
  }

  push(id: number): string {
    const bytes = this.#source.bytesOf(id);
    if (bytes.length === 0) return "";
    const begin = this.#dropsSpace && bytes[0] === SPACE ? 1 : 0;
    this.#dropsSpace = false;
    return this.#utf8.decode(bytes.subarray(begin), { stream: true });
  }

  flush(): string {
    return this.#utf8.decode();
  }
}
