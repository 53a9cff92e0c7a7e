/** What users are told of reads that failed: what, where, and what to do. */
import { FILE_CHANGED_TEXT } from "../base/errors.ts";

/** Which read of which file. */
export interface FailedRead {
  readonly path: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export function changedText(read: FailedRead): string {
  return `${what(read)}: ${FILE_CHANGED_TEXT}`;
}

/** came: bytes that did. */
export function cutShortText(read: FailedRead, came: number): string {
  return `${what(read)}: only ${came} came, twice: the file is not complete or the ` +
    "disk fails: check the disk, then make or download the file again";
}

/** reason: the system's words. */
export function refusedText(read: FailedRead, reason: string): string {
  return `${what(read)}: the system said "${reason}", twice: check the disk ` +
    "and the system's log";
}

function what({ path, offsetBytes, sizeBytes }: FailedRead): string {
  return `Cannot read ${sizeBytes} bytes at byte ${offsetBytes} of "${path}"`;
}
