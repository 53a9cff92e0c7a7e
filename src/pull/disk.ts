/** The disk that models come to: its room, and writing to it. Tests put a smaller one here. */
import { statfsSync } from "node:fs";
import { formatBytes, MiB } from "../base/units.ts";
import { writeFully } from "../base/write_errors.ts";
import { PullError } from "./pull_error.ts";

export interface Disk {
  /** Room for files in a folder, in bytes; null: nobody knows. */
  freeBytes(folder: string): number | null;
  /** @throws what the system refuses, such as ENOSPC. */
  write(descriptor: number, bytes: Uint8Array, offsetBytes: number): void;
}

export const SYSTEM_DISK: Disk = { freeBytes, write: writeFully };

/** Left for everybody else. */
const SPARE_BYTES = 16 * MiB;

function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    // Not permitted, or a file system that does not say: writing will tell.
    return null;
  }
}

/** @throws {PullError} when `neededBytes` more do not fit. */
export function requireRoom(disk: Disk, folder: string, neededBytes: number): void {
  const free = disk.freeBytes(folder);
  if (free === null || neededBytes === 0 || neededBytes + SPARE_BYTES <= free) return;
  throw new PullError(
    `Cannot pull to "${folder}": ${formatBytes(neededBytes)} are to come, ${formatBytes(free)} ` +
      "are free: make room, or give another folder with --models-dir",
    "disk_full",
  );
}
