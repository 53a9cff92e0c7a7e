/**
 * Checksums of a packed file: a CRC-32 (IEEE) of each MiB of it and of the rest, u32 each, and
 * behind them one of their own bytes. Any flipped bit shows, those of the checksums included.
 */
import { crc32 } from "../base/crc32.ts";
import { divCeil } from "../base/check.ts";
import { MiB } from "../base/units.ts";

/** Bytes that one checksum is of. */
export const CHUNK_BYTES = MiB;

/** Checksums of so many bytes. */
export function chunkCount(sizeBytes: number): number {
  return divCeil(sizeBytes, CHUNK_BYTES);
}

/** Bytes that so many checksums take in a file. */
export function sumsBytes(chunks: number): number {
  return 4 * (chunks + 1);
}

/** Sums up bytes that come in pieces, from the beginning of a file. */
export class ChunkSums {
  readonly #done: number[] = [];
  /** Of the chunk that has begun. */
  #sum = 0;
  #bytes = 0;

  add(bytes: Uint8Array): void {
    for (let begin = 0; begin < bytes.length;) {
      const end = Math.min(bytes.length, begin + CHUNK_BYTES - this.#bytes);
      this.#sum = crc32(bytes.subarray(begin, end), this.#sum);
      this.#bytes += end - begin;
      begin = end;
      if (this.#bytes === CHUNK_BYTES) this.#close();
    }
  }

  /** The same so far, to go on from here twice. */
  clone(): ChunkSums {
    const copy = new ChunkSums();
    for (const sum of this.#done) copy.#done.push(sum);
    copy.#sum = this.#sum;
    copy.#bytes = this.#bytes;
    return copy;
  }

  /** The checksums as a file has them; nothing can be added any more. */
  encode(): Uint8Array<ArrayBuffer> {
    if (this.#bytes > 0) this.#close();
    const bytes = new Uint8Array(sumsBytes(this.#done.length));
    const view = new DataView(bytes.buffer);
    this.#done.forEach((sum, index) => view.setUint32(4 * index, sum, true));
    const own = bytes.length - 4;
    view.setUint32(own, crc32(bytes.subarray(0, own)), true);
    return bytes;
  }

  #close(): void {
    this.#done.push(this.#sum);
    this.#sum = 0;
    this.#bytes = 0;
  }
}

/** The checksums of a file, u32 [chunks]; null when they are not what was written. */
export function decodeSums(bytes: Uint8Array<ArrayBuffer>): Uint32Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const own = bytes.length - 4;
  if (crc32(bytes.subarray(0, own)) !== view.getUint32(own, true)) return null;
  return Uint32Array.from({ length: own / 4 }, (_, index) => view.getUint32(4 * index, true));
}
