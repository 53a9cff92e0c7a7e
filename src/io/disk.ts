/**
 * What I/O workers read: one open file. Knows nothing of requests and threads.
 *
 * Unless told otherwise, reads go past the system's file cache (O_DIRECT) where the file system
 * lets them and they are aligned: a model larger than memory would only push useful pages out, and
 * its engine has a cache of its own.
 */
import type fs from "node:fs";
import { readReason } from "../base/read_errors.ts";

/** What identifies the state of a file, as src/bundle has it, which this folder does not know. */
export interface FileStamp {
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Null where the platform has none. */
  readonly inode: number | null;
}

/** No disk has larger sectors. */
export const SECTOR_BYTES_MAX = 4096;

/** An open file. */
export interface Disk {
  readonly path: string;
  /** Reads of whole sectors, to multiples of sectors, are the good ones; 0: all are alike. */
  readonly sectorBytes: number;
  /** The file's size when it was opened. */
  readonly sizeBytes: number;
  /**
   * Reads into `into` from `address` on; the view may be of shared memory.
   * @returns the bytes that came: fewer than asked for at the end of the file.
   * @throws what the system says.
   */
  read(into: Uint8Array, address: number, sizeBytes: number, offsetBytes: number): number;
  /** False once the file is not what it was when it was opened. */
  isUnchanged(): boolean;
  close(): void;
}

export interface DiskOptions {
  /** False: through the system's file cache. */
  readonly direct?: boolean;
  /** What the file must be; null or left out: whatever it is. */
  readonly stamp?: FileStamp | null;
}

/** Alignments that devices ask for, of offsets, sizes and addresses. */
const SECTOR_BYTES = [512, SECTOR_BYTES_MAX];

/**
 * Opens a file.
 * @throws {Error} when it cannot be opened or is not the one that `stamp` describes.
 */
export function openDisk(path: string, options: DiskOptions = {}): FileDisk {
  return new FileDisk(path, options);
}

function openFile(path: string): Deno.FsFile {
  try {
    // Opening a pipe would wait for somebody to write to it.
    if (!Deno.statSync(path).isFile) throw new Error("it is no regular file");
    return Deno.openSync(path);
  } catch (error) {
    throw new Error(`Cannot open "${path}": ${readReason(error)}`, { cause: error });
  }
}

/** Of a file as it is now. */
function stampOf(file: Deno.FsFile): FileStamp {
  const { size, mtime, ino } = file.statSync();
  return { sizeBytes: size, modifiedMs: mtime?.getTime() ?? 0, inode: ino || null };
}

export class FileDisk implements Disk {
  readonly path: string;
  readonly sizeBytes: number;
  /** Multiples of it are read past the system's file cache; 0: nothing is. */
  readonly sectorBytes: number;
  readonly #stamp: FileStamp;
  readonly #file: Deno.FsFile;
  /** Reads past the file cache; null: nothing does. Nothing else knows O_DIRECT. */
  #fs: typeof fs | null = null;
  #direct = -1;

  constructor(path: string, { direct = true, stamp = null }: DiskOptions) {
    this.path = path;
    this.#file = openFile(path);
    try {
      this.#stamp = stampOf(this.#file);
      this.sizeBytes = this.#stamp.sizeBytes;
      if (stamp !== null && !isSame(stamp, this.#stamp)) {
        throw new Error(`"${path}" changed since the model was looked at: load it again`);
      }
      this.sectorBytes = direct ? this.#openDirect() : 0;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  read(into: Uint8Array, address: number, sizeBytes: number, offsetBytes: number): number {
    const sector = this.sectorBytes;
    const isAligned = sector > 0 && address % sector === 0 && sizeBytes % sector === 0 &&
      offsetBytes % sector === 0;
    if (isAligned) return this.#fs!.readSync(this.#direct, into, address, sizeBytes, offsetBytes);
    this.#file.seekSync(offsetBytes, Deno.SeekMode.Start);
    return this.#file.readSync(into.subarray(address, address + sizeBytes)) ?? 0;
  }

  /** A file put in its place by renaming does not matter: the open one stays. */
  isUnchanged(): boolean {
    return isSame(this.#stamp, stampOf(this.#file));
  }

  /** Of the file as it is opened past the file cache, where `sectorBytes` is not 0. */
  get directDescriptor(): number {
    return this.#direct;
  }

  close(): void {
    this.#file.close();
    if (this.#direct >= 0) this.#fs!.closeSync(this.#direct);
    this.#direct = -1;
  }

  /** Opens the file past the cache and finds out the alignment by trying. */
  #openDirect(): number {
    // Loading it takes 30 ms of a thread, and most ranks never read past the cache.
    // deno-lint-ignore no-process-global -- importing node:process is loading, too.
    const fs = this.#fs = process.getBuiltinModule("node:fs");
    const { O_RDONLY, O_DIRECT } = fs.constants;
    if (!O_DIRECT) return 0;
    try {
      this.#direct = fs.openSync(this.path, O_RDONLY | O_DIRECT);
    } catch {
      return 0; // a file system without it
    }
    const { size, mtimeMs, ino } = fs.fstatSync(this.#direct);
    const found = { sizeBytes: size, modifiedMs: Math.floor(mtimeMs), inode: ino || null };
    if (!isSame(this.#stamp, found)) {
      throw new Error(`"${this.path}" was replaced while it was opened: load it again`);
    }
    // Memory of WebAssembly begins at a page.
    const page = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    for (const sector of SECTOR_BYTES) {
      try {
        fs.readSync(this.#direct, page, sector, sector, sector);
        return sector;
      } catch {
        // The device's sectors are larger.
      }
    }
    return 0;
  }
}

/** Bytes that a read must bring: all of it, but for what its last sector has behind the end. */
export function expectedBytes(disk: Disk, offsetBytes: number, sizeBytes: number): number {
  const behind = offsetBytes + sizeBytes - disk.sizeBytes;
  return behind > 0 && behind < SECTOR_BYTES_MAX ? Math.max(1, sizeBytes - behind) : sizeBytes;
}

function isSame(a: FileStamp, b: FileStamp): boolean {
  return a.sizeBytes === b.sizeBytes && a.modifiedMs === b.modifiedMs &&
    (a.inode === null || b.inode === null || a.inode === b.inode);
}
