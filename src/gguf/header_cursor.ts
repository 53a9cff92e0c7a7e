/**
 * Reads the primitives of a GGUF header in order, through a window, and refuses to go past the end
 * of the file. Knows numbers, strings and packed arrays; knows nothing of keys and tensors.
 *
 * Every length is compared with the bytes that remain before anything is allocated for it, so a
 * header that lies about its size costs nothing but an error.
 */
import { formatBytes, KiB, MiB } from "../base/units.ts";
import { ModelFormatError } from "../base/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { PackedStrings } from "./string_array.ts";
import type { StringArray } from "./types.ts";

/** The largest headers in use (vocabularies of 260,000 tokens) are a sixth of this. */
export const HEADER_BYTES_MAX = 128 * MiB;
/** What ends most messages about damaged files. */
export const CURE = "download the file again, or convert the model anew";

const WINDOW_BYTES = 256 * KiB;
const TWO_POW_32 = 2 ** 32;
/** A u64 whose upper half is at least this does not fit in 53 bits. */
const UPPER_HALF_MAX = 2 ** 21;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const STRICT_DECODER = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** A position in a header and the reads that move it. `what` names the thing read, for errors. */
export class HeaderCursor {
  readonly #source: ByteSource;
  readonly #endBytes: number;
  readonly #window: Uint8Array;
  readonly #view: DataView;
  /** Absolute offsets: what the window holds, and where the next read begins. */
  #windowBegin = 0;
  #windowEnd = 0;
  #offset = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.#endBytes = Math.min(source.sizeBytes, HEADER_BYTES_MAX);
    this.#window = new Uint8Array(Math.min(WINDOW_BYTES, this.#endBytes));
    this.#view = new DataView(this.#window.buffer);
  }

  /** Byte offset of the next read. */
  get offsetBytes(): number {
    return this.#offset;
  }

  /** Bytes of header that may follow: to the end of the file or to the size limit. */
  get remainingBytes(): number {
    return this.#endBytes - this.#offset;
  }

  /** An error at `offsetBytes` (left out: at the next read). */
  error(message: string, offsetBytes: number = this.#offset): ModelFormatError {
    return new ModelFormatError(message, { path: this.#source.path, offsetBytes });
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#advance(1, what));
  }
  i8(what: string): number {
    return this.#view.getInt8(this.#advance(1, what));
  }
  u16(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), true);
  }
  i16(what: string): number {
    return this.#view.getInt16(this.#advance(2, what), true);
  }
  u32(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }
  i32(what: string): number {
    return this.#view.getInt32(this.#advance(4, what), true);
  }
  f32(what: string): number {
    return this.#view.getFloat32(this.#advance(4, what), true);
  }
  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), true);
  }
  i64(what: string): bigint {
    return this.#view.getBigInt64(this.#advance(8, what), true);
  }
  f64(what: string): number {
    return this.#view.getFloat64(this.#advance(8, what), true);
  }

  /**
   * A u64 that counts or measures something.
   * @throws {ModelFormatError} when it does not fit in 53 bits: no file is that large.
   */
  count(what: string): number {
    const at = this.#advance(8, what);
    const upper = this.#view.getUint32(at + 4, true);
    if (upper >= UPPER_HALF_MAX) {
      const value = this.#view.getBigUint64(at, true);
      throw this.error(
        `Cannot read ${what}: ${value} is beyond any file: ${CURE}`,
        this.#offset - 8,
      );
    }
    return upper * TWO_POW_32 + this.#view.getUint32(at, true);
  }

  /** A string; invalid UTF-8 becomes U+FFFD. */
  string(what: string): string {
    return DECODER.decode(this.#stringBytes(what, Infinity));
  }

  /** A string that names something: 1 to `bytesMax` bytes of valid UTF-8. */
  name(what: string, bytesMax: number): string {
    const begin = this.#offset;
    const bytes = this.#stringBytes(what, bytesMax);
    if (bytes.length === 0) throw this.error(`Cannot read ${what}: it is empty: ${CURE}`, begin);
    try {
      return STRICT_DECODER.decode(bytes);
    } catch {
      throw this.error(`Cannot read ${what}: it is not valid UTF-8: ${CURE}`, begin);
    }
  }

  /** A copy of the next `sizeBytes` bytes, at the beginning of its own buffer. */
  bytes(sizeBytes: number, what: string): Uint8Array<ArrayBuffer> {
    this.require(sizeBytes, what);
    const copy = new Uint8Array(sizeBytes);
    this.#source.read(this.#offset, copy);
    this.#offset += sizeBytes;
    return copy;
  }

  /** `count` strings, left packed. The caller has made sure that `count` is sane. */
  strings(count: number, what: string): StringArray {
    const begin = this.#offset;
    const ends = new Uint32Array(count);
    for (let index = 0; index < count; index++) {
      const length = this.count(what);
      this.require(length, what);
      this.#offset += length;
      ends[index] = this.#offset - begin;
    }
    const end = this.#offset;
    this.#offset = begin;
    return new PackedStrings(this.bytes(end - begin, what), ends);
  }

  /** @throws {ModelFormatError} when fewer than `sizeBytes` bytes of header can follow. */
  require(sizeBytes: number, what: string): void {
    if (sizeBytes <= this.remainingBytes) return;
    const state = this.#endBytes < this.#source.sizeBytes
      ? `the header would be longer than ${formatBytes(HEADER_BYTES_MAX)}`
      : `it needs ${sizeBytes} more bytes, the file has ${this.remainingBytes}`;
    throw this.error(`Cannot read ${what}: ${state}: ${CURE}`);
  }

  /** The bytes of a string, valid until the next read. */
  #stringBytes(what: string, bytesMax: number): Uint8Array {
    const begin = this.#offset;
    const length = this.count(what);
    if (length > bytesMax) {
      const state = `it is ${length} bytes long, at most ${bytesMax} are allowed`;
      throw this.error(`Cannot read ${what}: ${state}: ${CURE}`, begin);
    }
    if (length > this.#window.length) return this.bytes(length, what);
    const at = this.#advance(length, what);
    return this.#window.subarray(at, at + length);
  }

  /** Moves past `sizeBytes` bytes and returns where they are in the window. */
  #advance(sizeBytes: number, what: string): number {
    const end = this.#offset + sizeBytes;
    if (this.#offset < this.#windowBegin || end > this.#windowEnd) this.#fill(sizeBytes, what);
    const at = this.#offset - this.#windowBegin;
    this.#offset = end;
    return at;
  }

  #fill(sizeBytes: number, what: string): void {
    this.require(sizeBytes, what);
    const length = Math.min(this.#window.length, this.remainingBytes);
    this.#source.read(this.#offset, this.#window.subarray(0, length));
    this.#windowBegin = this.#offset;
    this.#windowEnd = this.#offset + length;
  }
}
