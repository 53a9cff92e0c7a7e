/**
 * Where the bytes of a model come from: a regular file or memory. Knows nothing of GGUF. Reads are
 * positional, so one source may serve many readers, and go straight into the caller's view.
 */
import { ModelFormatError } from "../base/errors.ts";
import { readReason } from "../base/read_errors.ts";

/** Bytes with a known end. */
export interface ByteSource {
  /** The file as the user named it; empty for memory. */
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * Fills all of `into` with the bytes from `offsetBytes` on; it may be a view of shared memory.
   * @throws {ModelFormatError} when fewer bytes are there, or the device cannot read them.
   */
  read(offsetBytes: number, into: Uint8Array): void;
  /**
   * Nobody has written to it since it was opened.
   * @throws {ModelFormatError} when somebody has.
   */
  requireUnchanged(): void;
  close(): void;
}

/**
 * Opens a regular file. Never blocks: a pipe is recognised, not waited for.
 * @throws {ModelFormatError} when there is no such file, it may not be read, or it is a directory,
 *   a pipe or a device.
 */
export function openFileSource(path: string): ByteSource {
  // Opening a pipe would wait for somebody to write to it.
  const found = openingOf(path, () => Deno.statSync(path));
  if (!found.isFile) throw notAFile(path, found);
  const file = openingOf(path, () => Deno.openSync(path));
  const stats = file.statSync();
  if (stats.isFile) return new FileSource(path, file, stats);
  file.close();
  throw notAFile(path, stats);
}

/** Bytes that are in memory already; the view is not copied. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    path: "",
    sizeBytes: bytes.length,
    read(offsetBytes, into) {
      const missing = offsetBytes + into.length - bytes.length;
      if (missing > 0) throw endOfBytes({ path: "", offsetBytes: bytes.length, missing });
      into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
    },
    requireUnchanged() {},
    close() {},
  };
}

class FileSource implements ByteSource {
  readonly path: string;
  readonly sizeBytes: number;
  readonly #writtenMs: number;
  #file: Deno.FsFile | null;

  constructor(path: string, file: Deno.FsFile, stats: Deno.FileInfo) {
    this.path = path;
    this.#file = file;
    this.sizeBytes = stats.size;
    this.#writtenMs = writtenMs(stats);
  }

  read(offsetBytes: number, into: Uint8Array): void {
    let done = 0;
    while (done < into.length) {
      const rest = done === 0 ? into : into.subarray(done);
      const count = this.#readSome(rest, offsetBytes + done);
      if (count === null) {
        const missing = into.length - done;
        throw endOfBytes({ path: this.path, offsetBytes: offsetBytes + done, missing });
      }
      done += count;
    }
  }

  requireUnchanged(): void {
    const stats = this.#file!.statSync();
    if (stats.size === this.sizeBytes && writtenMs(stats) === this.#writtenMs) return;
    const message = "Cannot read: the model file changed while it was in use: load it again";
    throw new ModelFormatError(message, { path: this.path, offsetBytes: 0 });
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  /** Null at the file's end. */
  #readSome(into: Uint8Array, offsetBytes: number): number | null {
    try {
      this.#file!.seekSync(offsetBytes, Deno.SeekMode.Start);
      return this.#file!.readSync(into);
    } catch (error) {
      const message = `Cannot read: ${readReason(error)}: check the disk and the file`;
      throw formatError(message, { path: this.path, offsetBytes, cause: error });
    }
  }
}

function writtenMs({ mtime }: Deno.FileInfo): number {
  return mtime?.getTime() ?? 0;
}

function openingOf<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const message = `Cannot open the model: ${readReason(error)}`;
    throw formatError(message, { path, offsetBytes: 0, cause: error });
  }
}

function notAFile(path: string, stats: Deno.FileInfo): ModelFormatError {
  const kind = stats.isDirectory
    ? "a directory"
    : stats.isFifo
    ? "a pipe"
    : stats.isCharDevice || stats.isBlockDevice
    ? "a device"
    : "not a regular file";
  const message = `Cannot open the model: the path is ${kind}: give the path of a .gguf file`;
  return new ModelFormatError(message, { path, offsetBytes: 0 });
}

function endOfBytes(at: { path: string; offsetBytes: number; missing: number }): ModelFormatError {
  const message = `Cannot read ${at.missing} more bytes: the file ends here, it is not complete ` +
    `or was changed since it was opened: download the file again`;
  return new ModelFormatError(message, at);
}

function formatError(
  message: string,
  at: { path: string; offsetBytes: number; cause: unknown },
): ModelFormatError {
  const error = new ModelFormatError(message, at);
  error.cause = at.cause;
  return error;
}
