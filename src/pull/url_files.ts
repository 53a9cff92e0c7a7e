/** Files that are named by an address: which ones belong to it, and whether it is trusted. Pure. */
import { UsageError } from "../base/errors.ts";
import type { RemoteFile } from "./hub.ts";
import type { PullOptions } from "./options.ts";
import { type PullReference, splitNumber } from "./reference.ts";
import { isThisMachine } from "./web.ts";

/** Of a split model, all parts beside the one that was named. */
export function urlFiles(url: URL): RemoteFile[] {
  const path = decodePath(url.pathname);
  const split = splitNumber(path);
  const unknown = { sizeBytes: null, sha256: null };
  if (split === null) return [{ url, path, ...unknown }];
  const { count, index } = split;
  const number = (n: number) => String(n).padStart(5, "0");
  return Array.from({ length: count }, (_, i) => {
    const part = new URL(url.href);
    const end = `-of-${number(count)}.gguf`;
    const swap = (text: string) =>
      text.replace(`-${number(index)}${end}`, `-${number(i + 1)}${end}`);
    part.pathname = swap(part.pathname);
    return { url: part, path: swap(path), ...unknown };
  });
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/**
 * What comes by http could be changed by whoever is in between.
 * @throws {UsageError} where nobody could tell.
 */
export function requireTrust(
  reference: PullReference,
  { sha256 }: Pick<PullOptions, "sha256">,
): void {
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new UsageError("Cannot use --sha256: 64 hexadecimal digits are needed");
  }
  if (reference.kind !== "url" || reference.url.protocol === "https:") return;
  if (sha256 !== undefined || isThisMachine(reference.url.hostname)) return;
  throw new UsageError(
    `Cannot pull from ${reference.url.origin}: by http anybody in between could change the ` +
      "file: use https, or say what it must be with --sha256",
  );
}
