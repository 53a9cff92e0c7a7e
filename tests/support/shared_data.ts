/** Reads data of the developers' shared folder (shared.ts). */
import { sharedPath } from "./shared.ts";

export function readJson<T>(relative: string): T {
  return JSON.parse(Deno.readTextFileSync(sharedPath(relative)));
}

/** A file of raw little-endian f32. */
export function readFloats(relative: string): Float32Array {
  return new Float32Array(Deno.readFileSync(sharedPath(relative)).buffer);
}
