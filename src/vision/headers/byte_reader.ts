/** Numbers of a file's header, refused where the file ends before. */
import { damaged } from "../image_error.ts";
import type { ImageHeader } from "./types.ts";

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #kind: ImageHeader["kind"];

  constructor(bytes: Uint8Array, kind: ImageHeader["kind"]) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#kind = kind;
  }

  /** @throws {RequestError} 400 when fewer bytes are there, as all of these do. */
  need(offset: number, count: number): void {
    if (offset + count <= this.bytes.length) return;
    throw this.damaged(
      `ends at byte ${this.bytes.length}, in the middle of what should go to byte ${
        offset + count
      }`,
    );
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.bytes[offset];
  }

  u16(offset: number, littleEndian = false): number {
    this.need(offset, 2);
    return this.#view.getUint16(offset, littleEndian);
  }

  u24(offset: number): number {
    return this.u16(offset, true) + this.u8(offset + 2) * 65536;
  }

  u32(offset: number, littleEndian = false): number {
    this.need(offset, 4);
    return this.#view.getUint32(offset, littleEndian);
  }

  i32(offset: number): number {
    this.need(offset, 4);
    return this.#view.getInt32(offset, true);
  }

  /** Four letters. */
  name(offset: number): string {
    this.need(offset, 4);
    return String.fromCharCode(...this.bytes.subarray(offset, offset + 4));
  }

  damaged(what: string): Error {
    return damaged(this.#kind, `it ${what}`);
  }
}
