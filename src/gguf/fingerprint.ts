/** Which model a file holds, told in a moment also of one that takes minutes to read. */
import { createHash } from "node:crypto";
import { openFileSource } from "./byte_source.ts";
import type { GgufPart } from "./types.ts";

const SAMPLES = 64;
const SAMPLE_BYTES = 16 << 10;

/**
 * SHA-256, in hexadecimal, of the parts' sizes and of 64 pieces of 16 KiB spread evenly over each,
 * the first and the last among them. Files under 1 MiB are read whole. Adapters are parts, too, and
 * how they are used belongs to it: what was computed with another one, or none, is another model's.
 * What lies beside the model is left out.
 * @throws {ModelFormatError} when a file cannot be read any more.
 */
export function fingerprint(parts: readonly GgufPart[]): string {
  const hash = createHash("sha256");
  for (const { path, sizeBytes, use, isBeside } of parts) {
    if (isBeside) continue;
    hash.update(`${sizeBytes}\n`);
    if (use !== undefined) hash.update(`${use}\n`);
    const source = openFileSource(path);
    try {
      for (let sample = 0; sample < SAMPLES; sample++) {
        const length = Math.min(SAMPLE_BYTES, sizeBytes);
        const start = Math.floor((sizeBytes - length) * sample / (SAMPLES - 1));
        const bytes = new Uint8Array(length);
        source.read(start, bytes);
        hash.update(bytes);
      }
    } finally {
      source.close();
    }
  }
  return hash.digest("hex");
}
