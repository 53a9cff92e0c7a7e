/**
 * Writes a file of keys and values while the engine works on: what it copied comes piece by piece,
 * and no piece is asked for before the one before it is written. The file is written beside the old
 * one, and takes its place when it is whole. Knows nothing of what is in it.
 */
import { RequestError } from "../base/errors.ts";
import { explainWriteError, isDiskFull } from "../base/write_errors.ts";

/** What is written. */
export interface KvSource {
  readonly start: Uint8Array<ArrayBuffer>;
  /** Of all of it, or more. */
  readonly sizeBytes: number;
  /** The next bytes; null: that were all. */
  next(): Promise<Uint8Array<ArrayBuffer> | null>;
}

export interface KvFileOptions {
  readonly path: string;
  /** How long the file may be. */
  readonly bytesMax?: number;
}

/**
 * @returns how many bytes came behind the start.
 * @throws {RequestError} 507 when it is longer than `bytesMax`, or the disk is full.
 * @throws {Error} "Cannot write …", or what the source throws. The old file is still there in any
 *   case.
 */
export async function writeKvFile(
  { start, sizeBytes, next }: KvSource,
  { path, bytesMax = Infinity }: KvFileOptions,
): Promise<number> {
  if (sizeBytes > bytesMax) {
    throw new RequestError(
      `Cannot keep ${sizeBytes} bytes of keys and values: there is room for ${bytesMax}`,
      { status: 507, code: "no_room" },
    );
  }
  const part = `${path}.part`;
  try {
    return await writeBeside({ path, part, start, next });
  } catch (error) {
    const explained = explainWriteError(error, part);
    if (!isDiskFull(explained)) throw explained;
    const { message } = explained as Error;
    throw new RequestError(message, { status: 507, code: "disk_full" });
  }
}

async function writeBeside(
  { path, part, start, next }: Pick<KvSource, "start" | "next"> & {
    readonly path: string;
    readonly part: string;
  },
): Promise<number> {
  const file = await Deno.open(part, { write: true, create: true, truncate: true });
  try {
    using _closing = file;
    await writeAll(file, start);
    let bytes = 0;
    for (let piece = await next(); piece !== null; piece = await next()) {
      await writeAll(file, piece);
      bytes += piece.length;
    }
    await file.sync();
    await Deno.rename(part, path);
    return bytes;
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
}
