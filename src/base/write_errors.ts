/** Writing to files: whole pieces, and what the system refuses said in words. */
import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import process from "node:process";

/**
 * What the system refuses, in words; any other error as it is.
 * @param done how much was written, for a disk that is full; left out: it does not matter.
 */
export function explainWriteError(error: unknown, path: string, done = ""): unknown {
  if (error instanceof Deno.errors.NotCapable) {
    const advice = "Deno does not let this program: give another path, or see --allow-write";
    return new Error(`Cannot write "${path}": ${advice}`, { cause: error });
  }
  const { code } = error as { code?: unknown };
  if (typeof code !== "string" || !SYSTEM_CODE.test(code)) return error;
  const advice = WRITE_ADVICE[code] ?? `${code}: check the disk and the path`;
  const when = FULL.includes(code) && done !== "" ? ` (${done} was written)` : "";
  return new Error(`Cannot write "${path}": ${advice}${when}`, { cause: error });
}

/**
 * Looks whether a file can come to lie at `path`, so that long work does not end where its result
 * has no place: asked by making another one beside it, which needs no more rights.
 * @throws {Error} when it cannot.
 */
export function checkWritable(path: string): void {
  const beside = `${path}.${process.pid}.try`;
  try {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR" });
    if (there !== undefined && !there.isFile()) return; // a pipe, a device: nothing comes beside it
    closeSync(openSync(beside, "wx"));
    rmSync(beside);
  } catch (error) {
    throw explainWriteError(error, path);
  }
}

/** True when `error` says that there is no more room; what was written may be of use. */
export function isDiskFull(error: unknown): boolean {
  const { code } = ((error as Error | null)?.cause ?? {}) as { code?: unknown };
  return typeof code === "string" && FULL.includes(code);
}

/** Not Node's own codes, which begin with "ERR_". */
const SYSTEM_CODE = /^E[A-Z0-9]+$/;

/** What refuses when the writing has begun. */
const FULL = ["ENOSPC", "EDQUOT"];

const WRITE_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder: make it first",
  ENOTDIR: "a part of the path is not a folder: check the path",
  EISDIR: "the path is a folder: give the path of a file",
  EACCES: "the folder may not be written to: change its permissions, or give another path",
  EROFS: "the disk may only be read: give a path on another one",
  ENOSPC: "the disk is full: make room, or give a path on another one",
  EDQUOT: "your share of the disk is used up: make room, or give a path on another one",
  ENAMETOOLONG: "the name is too long: give a shorter one",
};

/** Writes all of `bytes` at `offsetBytes`; left out: where the file's pointer is. */
export function writeFully(descriptor: number, bytes: Uint8Array, offsetBytes?: number): void {
  let done = 0;
  while (done < bytes.length) {
    const at = offsetBytes === undefined ? undefined : offsetBytes + done;
    done += writeSync(descriptor, bytes, done, bytes.length - done, at);
  }
}
