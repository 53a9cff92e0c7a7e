/** A file of logits: made when the first of them are there, and never left half written. */
import { existsSync } from "node:fs";
import { checkWritable, explainWriteError } from "../base/write_errors.ts";

export class LogitsFile implements Disposable {
  readonly #path: string;
  #file: Deno.FsFile | null = null;
  #hasBegun = false;

  /**
   * Looks whether it can be written; what it has stays until there is something to write.
   * @throws {Error} "Cannot write …" when it cannot.
   */
  constructor(path: string) {
    this.#path = path;
    // Opened once: who reads a pipe would take a second opening for the end.
    if (isThere(path)) this.#file = this.#open();
    else checkWritable(path);
  }

  /** Writes `rows` behind those before, f32 little-endian, in the place of what the file had. */
  append(rows: Float32Array): void {
    try {
      this.#file ??= this.#open();
      if (!this.#hasBegun && this.#isPlain(this.#file)) this.#file.truncateSync(0);
      this.#hasBegun = true;
      write(this.#file, rows);
    } catch (error) {
      throw explainWriteError(error, this.#path);
    }
  }

  /** Deletes what was written, which is not all of it; a file that has its old content stays. */
  discard(): void {
    if (this.#hasBegun && this.#file !== null && this.#isPlain(this.#file)) {
      Deno.removeSync(this.#path);
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }

  #open(): Deno.FsFile {
    try {
      return Deno.openSync(this.#path, { write: true, create: true });
    } catch (error) {
      throw explainWriteError(error, this.#path);
    }
  }

  /** No pipe and no device, which are nobody's to cut or delete. */
  #isPlain(file: Deno.FsFile): boolean {
    return file.statSync().isFile;
  }
}

/** @throws {Error} "Cannot write …" when Deno does not even let it look. */
function isThere(path: string): boolean {
  try {
    return existsSync(path);
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

/** Appends floats as little-endian bytes, whatever this machine's order is. */
function write(file: Deno.FsFile, rows: Float32Array): void {
  const bytes = new DataView(new ArrayBuffer(rows.byteLength));
  rows.forEach((value, index) => bytes.setFloat32(index * 4, value, true));
  let rest = new Uint8Array(bytes.buffer);
  while (rest.length > 0) rest = rest.subarray(file.writeSync(rest));
}
