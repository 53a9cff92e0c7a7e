/** Files read whole, and what the system refuses to read, in words. */
import { messageOf } from "./errors.ts";

const MAY_NOT = "it may not be read: change its permissions, or Deno's (--allow-read)";

/** @throws {Error} "Cannot read …" when there is no such file, or it may not be read. */
export function readFile(path: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    throw new Error(`Cannot read "${path}": ${readReason(error)}`, { cause: error });
  }
}

/** Why a file could not be opened or read, and what to do; any other error's message. */
export function readReason(error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) return MAY_NOT;
  const code = (error as { code?: string }).code ?? "";
  return READ_ADVICE[code] ?? (code || messageOf(error));
}

const READ_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file: check the path",
  ENOTDIR: "a part of the path is not a directory: check the path",
  EISDIR: "it is a directory: give the path of a file",
  EACCES: MAY_NOT,
  EPERM: MAY_NOT,
  ELOOP: "its symbolic links run in a circle: check the path",
  EMFILE: "too many files are open: raise the limit with ulimit -n",
  ENFILE: "too many files are open: raise the limit with ulimit -n",
};
